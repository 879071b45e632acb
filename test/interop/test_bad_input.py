"""Bytes that no client should send: each gets a clear error, and the broker goes on serving others."""

import random
import struct

import pytest
from pika import spec
from pika_extras import drain, publish_confirmed
from wire import (BODY, CONTENT_HEADER, HEADER, HEARTBEAT, METHOD, Closed, Wire, content,
                  encode_method, method_frame, raw_frame)

FRAME_ERROR, SYNTAX_ERROR, COMMAND_INVALID = 501, 502, 503
CHANNEL_ERROR, UNEXPECTED_FRAME, NOT_ALLOWED, NOT_IMPLEMENTED = 504, 505, 530, 540


@pytest.fixture
def wire(broker):
    """An open connection with channel 1, and a look at the broker's health afterwards."""
    with Wire(broker) as wire:
        wire.open()
        wire.open_channel()
        yield wire


@pytest.fixture(autouse=True)
def others_are_served(broker):
    """Whatever a test does to its connection, that of somebody else works before and after it."""
    connection = broker.connect()
    channel = connection.channel()
    queue = channel.queue_declare("", exclusive=True).method.queue
    publish_confirmed(channel, queue, [b"before"])
    yield
    publish_confirmed(channel, queue, [b"after"])
    assert drain(channel, queue) == [b"before", b"after"]
    connection.close()


# Before the handshake.

@pytest.mark.parametrize("greeting", [
    b"AMQP\x00\x00\x09\x02", b"AMQP\x00\x01\x00\x00", b"AMQP\x03\x01\x00\x00",
    b"AMQP\x01\x01\x00\x0a", b"HTTP/1.1", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    bytes(8), b"\xff" * 8], ids=repr)
def test_a_wrong_protocol_header_is_answered_with_the_right_one(broker, greeting):
    with Wire(broker) as wire:
        wire.send(greeting)
        assert wire.read_bytes(8) == HEADER
        wire.expect_end()


def test_a_half_protocol_header_and_goodbye(broker):
    for size in range(8):
        with Wire(broker) as wire:
            wire.send(HEADER[:size])


def test_somebody_who_connects_and_says_nothing_is_shown_the_door(broker):
    with Wire(broker) as wire:
        wire.expect_end(40)


def test_somebody_who_stops_in_the_middle_of_the_handshake_is_shown_the_door(broker):
    with Wire(broker) as wire:
        wire.log_in()
        wire.expect(spec.Connection.Tune)
        wire.expect_end(40)


@pytest.mark.parametrize("seed", range(20))
def test_garbage_ends_the_connection(broker, seed):
    rng = random.Random(seed)
    with Wire(broker) as wire:
        if seed % 2:
            wire.start()
        garbage = rng.randbytes(rng.choice([10, 1000, 100000]))
        try:
            wire.send(garbage)
        except ConnectionError:
            return
        wire.expect_end()


# Frames.

def test_a_wrong_frame_end_is_a_frame_error(wire):
    wire.send(raw_frame(METHOD, 1, encode_method(spec.Basic.Qos()), end=b"\x00"))
    wire.expect_connection_close(FRAME_ERROR)


def test_a_frame_over_the_limit_is_a_frame_error(broker):
    with Wire(broker) as wire:
        wire.open(frame_max=4096)
        wire.open_channel()
        wire.send(raw_frame(METHOD, 1, bytes(5000)))
        wire.expect_connection_close(FRAME_ERROR)


def test_a_frame_that_claims_four_gigabytes_is_a_frame_error_at_once(wire):
    wire.send(struct.pack(">BHI", BODY, 1, 0xFFFFFFFF))
    wire.expect_connection_close(FRAME_ERROR)


def test_a_large_frame_before_the_limit_is_agreed_on_is_refused(broker):
    with Wire(broker) as wire:
        wire.start()
        wire.send(struct.pack(">BHI", METHOD, 0, 100 << 20))
        try:
            wire.expect_connection_close(FRAME_ERROR)
        except Closed:
            pass


