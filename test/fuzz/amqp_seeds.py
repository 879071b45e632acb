#!/usr/bin/env python3
"""Writes the seeds of corpus/amqp_decode: what clients and servers send, and broken variants.

The bytes are put together here from the specification and not by Landfall's encoder, so that the two
cannot agree on a mistake. Other files in that folder were found by the fuzzer.
"""

import pathlib
import struct

FOLDER = pathlib.Path(__file__).resolve().parent / "corpus" / "amqp_decode"


def short(text):
    text = text.encode() if isinstance(text, str) else text
    return bytes([len(text)]) + text


def long(text):
    text = text.encode() if isinstance(text, str) else text
    return struct.pack(">I", len(text)) + text


def table(**entries):
    return long(b"".join(short(name.replace("_", "-")) + value for name, value in entries.items()))


def text(value):
    return b"S" + long(value)


def frame(kind, channel, payload, end=b"\xce"):
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + end


def method(class_id, method_id, fields=b"", channel=1):
    return frame(1, channel, struct.pack(">HH", class_id, method_id) + fields)


def content(properties, body, channel=1):
    header = struct.pack(">HHQ", 60, 0, len(body)) + properties
    return frame(2, channel, header) + (frame(3, channel, body) if body else b"")


U64 = struct.Struct(">Q").pack

EVERY_TYPE = table(
    t=b"t\1", b=b"b\x80", B=b"B\xff", s=b"s\x80\0", U=b"U\x7f\xff", u=b"u\xff\xff",
    I=b"I\x80\0\0\0", i=b"i\xff\xff\xff\xff", l=b"l\x80\0\0\0\0\0\0\0", L=b"L\0\0\0\0\0\0\0\1",
    f=b"f\x3f\xc0\0\0", d=b"d\x3f\xf8\0\0\0\0\0\0", D=b"D\2\0\0\1\2", S=text("text"),
    x=b"x" + long(b"\0\xff"), T=b"T\0\0\0\0\x65\x53\xf1\0", V=b"V",
    A=b"A" + long(b"t\0" + text("two") + b"A" + long(b"")), F=b"F" + table(inner=b"F" + table()))

CAPABILITIES = b"F" + table(publisher_confirms=b"t\1", consumer_cancel_notify=b"t\1",
                            landfall_extensions=b"t\1").replace(b"landfall-", b"landfall.")

EVERY_PROPERTY = (struct.pack(">H", 0xfffc) + short("application/json") + short("gzip") +
                  table(x_death=b"A" + long(b"F" + table(count=b"l" + U64(3), reason=text("expired"))))
                  + b"\2\5" + short("correlation") + short("amq.rabbitmq.reply-to") +
                  short("60000") + short("id-1") + U64(1700000000) + short("type") +
                  short("guest") + short("app") + short(""))


def nested(depth, letter):
    inner = b""
    for _ in range(depth):
        inner = (b"\1k" if letter == b"F" else b"") + letter + long(inner)
    return inner if letter == b"F" else b"\1k" + b"A" + long(inner)


PUBLISH = method(60, 40, b"\0\0" + short("amq.topic") + short("orders.eu") + b"\1")

