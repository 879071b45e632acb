"""Asks a broker's HTTP API, with nothing but the standard library."""

import base64
import json
import socket
import urllib.error
import urllib.parse
import urllib.request


def quote(name):
    return urllib.parse.quote(name, safe="")


class Answer:
    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:300]!r}"


class HttpApi:
    """Requests of one user. `path` comes encoded: f"/api/queues/{quote('/')}/orders"."""

    def __init__(self, broker, user="guest", password="guest"):
        self.broker = broker
        self.user = user
        self.password = password

    def ask(self, method, path, body=None, headers=None, seconds=30):
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(
            body).encode()
        request = urllib.request.Request(
            f"http://{self.broker.host}:{self.broker.http_port}{path}", data=data, method=method)
        if self.user is not None:
            token = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
            request.add_header("Authorization", f"Basic {token}")
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        try:
            with urllib.request.urlopen(request, timeout=seconds) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            return Answer(error.code, error.headers, error.read())

    def get(self, path, **more):
        return self.ask("GET", path, **more)

    def json(self, path):
        """What a GET gives, which has to work."""
        answer = self.get(path)
        assert answer.status == 200, answer
        return answer.json

    def put(self, path, body=None):
        return self.ask("PUT", path, {} if body is None else body)

    def post(self, path, body=None):
        return self.ask("POST", path, {} if body is None else body)

    def delete(self, path):
        return self.ask("DELETE", path)

    def publish(self, routing_key, payload="hello", exchange="amq.default", **more):
        body = {"properties": {}, "routing_key": routing_key, "payload": payload,
                "payload_encoding": "string"} | more
        return self.post(f"/api/exchanges/{quote('/')}/{quote(exchange)}/publish", body)

    def get_messages(self, queue, count=10, ackmode="ack_requeue_false", **more):
        """Those of the queue with this path."""
        answer = self.post(f"{queue}/get",
                           {"count": count, "ackmode": ackmode, "encoding": "auto"} | more)
        assert answer.status == 200, answer
        return answer.json

    def as_user(self, user, password):
        return HttpApi(self.broker, user, password)

    def socket(self, seconds=30):
        return socket.create_connection((self.broker.host, self.broker.http_port), timeout=seconds)
