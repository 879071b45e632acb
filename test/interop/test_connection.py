"""Connections and channels: negotiation, limits, heartbeats, who is let in, who is hurt by errors."""

import struct
import time

import pika
import pytest
from pika import spec
from pika_extras import (Consumer, channel_closed_with, connection_closed_with, drain, get,
                         publish_confirmed)
from wire import HEARTBEAT, Closed, Wire, content, raw_frame


def as_bytes(text):
    return text.encode() if isinstance(text, str) else text


def test_the_broker_introduces_itself(broker):
    with Wire(broker) as wire:
        start = wire.start()
        assert (start.version_major, start.version_minor) == (0, 9)
        assert b"PLAIN" in as_bytes(start.mechanisms).split()
        capabilities = start.server_properties["capabilities"]
        for name in ("publisher_confirms", "basic.nack", "consumer_cancel_notify",
                     "exchange_exchange_bindings", "authentication_failure_close",
                     "connection.blocked", "consumer_priorities", "per_consumer_qos",
                     "direct_reply_to"):
            assert capabilities.get(name) is True, name
        assert start.server_properties["product"]
        assert start.server_properties["version"]


def test_a_thousand_channels_work_on_one_connection(connection, name):
    channels = [connection.channel() for _ in range(1000)]
    channels[0].queue_declare(name)
    for number, channel in enumerate(channels):
        channel.basic_publish("", name, b"%d" % number)
    for number, channel in enumerate(channels):
        get(channel, name)
    assert drain(channels[500], name) == []
    for channel in channels:
        channel.close()
    assert connection.channel().queue_delete(name).method.message_count == 0


def test_channel_numbers_can_be_used_again(connection, name):
    connection.channel().queue_declare(name)
    for number in range(200):
        channel = connection.channel(1 + number % 5 + 10)
        channel.basic_publish("", name, b"%d" % number)
        channel.close()
    assert len(drain(connection.channel(), name)) == 200


def test_the_negotiated_number_of_channels_is_the_limit(broker):
    with Wire(broker) as wire:
        wire.open(channel_max=5)
        for channel in range(1, 6):
            wire.open_channel(channel)
        wire.send_method(6, spec.Channel.Open())
        wire.expect_connection_close(504, 530)


def test_a_frame_size_that_the_client_asks_for_is_kept(broker, name):
    with Wire(broker) as wire:
        wire.open(frame_max=4096)
        wire.open_channel()
        wire.call(1, spec.Queue.Declare(queue=name), spec.Queue.DeclareOk)
        for part in range(3):
            wire.send_method(1, spec.Basic.Publish(routing_key=name))
            wire.send(pika.frame.Header(1, 10000, pika.BasicProperties()).marshal())
            for size in (4088, 4088, 1824):
                wire.send(raw_frame(3, 1, bytes(size)))
        wire.call(1, spec.Basic.Consume(queue=name, no_ack=True), spec.Basic.ConsumeOk)
        for part in range(3):
            wire.expect(spec.Basic.Deliver, 1)
            assert wire.read_frame().body_size == 10000
            received = 0
            while received < 10000:
                fragment = wire.read_frame().fragment
                assert len(fragment) <= 4088
                received += len(fragment)
        wire.close()


@pytest.mark.parametrize("frame_max", [4095, 100])
def test_a_frame_size_below_the_least_is_refused(broker, frame_max):
    with Wire(broker) as wire:
        wire.log_in()
        wire.tune(frame_max=frame_max)
        try:
            wire.send_method(0, spec.Connection.Open("/"))
            wire.expect_connection_close(501, 530)
        except Closed:
            pass


def test_an_idle_connection_with_heartbeats_lives(connect, name):
    connection = connect(heartbeat=1)
    channel = connection.channel()
    channel.queue_declare(name)
    until = time.monotonic() + 4
    while time.monotonic() < until:
        connection.process_data_events(time_limit=0.2)
    publish_confirmed(channel, name, [b"still here"])
    assert drain(channel, name) == [b"still here"]


def test_the_broker_sends_heartbeats_as_negotiated(broker):
    with Wire(broker) as wire:
        wire.open(heartbeat=1)
        started = time.monotonic()
        while wire.heartbeats < 3:
            wire.send(raw_frame(HEARTBEAT, 0, b""))
            kind, channel = wire.read_bytes(7)[:3:2]
            wire.read_bytes(1)
            assert (kind, channel) == (HEARTBEAT, 0)
            wire.heartbeats += 1
        assert time.monotonic() - started < 15
        wire.close()


def test_a_client_that_stops_answering_heartbeats_is_closed(broker):
    with Wire(broker) as wire:
        wire.open(heartbeat=1)
        started = time.monotonic()
        wire.expect_end(30)
        assert time.monotonic() - started >= 1, "the client had not missed two heartbeats yet"


