"""AMQP 0-9-1 by hand over a socket: for what no client library can be made to send.

Methods come from pika's specification classes; frames, and everything that is wrong with them, are
built here.
"""

import socket
import struct
import time

from pika import amqp_object, frame, spec

HEADER = b"AMQP\x00\x00\x09\x01"
METHOD, CONTENT_HEADER, BODY, HEARTBEAT = 1, 2, 3, 8
END = b"\xce"


def raw_frame(kind, channel, payload, end=END):
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + end


def method_frame(channel, method):
    return frame.Method(channel, method).marshal()


def content(channel, method, body=b"", properties=None, frame_max=131072):
    """A publish with its content as one string of bytes."""
    step = frame_max - 8
    parts = [method_frame(channel, method),
             frame.Header(channel, len(body), properties or spec.BasicProperties()).marshal()]
    parts += [raw_frame(BODY, channel, body[i:i + step]) for i in range(0, len(body), step)]
    return b"".join(parts)


class Closed(Exception):
    """The peer has closed the connection."""


class Wire:
    """A connection of which every byte is under control."""

    def __init__(self, broker, seconds=20.0):
        self.socket = broker.socket(seconds)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.heartbeats = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def send_method(self, channel, method):
        self.send(method_frame(channel, method))

    def read_bytes(self, count):
        """The next `count` bytes as they come."""
        while len(self.received) < count:
            self._fill()
        data, self.received = self.received[:count], self.received[count:]
        return data

    def _fill(self):
        try:
            data = self.socket.recv(65536)
        except ConnectionError as error:
            raise Closed(str(error)) from error
        if not data:
            raise Closed("end of file")
        self.received += data

    def read_frame(self):
        """The next frame that is no heartbeat, decoded by pika."""
        while True:
            used, decoded = frame.decode_frame(self.received)
            if decoded is None:
                self._fill()
                continue
            self.received = self.received[used:]
            if isinstance(decoded, frame.Heartbeat):
                self.heartbeats += 1
                continue
            return decoded

    def expect(self, method, channel=None):
        """The next frame has to be this method."""
        got = self.read_frame()
        assert isinstance(got, frame.Method), f"{got} instead of {method.__name__}"
        assert isinstance(got.method, method), f"{got.method} instead of {method.__name__}"
        assert channel is None or got.channel_number == channel
        return got.method

    def call(self, channel, request, answer):
        self.send_method(channel, request)
        return self.expect(answer, channel)

    def expect_end(self, seconds=20.0):
        """The broker closes the connection; what it still sends before is thrown away."""
        deadline = time.monotonic() + seconds
        while True:
            self.socket.settimeout(max(0.01, deadline - time.monotonic()))
            try:
                if not self.socket.recv(65536):
                    return
            except ConnectionError:
                return

    def expect_connection_close(self, *codes):
        """Answers a connection.close with one of these codes; the broker then hangs up."""
        close = self.expect(spec.Connection.Close, 0)
        assert close.reply_code in codes, close
        assert close.reply_text, "an error without an explanation"
        self.send_method(0, spec.Connection.CloseOk())
        self.expect_end()
        return close

    def expect_channel_close(self, channel, *codes):
        close = self.expect(spec.Channel.Close, channel)
        assert close.reply_code in codes, close
        assert close.reply_text, "an error without an explanation"
        self.send_method(channel, spec.Channel.CloseOk())
        return close

    # The steps of the handshake.

    def start(self):
        self.send(HEADER)
        return self.expect(spec.Connection.Start, 0)

    def log_in(self, user="guest", password="guest", capabilities=()):
        self.start()
        properties = {"capabilities": {name: True for name in capabilities}}
        response = f"\0{user}\0{password}"
        self.send_method(0, spec.Connection.StartOk(properties, "PLAIN", response, "en_US"))

    def tune(self, heartbeat=0, frame_max=131072, channel_max=2047):
        offered = self.expect(spec.Connection.Tune, 0)
        self.send_method(0, spec.Connection.TuneOk(channel_max, frame_max, heartbeat))
        return offered

    def open(self, heartbeat=0, frame_max=131072, channel_max=2047, vhost="/", capabilities=()):
        self.log_in(capabilities=capabilities)
        offered = self.tune(heartbeat, frame_max, channel_max)
        self.call(0, spec.Connection.Open(vhost), spec.Connection.OpenOk)
        return offered

    def open_channel(self, channel=1):
        self.call(channel, spec.Channel.Open(), spec.Channel.OpenOk)

    def close(self):
        """As a polite client: the broker may leave it to the client to hang up."""
        self.call(0, spec.Connection.Close(200, "bye", 0, 0), spec.Connection.CloseOk)
        self.socket.close()


def encode_method(method):
    """The payload of a method's frame."""
    assert isinstance(method, amqp_object.Method)
    return struct.pack(">I", method.INDEX) + b"".join(method.encode())
