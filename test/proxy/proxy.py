"""A TCP proxy that understands AMQP frames and breaks connections at a chosen step of a message.

The six steps of a message (docs/architecture.md): 1 publish, 2 land, 3 confirm, 4 deliver, 5 ack,
6 journal the ack. A Fault waits for the frame of its step and then cuts, stalls or half-closes the
connection that it came on; all other connections and all later ones are left alone.
"""

import dataclasses
import selectors
import socket
import struct
import threading

METHOD, CONTENT_HEADER, BODY = 1, 2, 3
BASIC_PUBLISH, BASIC_DELIVER, BASIC_ACK = (60, 40), (60, 60), (60, 80)
# Landfall's own methods, used between its client and its broker.
LANDFALL_CONFIRM, LANDFALL_ACK, LANDFALL_ACK_LANDED = (19526, 10), (19526, 40), (19526, 41)

TO_BROKER, TO_CLIENT = "to broker", "to client"
HOWS = ("cut", "stall", "half_close_client", "half_close_broker")


@dataclasses.dataclass(frozen=True)
class Step:
    number: int
    name: str
    direction: str
    methods: tuple         # of the frame that is waited for
    passes: str            # how much of it goes through: "none", "half" or "whole"
    with_content: bool = False


STEPS = (
    Step(1, "publish", TO_BROKER, (BASIC_PUBLISH,), "half"),
    Step(2, "land", TO_BROKER, (BASIC_PUBLISH,), "whole", with_content=True),
    Step(3, "confirm", TO_CLIENT, (BASIC_ACK, LANDFALL_CONFIRM), "none"),
    Step(4, "deliver", TO_CLIENT, (BASIC_DELIVER,), "half"),
    Step(5, "ack", TO_BROKER, (BASIC_ACK, LANDFALL_ACK), "none"),
    # The broker says that the ack has landed; the client does not hear it.
    Step(6, "acked", TO_CLIENT, (LANDFALL_ACK_LANDED,), "none"),
)


@dataclasses.dataclass
class Fault:
    step: Step
    how: str
    skip: int = 0  # frames of the step that pass before


class Parser:
    """Cuts a stream into frames; the protocol header that a client sends first counts as one."""

    def __init__(self, direction):
        self.buffer = b""
        self.greeting = direction == TO_BROKER

    def frames(self, data):
        self.buffer += data
        while True:
            if self.greeting:
                size = 8
            elif len(self.buffer) < 7:
                return
            else:
                size = struct.unpack_from(">I", self.buffer, 3)[0] + 8
            if len(self.buffer) < size:
                return
            frame, self.buffer = self.buffer[:size], self.buffer[size:]
            if self.greeting:
                self.greeting = False
                yield frame, None, None
            else:
                kind = frame[0]
                yield frame, kind, struct.unpack_from(">HH", frame, 7) if kind == METHOD else None


class Side:
    """One of the two sockets of a connection through the proxy."""

    def __init__(self, link, sock, direction):
        self.link = link
        self.socket = sock
        self.parser = Parser(direction)   # of what is read here
        self.direction = direction        # of what is read here
        self.pending = b""                # to be written here
        self.write_closed = False         # nothing more may be written
        self.finish = False               # close the writing half once pending is out
        self.ended = False                # the peer has sent its last byte
        self.discard = False              # what is read here goes nowhere


class Link:
    def __init__(self, client, broker):
        self.client = Side(self, client, TO_BROKER)
        self.broker = Side(self, broker, TO_CLIENT)
        self.content_left = None  # for a fault that waits for the end of a message

    def other(self, side):
        return self.broker if side is self.client else self.client

    def sides(self):
        return (self.client, self.broker)