def test_without_heartbeats_silence_is_fine(broker, channel):
    with Wire(broker) as wire:
        wire.open(heartbeat=0)
        channel.connection.process_data_events(time_limit=3)
        wire.open_channel()
        wire.close()


def test_traffic_counts_as_heartbeat(broker, name):
    with Wire(broker) as wire:
        wire.open(heartbeat=1)
        wire.open_channel()
        until = time.monotonic() + 4
        while time.monotonic() < until:
            wire.call(1, spec.Basic.Qos(), spec.Basic.QosOk)
        wire.close()


@pytest.mark.parametrize("user, password", [
    ("guest", "wrong"), ("guest", ""), ("nobody", "guest"), ("", "")])
def test_wrong_credentials_are_refused(broker, user, password):
    with pytest.raises(pika.exceptions.ProbableAuthenticationError) as caught:
        broker.connect(user=user, password=password)
    assert "ACCESS_REFUSED" in str(caught.value)


def test_wrong_credentials_just_end_the_connection_of_a_client_that_knows_no_better(broker):
    with Wire(broker) as wire:
        wire.log_in(password="wrong")
        try:
            wire.expect(spec.Connection.Close)
        except Closed:
            return
        wire.expect_end()


def test_a_wrong_password_gets_its_error_as_connection_close(broker):
    with Wire(broker) as wire:
        wire.log_in(password="wrong", capabilities=["authentication_failure_close"])
        wire.expect_connection_close(403)


def test_an_unknown_mechanism_is_refused(broker):
    with Wire(broker) as wire:
        wire.start()
        wire.send_method(0, spec.Connection.StartOk(
            {"capabilities": {"authentication_failure_close": True}}, "ROT13", "thrfg", "en_US"))
        try:
            wire.expect_connection_close(403, 503, 504, 530, 540, 541)
        except Closed:
            pass


def test_an_unknown_vhost_is_refused(broker):
    with connection_closed_with(530):
        broker.connect(vhost="no-such-vhost")


def test_an_error_of_a_channel_leaves_its_siblings_alone(connection, name):
    healthy = connection.channel()
    healthy.queue_declare(name)
    consumer = Consumer(healthy, name)
    for _ in range(20):
        with channel_closed_with(404):
            connection.channel().queue_declare(name + "-missing", passive=True)
    publish_confirmed(healthy, name, [b"1", b"2"])
    consumer.wait_for(2)
    assert connection.is_open and healthy.is_open


def test_an_error_of_a_connection_leaves_the_others_alone(broker, channel, name):
    channel.queue_declare(name)
    for _ in range(20):
        with Wire(broker) as wire:
            wire.open()
            wire.send_method(1, spec.Basic.Qos())
            wire.expect_connection_close(504)
    publish_confirmed(channel, name, [b"fine"])
    assert drain(channel, name) == [b"fine"]


def test_many_connections_come_and_go(broker):
    for _ in range(100):
        connection = broker.connect()
        connection.channel()
        connection.close()


def test_frames_after_a_channel_error_are_ignored_until_it_is_closed(broker, name):
    with Wire(broker) as wire:
        wire.open()
        wire.open_channel()
        wire.send_method(1, spec.Queue.Declare(queue=name, passive=True))
        wire.send_method(1, spec.Queue.Declare(queue=name))
        wire.send(content(1, spec.Basic.Publish(routing_key=name), b"ignored"))
        wire.expect_channel_close(1, 404)
        wire.open_channel()
        wire.send_method(1, spec.Queue.Declare(queue=name, passive=True))
        wire.expect_channel_close(1, 404)
        wire.close()


def test_several_channels_can_wait_for_answers_at_the_same_time(broker, name):
    with Wire(broker) as wire:
        wire.open()
        for channel in range(1, 51):
            wire.open_channel(channel)
        for channel in range(1, 51):
            wire.send_method(channel, spec.Queue.Declare(queue=f"{name}-{channel}"))
        answered = {wire.read_frame().channel_number for _ in range(50)}
        assert answered == set(range(1, 51))
        wire.close()


def test_a_new_secret_is_acknowledged_and_changes_nothing(broker, name):
    with Wire(broker) as wire:
        wire.open()
        wire.send(raw_frame(1, 0, struct.pack(">HHI", 10, 70, 5) + b"token" + b"\x07renewed"))
        # pika knows neither this method nor its answer.
        assert wire.read_bytes(12) == raw_frame(1, 0, struct.pack(">HH", 10, 71))
        wire.open_channel()
        wire.send_method(1, spec.Queue.Declare(queue=name, exclusive=True))
        wire.expect(spec.Queue.DeclareOk, 1)
        wire.close()