@pytest.mark.parametrize("kind", [0, 4, 7, 9, 255])
def test_an_unknown_frame_type_is_a_frame_error(wire, kind):
    wire.send(raw_frame(kind, 1, b"data"))
    wire.expect_connection_close(FRAME_ERROR)


def test_frames_in_single_bytes_are_fine(broker):
    with Wire(broker) as wire:
        for byte in HEADER:
            wire.send(bytes([byte]))
        wire.expect(spec.Connection.Start)
        response = spec.Connection.StartOk({}, "PLAIN", "\0guest\0guest", "en_US")
        for byte in method_frame(0, response):
            wire.send(bytes([byte]))
        wire.tune()
        wire.call(0, spec.Connection.Open("/"), spec.Connection.OpenOk)
        wire.close()


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_half_a_frame_and_goodbye_publishes_nothing(broker, connection, name, share):
    channel = connection.channel()
    channel.queue_declare(name)
    with Wire(broker) as wire:
        wire.open()
        wire.open_channel()
        data = content(1, spec.Basic.Publish(routing_key=name), bytes(1000))
        wire.send(data[:int(len(data) * share)])
    assert drain(channel, name) == []


def test_a_heartbeat_on_a_channel_is_an_error(wire):
    wire.send(raw_frame(HEARTBEAT, 1, b""))
    wire.expect_connection_close(FRAME_ERROR, COMMAND_INVALID, UNEXPECTED_FRAME)


# Content.

def test_a_body_without_a_method_is_unexpected(wire):
    wire.send(raw_frame(BODY, 1, b"data"))
    wire.expect_connection_close(UNEXPECTED_FRAME)


def test_a_content_header_without_a_method_is_unexpected(wire):
    wire.send(raw_frame(CONTENT_HEADER, 1, struct.pack(">HHQH", 60, 0, 4, 0)))
    wire.expect_connection_close(UNEXPECTED_FRAME)


def test_a_method_instead_of_content_is_unexpected(wire):
    wire.send_method(1, spec.Basic.Publish(routing_key="q"))
    wire.send_method(1, spec.Basic.Qos())
    wire.expect_connection_close(UNEXPECTED_FRAME)


def test_a_body_instead_of_its_header_is_unexpected(wire):
    wire.send_method(1, spec.Basic.Publish(routing_key="q"))
    wire.send(raw_frame(BODY, 1, b"data"))
    wire.expect_connection_close(UNEXPECTED_FRAME)


def test_a_second_content_header_is_unexpected(wire):
    wire.send_method(1, spec.Basic.Publish(routing_key="q"))
    for _ in range(2):
        wire.send(raw_frame(CONTENT_HEADER, 1, struct.pack(">HHQH", 60, 0, 4, 0)))
    wire.expect_connection_close(UNEXPECTED_FRAME)


def test_a_method_in_the_middle_of_a_body_is_unexpected(wire):
    wire.send_method(1, spec.Basic.Publish(routing_key="q"))
    wire.send(raw_frame(CONTENT_HEADER, 1, struct.pack(">HHQH", 60, 0, 10, 0)))
    wire.send(raw_frame(BODY, 1, b"12345"))
    wire.send_method(1, spec.Basic.Qos())
    wire.expect_connection_close(UNEXPECTED_FRAME)


def test_a_content_header_of_another_class_is_an_error(wire):
    wire.send_method(1, spec.Basic.Publish(routing_key="q"))
    wire.send(raw_frame(CONTENT_HEADER, 1, struct.pack(">HHQH", 50, 0, 4, 0)))
    wire.expect_connection_close(FRAME_ERROR, SYNTAX_ERROR, UNEXPECTED_FRAME)


@pytest.mark.ours
def test_more_body_than_announced_is_a_frame_error(wire):
    wire.send_method(1, spec.Basic.Publish(routing_key="q"))
    wire.send(raw_frame(CONTENT_HEADER, 1, struct.pack(">HHQH", 60, 0, 3, 0)))
    wire.send(raw_frame(BODY, 1, b"12345"))
    wire.expect_connection_close(FRAME_ERROR, UNEXPECTED_FRAME)