SEEDS = {
    "handshake_client":
        method(10, 11, table(product=text("client"), capabilities=CAPABILITIES) + short("PLAIN") +
               long(b"\0guest\0guest") + short("en_US"), 0) +
        method(10, 31, struct.pack(">HIH", 2047, 131072, 60), 0) +
        method(10, 40, short("/") + short("") + b"\0", 0),
    "handshake_server":
        method(10, 10, b"\0\x09" + table(product=text("Landfall"), capabilities=CAPABILITIES) +
               long("PLAIN AMQPLAIN") + long("en_US"), 0) +
        method(10, 20, long("challenge"), 0) + method(10, 30, struct.pack(">HIH", 2047, 4096, 0), 0) +
        method(10, 41, short(""), 0),
    "handshake_amqplain":
        method(10, 11, table() + short("AMQPLAIN") +
               long(table(LOGIN=text("guest"), PASSWORD=text("guest"))[4:]) + short("en_US"), 0),
    "protocol_header": b"AMQP\0\0\x09\x01",
    "protocol_header_1_0": b"AMQP\0\1\0\0",
    "protocol_header_http": b"GET / HTTP/1.1\r\n\r\n",
    "blocked": method(10, 60, short("disk"), 0) + method(10, 61, b"", 0) +
               method(10, 70, long("token") + short("expires"), 0) + method(10, 71, b"", 0),
    "channel": method(20, 10, short("")) + method(20, 11, long("")) + method(20, 20, b"\1") +
               method(20, 21, b"\1") + method(20, 41),
    "close": method(20, 40, struct.pack(">H", 404) + short("NOT_FOUND - no queue 'q' in vhost '/'") +
                    struct.pack(">HH", 50, 10)) +
             method(10, 50, struct.pack(">H", 320) + short("CONNECTION_FORCED") + b"\0\0\0\0", 0) +
             method(10, 51, b"", 0),
    "topology":
        method(40, 10, b"\0\0" + short("orders") + short("topic") + b"\2" +
               table(alternate_exchange=text("lost"))) +
        method(50, 10, b"\0\0" + short("orders.eu") + b"\2" +
               table(x_queue_type=text("quorum"), x_max_length=b"I\0\0\x03\xe8",
                     x_message_ttl=b"l" + U64(60000))) +
        method(50, 20, b"\0\0" + short("orders.eu") + short("orders") + short("eu.#") + b"\0" +
               table()) +
        method(50, 50, b"\0\0" + short("orders.eu") + short("orders") + short("eu.#") + table()) +
        method(40, 30, b"\0\0" + short("a") + short("b") + short("k") + b"\0" + table()) +
        method(50, 11, short("orders.eu") + struct.pack(">II", 7, 1)),
    "delete": method(50, 30, b"\0\0" + short("q") + b"\0") + method(50, 31, b"\0\0\0\7") +
              method(50, 40, b"\0\0" + short("q") + b"\3") + method(50, 41, b"\0\0\0\0") +
              method(40, 20, b"\0\0" + short("x") + b"\1") + method(40, 21) +
              method(40, 40, b"\0\0" + short("a") + short("b") + short("k") + b"\0" + table()) +
              method(40, 51),
    "publish": PUBLISH + content(b"\x90\0" + short("text/plain") + b"\2", b"hello"),
    "publish_empty": PUBLISH + content(b"\0\0", b""),
    "publish_every_property": PUBLISH + content(EVERY_PROPERTY, b"{}"),
    "publish_pipelined": (PUBLISH + content(b"\x10\0\2", b"x")) * 4,
    "deliver": method(60, 60, short("amq.ctag-1") + U64(1) + b"\1" + short("") + short("q")) +
               content(b"\x30\0" + table(x_delivery_count=b"l" + U64(2)) + b"\2", b"hello"),
    "return": method(60, 50, struct.pack(">H", 312) + short("NO_ROUTE") + short("x") + short("k")) +
              content(b"\0\0", b"hello"),
    "get": method(60, 70, b"\0\0" + short("q") + b"\1") + method(60, 72, short("")) +
           method(60, 71, U64(9) + b"\0" + short("") + short("q") + b"\0\0\0\5") +
           content(b"\0\0", b"hello"),
    "consume": method(60, 10, struct.pack(">IHB", 0, 100, 0)) + method(60, 11) +
               method(60, 20, b"\0\0" + short("q") + short("") + b"\2" +
                      table(x_priority=b"I\0\0\0\5")) +
               method(60, 21, short("amq.ctag-1")) + method(60, 30, short("amq.ctag-1") + b"\0") +
               method(60, 31, short("amq.ctag-1")),
    "settle": method(60, 80, U64(7) + b"\1") + method(60, 90, U64(8) + b"\1") +
              method(60, 120, U64(9) + b"\3") + method(60, 110, b"\1") + method(60, 100, b"\1") +
              method(60, 111),
    "confirm_and_tx": method(85, 10, b"\0") + method(85, 11) +
                      b"".join(method(90, m) for m in (10, 11, 20, 21, 30, 31)),
    "landfall": method(19526, 10, U64(5) + b"\1\1") + method(19526, 20, U64(5) + b"\0\0\x27\x10") +
                method(19526, 30, U64(5) + b"\0\0\x75\x30") + method(19526, 40, U64(5) + b"\1") +
                method(19526, 41, U64(5) + b"\1"),
    "access": method(30, 10, short("/data") + b"\x1f") + method(30, 11, b"\0\1"),
    "heartbeat": frame(8, 0, b""),
    "every_type": method(50, 10, b"\0\0" + short("q") + b"\0" + EVERY_TYPE),
    "every_type_bare": EVERY_TYPE[4:],
    "properties_bare": EVERY_PROPERTY,
    "nested_tables_32": nested(31, b"F"),
    "nested_tables_33": nested(32, b"F"),
    "nested_arrays_32": nested(30, b"A"),
    "nested_arrays_33": nested(31, b"A"),
    "repeated_names": b"\1kt\1\1kI\0\0\0\7\1k" + text("k"),
    "floats": table(nan=b"d\x7f\xf8\0\0\0\0\0\1", minus_zero=b"d\x80\0\0\0\0\0\0\0",
                    signalling=b"f\x7f\x80\0\1")[4:],
    "bool_7": b"\1kt\7",
    "broken_end": frame(1, 1, b"\0\x3c\0\x0b", b"\xcf"),
    "broken_type": frame(4, 1, b""),
    "broken_size": b"\3\0\1\xff\xff\xff\xff",
    "broken_size_above_max": b"\3\0\1\0\0\x0f\xf9" + b"x" * 20,
    "broken_truncated": (PUBLISH + content(EVERY_PROPERTY, b"{}"))[:-30],
    "broken_unknown_method": method(60, 41) + method(99, 1) + method(0, 0),
    "broken_too_long": method(60, 80, U64(7) + b"\1\0"),
    "broken_too_short": method(60, 80, U64(7)) + frame(1, 1, b"\0\x3c"),
    "broken_short_string": method(60, 40, b"\0\0\xffx"),
    "broken_table_length": method(50, 10, b"\0\0" + short("q") + b"\0\0\0\0\x10\1k"),
    "broken_table_type": method(50, 10, b"\0\0" + short("q") + b"\0" + table(k=b"z")),
    "broken_inner_length": b"\1kF\0\0\0\x09\1kt\1" + b"\1lA\xff\xff\xff\xff",
    "broken_flags": PUBLISH + frame(2, 1, struct.pack(">HHQ", 60, 0, 0) + b"\0\1\0\0"),
    "broken_weight": PUBLISH + frame(2, 1, struct.pack(">HHQ", 60, 1, 0) + b"\0\0"),
}


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, seed in SEEDS.items():
        (FOLDER / name).write_bytes(seed)


if __name__ == "__main__":
    main()
