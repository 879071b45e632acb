"""Reads the server-sent events of a broker's HTTP API."""

import base64
import http.client
import json
import socket
import urllib.parse

from broker import wait_until


def watched(*queues):
    """The query that watches queues of the vhost /, or (vhost, name)."""
    pairs = [q if isinstance(q, tuple) else ("/", q) for q in queues]
    return "?" + urllib.parse.urlencode(
        [("queue", "/".join(urllib.parse.quote(part, safe="") for part in pair)) for pair in pairs])


class Events:
    """One stream. Iterating gives (event, data) until the broker ends it.

    Streams of a user are bounded, and one that was closed counts until the next tick: with `wait` it
    is tried until there is room.
    """

    def __init__(self, broker, query="", user="guest", password="guest", headers=None, wait=True,
                 receive_buffer=None):
        self.broker = broker
        self.receive_buffer = receive_buffer
        sent = dict(headers or {})
        if user is not None:
            token = base64.b64encode(f"{user}:{password}".encode()).decode()
            sent["Authorization"] = f"Basic {token}"
        self._ask(query, sent)
        if wait:
            wait_until(lambda: self.status != 429 or self._ask(query, sent), "there is room")

    def _ask(self, query, headers):
        self.connection = http.client.HTTPConnection(self.broker.host, self.broker.http_port,
                                                     timeout=30)
        if self.receive_buffer:
            self.connection.sock = socket.socket()
            self.connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF,
                                            self.receive_buffer)
            self.connection.sock.settimeout(60)
            self.connection.sock.connect((self.broker.host, self.broker.http_port))
        self.connection.request("GET", "/api/landfall/events" + query, headers=headers)
        self.answer = self.connection.getresponse()
        self.status = self.answer.status

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.answer.close()
        self.connection.close()

    def __iter__(self):
        event, data = None, []
        for line in self.answer:
            line = line.decode().rstrip("\n")
            if not line:
                yield event, json.loads("\n".join(data))
                event, data = None, []
            elif line.startswith("event: "):
                event = line[7:]
            elif line.startswith("data: "):
                data.append(line[6:])

    def ticks(self):
        for event, data in self:
            assert event == "tick", (event, data)
            yield data

    def tick(self):
        return next(self.ticks())

    def until(self, condition, at_most=30):
        """The first tick for which it holds."""
        assert self.status == 200, (self.status, self.answer.read())
        tick = None
        for tick, _ in zip(self.ticks(), range(at_most)):
            if condition(tick):
                return tick
        raise AssertionError(f"in none of {at_most} ticks, of which the last was {tick}")