class Proxy:
    """Use as a context manager. Faults happen one after another, each when its step comes."""

    def __init__(self, broker_host, broker_port, faults):
        self.broker_address = (broker_host, broker_port)
        self.faults = list(faults)
        self.injected = []
        self.connections = 0
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._links = []
        self._stalled = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        for link in self._links + self._stalled:
            for side in link.sides():
                side.socket.close()
        self._listener.close()
        self._selector.close()

    def _run(self):
        while not self._stop.is_set():
            for key, events in self._selector.select(0.05):
                if key.fileobj is self._listener:
                    self._accept()
                    continue
                side = key.data
                if side.link not in self._links:
                    continue  # gone since
                try:
                    if events & selectors.EVENT_READ:
                        self._read(side)
                    if events & selectors.EVENT_WRITE and side.link in self._links:
                        self._write(side)
                except OSError:
                    self._drop(side.link)
            for link in list(self._links):
                self._watch(link)

    def _accept(self):
        client, _ = self._listener.accept()
        try:
            broker = socket.create_connection(self.broker_address, timeout=5)
        except OSError:
            client.close()
            return
        link = Link(client, broker)
        for side in link.sides():
            side.socket.setblocking(False)
            side.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._links.append(link)
        self.connections += 1

    def _watch(self, link):
        """Says which events of a link are of interest now, and drops it when it is over."""
        for side in link.sides():
            if side.finish and not side.pending and not side.write_closed:
                side.write_closed = True
                try:
                    side.socket.shutdown(socket.SHUT_WR)
                except OSError:
                    pass
        if all(side.ended and not side.pending for side in link.sides()):
            self._drop(link)
            return
        for side in link.sides():
            wanted = 0
            # Not faster than the other side takes it.
            if not side.ended and len(link.other(side).pending) < 1 << 20:
                wanted |= selectors.EVENT_READ
            if side.pending and not side.write_closed:
                wanted |= selectors.EVENT_WRITE
            self._select(side, wanted)

    def _select(self, side, wanted):
        if side.socket.fileno() < 0:
            return
        registered = side.socket.fileno() in self._selector.get_map()
        if wanted and registered:
            self._selector.modify(side.socket, wanted, side)
        elif wanted:
            self._selector.register(side.socket, wanted, side)
        elif registered:
            self._selector.unregister(side.socket)

    def _read(self, side):
        data = side.socket.recv(1 << 16)
        other = side.link.other(side)
        if not data:
            side.ended = True
            other.finish = True
            return
        for frame, kind, method in side.parser.frames(data):
            if side.discard or side.link not in self._links:
                return
            self._forward(side, other, frame, kind, method)

    def _write(self, side):
        sent = side.socket.send(side.pending)
        side.pending = side.pending[sent:]

    def _forward(self, side, other, frame, kind, method):
        fault = self._due(side, frame, kind, method)
        if fault is None:
            other.pending += frame
            return
        step = fault.step
        other.pending += {"none": b"", "half": frame[:len(frame) // 2], "whole": frame}[step.passes]
        self.injected.append(self.faults.pop(0))
        getattr(self, "_" + fault.how)(side.link, step)

    def _due(self, side, frame, kind, method):
        """The fault that strikes at this frame, if any."""
        if not self.faults or side.direction != self.faults[0].step.direction:
            return None
        fault, link = self.faults[0], side.link
        if link.content_left is not None:
            # The publish has been seen: wait for the last frame of its content.
            if kind == CONTENT_HEADER:
                link.content_left = struct.unpack_from(">Q", frame, 11)[0]
            elif kind == BODY:
                link.content_left -= len(frame) - 8
            if link.content_left:
                return None
            link.content_left = None
            return fault
        if method not in fault.step.methods:
            return None
        if fault.skip:
            fault.skip -= 1
            return None
        if fault.step.with_content:
            link.content_left = -1
            return None
        return fault

    # How connections break.

    def _cut(self, link, step):
        if step.passes == "whole":
            # The broker has to get what was sent: a reset could overtake it.
            self._half_close_broker(link, step)
            link.client.write_closed = True
            link.broker.discard = True
            self._reset(link.client)
            link.client.ended = True
        else:
            for side in link.sides():
                self._reset(side)
            self._links.remove(link)

    def _reset(self, side):
        self._select(side, 0)
        side.pending = b""
        side.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        side.socket.close()

    def _stall(self, link, _step):
        """Nothing moves any more, and nobody is told."""
        for side in link.sides():
            if side.pending:
                try:
                    side.socket.send(side.pending)
                except OSError:
                    pass
            self._select(side, 0)
        self._links.remove(link)
        self._stalled.append(link)

    def _half_close_client(self, link, _step):
        """The client reads the end of the stream; what it writes still arrives."""
        link.client.finish = True
        link.broker.discard = True

    def _half_close_broker(self, link, _step):
        """The broker reads the end of the stream; what it writes still arrives."""
        link.broker.finish = True
        link.client.discard = True

    def _drop(self, link):
        for side in link.sides():
            if side.socket.fileno() >= 0:
                self._select(side, 0)
                side.socket.close()
        if link in self._links:
            self._links.remove(link)