@pytest.mark.ours
def test_a_message_that_claims_to_be_enormous_is_refused_before_it_is_sent(wire):
    wire.send_method(1, spec.Basic.Publish(routing_key="q"))
    wire.send(raw_frame(CONTENT_HEADER, 1, struct.pack(">HHQH", 60, 0, 1 << 62, 0)))
    wire.expect_channel_close(1, 406)
    wire.open_channel(2)


@pytest.mark.parametrize("properties", [
    b"\x80\x00", b"\x80\x00\xff", b"\x20\x00\x00\x00\xff\xff", b"\x20\x00\x7f\xff\xff\xff",
    b"\x20\x00\x00\x00\x00\x05\x03abc?"], ids=repr)
@pytest.mark.ours
def test_broken_properties_are_a_syntax_error(wire, properties):
    wire.send_method(1, spec.Basic.Publish(routing_key="q"))
    wire.send(raw_frame(CONTENT_HEADER, 1, struct.pack(">HHQ", 60, 0, 0) + properties))
    wire.expect_connection_close(SYNTAX_ERROR)


# Methods.

@pytest.mark.ours
@pytest.mark.parametrize("class_id, method_id", [(60, 999), (61, 10), (0, 0), (65535, 65535)])
def test_an_unknown_method_is_an_invalid_command(wire, class_id, method_id):
    wire.send(raw_frame(METHOD, 1, struct.pack(">HH", class_id, method_id)))
    wire.expect_connection_close(COMMAND_INVALID, NOT_IMPLEMENTED)


@pytest.mark.parametrize("payload", [b"", b"\x00", b"\x00\x3c", b"\x00\x3c\x00"], ids=repr)
@pytest.mark.ours
def test_a_method_frame_without_a_whole_method_id_is_a_frame_or_syntax_error(wire, payload):
    wire.send(raw_frame(METHOD, 1, payload))
    wire.expect_connection_close(FRAME_ERROR, SYNTAX_ERROR, COMMAND_INVALID)


@pytest.mark.parametrize("method", [
    spec.Queue.Declare(queue="some-queue"), spec.Basic.Publish(routing_key="key"),
    spec.Basic.Consume(queue="q"), spec.Exchange.Declare(exchange="e", type="fanout"),
    spec.Basic.Ack(5)],
    ids=lambda method: method.NAME)
@pytest.mark.ours
def test_arguments_that_are_cut_short_are_a_syntax_error(wire, method):
    wire.send(raw_frame(METHOD, 1, encode_method(method)[:-1]))
    wire.expect_connection_close(SYNTAX_ERROR)


@pytest.mark.parametrize("table", [
    b"\x00\x00\x00\x01\x05", b"\x00\x00\x00\x03\x01k?", b"\x00\x00\x00\x07\x01kS\xff\xff\xff\xff",
    b"\xff\xff\xff\xff", b"\x00\x00\x00\x07\x01kF\xff\xff\xff\xff"], ids=repr)
@pytest.mark.ours
def test_a_broken_table_is_a_syntax_error(wire, table):
    declare = struct.pack(">IH", spec.Queue.Declare.INDEX, 0) + b"\x01q\x00" + table
    wire.send(raw_frame(METHOD, 1, declare))
    wire.expect_connection_close(SYNTAX_ERROR)


@pytest.mark.ours
def test_tables_within_tables_without_end_are_a_syntax_error(wire):
    table = b""
    for _ in range(10000):
        table = b"\x01kF" + struct.pack(">I", len(table)) + table
    declare = (struct.pack(">IH", spec.Queue.Declare.INDEX, 0) + b"\x01q\x00" +
               struct.pack(">I", len(table)) + table)
    wire.send(raw_frame(METHOD, 1, declare))
    wire.expect_connection_close(SYNTAX_ERROR)


def test_a_method_on_a_channel_that_is_not_open_is_a_channel_error(wire):
    wire.send_method(2, spec.Basic.Qos())
    wire.expect_connection_close(CHANNEL_ERROR)


def test_opening_a_channel_twice_is_a_channel_error(wire):
    wire.send_method(1, spec.Channel.Open())
    wire.expect_connection_close(CHANNEL_ERROR, COMMAND_INVALID)


def test_a_channel_method_on_channel_zero_is_an_error(wire):
    wire.send_method(0, spec.Basic.Qos())
    wire.expect_connection_close(COMMAND_INVALID, CHANNEL_ERROR, UNEXPECTED_FRAME)


def test_a_connection_method_on_a_channel_is_an_error(wire):
    wire.send_method(1, spec.Connection.Open("/"))
    wire.expect_connection_close(COMMAND_INVALID, CHANNEL_ERROR, UNEXPECTED_FRAME)


@pytest.mark.ours
@pytest.mark.parametrize("method", [
    spec.Basic.Deliver("tag", 1, False, "", ""), spec.Queue.DeclareOk("q", 0, 0),
    spec.Basic.ConsumeOk("tag"), spec.Basic.GetEmpty()], ids=lambda method: method.NAME)
def test_a_method_that_only_brokers_send_is_an_error(wire, method):
    wire.send_method(1, method)
    wire.expect_connection_close(COMMAND_INVALID, NOT_IMPLEMENTED, NOT_ALLOWED, CHANNEL_ERROR)


@pytest.mark.parametrize("method", [
    spec.Connection.Open("/"), spec.Connection.TuneOk(0, 0, 0), spec.Connection.SecureOk("x"),
    spec.Connection.CloseOk(), spec.Channel.Open()], ids=lambda method: method.NAME)
def test_a_handshake_out_of_order_ends_the_connection(broker, method):
    with Wire(broker) as wire:
        wire.start()
        wire.send_method(1 if isinstance(method, spec.Channel.Open) else 0, method)
        try:
            wire.expect_connection_close(FRAME_ERROR, COMMAND_INVALID, CHANNEL_ERROR,
                                         UNEXPECTED_FRAME, NOT_ALLOWED)
        except Closed:
            pass


def test_a_second_handshake_is_an_error(wire):
    wire.send_method(0, spec.Connection.StartOk({}, "PLAIN", "\0guest\0guest", "en_US"))
    wire.expect_connection_close(COMMAND_INVALID, CHANNEL_ERROR, UNEXPECTED_FRAME, NOT_ALLOWED)


def test_prefetch_by_size_and_inactive_flow_are_not_implemented(broker):
    for method in (spec.Basic.Qos(prefetch_size=10), spec.Channel.Flow(False),
                   spec.Basic.Recover(requeue=False)):
        with Wire(broker) as wire:
            wire.open()
            wire.open_channel()
            wire.send_method(1, method)
            wire.expect_connection_close(NOT_IMPLEMENTED)


@pytest.mark.parametrize("seed", range(30))
def test_random_damage_to_a_good_conversation_never_stops_the_broker(broker, name, seed):
    rng = random.Random(seed)
    good = b"".join([
        method_frame(1, spec.Queue.Declare(queue=name)),
        method_frame(1, spec.Confirm.Select()),
        *(content(1, spec.Basic.Publish(routing_key=name), rng.randbytes(size))
          for size in (0, 10, 5000)),
        method_frame(1, spec.Basic.Consume(queue=name, consumer_tag="c")),
        method_frame(1, spec.Basic.Ack(1)),
        method_frame(1, spec.Basic.Recover(requeue=True)),
        method_frame(1, spec.Queue.Delete(queue=name)),
        method_frame(1, spec.Channel.Close(0, "", 0, 0))])
    with Wire(broker) as wire:
        wire.open()
        wire.open_channel()
        damaged = bytearray(good)
        for _ in range(rng.randint(1, 5)):
            place = rng.randrange(len(damaged))
            what = rng.randrange(3)
            if what == 0:
                damaged[place] ^= 1 << rng.randrange(8)
            elif what == 1:
                del damaged[place:place + rng.randint(1, 20)]
            else:
                damaged[place:place] = rng.randbytes(rng.randint(1, 20))
        try:
            wire.send(bytes(damaged))
            wire.socket.shutdown(1)
            wire.expect_end()
        except OSError:
            pass
