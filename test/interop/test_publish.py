"""Where published messages go, that they arrive as they were, and what the publisher is told."""

import datetime
import decimal
import hashlib
import os
import random

import pika
import pytest
from pika_extras import (PERSISTENT, Consumer, channel_closed_with, connection_closed_with, drain,
                         get, publish_confirmed, round_trip, wait_on)


def bound_queue(channel, exchange, *keys):
    queue = channel.queue_declare("", exclusive=True).method.queue
    for key in keys:
        channel.queue_bind(queue, exchange, key)
    return queue


def publish_all(channel, exchange, keys):
    channel.confirm_delivery()
    for key in keys:
        channel.basic_publish(exchange, key, key.encode())


def test_the_default_exchange_routes_by_queue_name(channel, name):
    channel.queue_declare(name)
    publish_confirmed(channel, name, [b"hello"])
    method, _, body = get(channel, name)
    assert (method.exchange, method.routing_key, body) == ("", name, b"hello")
    assert not method.redelivered


def test_a_direct_exchange_routes_by_equal_keys(channel, name):
    channel.exchange_declare(name, "direct")
    red = bound_queue(channel, name, "red")
    both = bound_queue(channel, name, "red", "blue")
    publish_all(channel, name, ["red", "blue", "green"])
    assert drain(channel, red) == [b"red"]
    assert drain(channel, both) == [b"red", b"blue"]


def test_a_fanout_exchange_reaches_every_queue_once(channel, name):
    channel.exchange_declare(name, "fanout")
    queues = [bound_queue(channel, name, f"key-{n}", "another") for n in range(10)]
    publish_all(channel, name, ["x", "y"])
    for queue in queues:
        assert drain(channel, queue) == [b"x", b"y"]


def test_a_topic_exchange_knows_words_stars_and_hashes(channel, name):
    channel.exchange_declare(name, "topic")
    patterns = {"*.orange.*": ["quick.orange.rabbit"],
                "lazy.#": ["lazy", "lazy.orange", "lazy.brown.fox.jumps"],
                "#": ["", "quick.orange.rabbit", "lazy", "lazy.orange", "lazy.brown.fox.jumps",
                      "quick"],
                "*": ["", "lazy", "quick"],
                "#.fox.#": ["lazy.brown.fox.jumps"],
                "quick": ["quick"]}
    queues = {pattern: bound_queue(channel, name, pattern) for pattern in patterns}
    publish_all(channel, name, patterns["#"])
    for pattern, expected in patterns.items():
        if pattern == "*":
            expected = [key for key in expected if key]  # an empty key has no word
        found = [body.decode() for body in drain(channel, queues[pattern])]
        assert sorted(found) == sorted(expected), pattern


def test_exchanges_can_be_bound_to_exchanges(channel, name):
    channel.exchange_declare(name, "topic")
    channel.exchange_declare(name + "-inner", "fanout")
    channel.exchange_bind(name + "-inner", name, "a.#")
    queue = bound_queue(channel, name + "-inner", "")
    publish_all(channel, name, ["a.b", "b.a"])
    assert drain(channel, queue) == [b"a.b"]
    channel.exchange_unbind(name + "-inner", name, "a.#")
    publish_all(channel, name, ["a.b"])
    assert drain(channel, queue) == []


def test_a_queue_bound_twice_gets_a_message_once(channel, name):
    channel.exchange_declare(name, "topic")
    queue = bound_queue(channel, name, "a.*", "#", "a.b")
    publish_all(channel, name, ["a.b"])
    assert drain(channel, queue) == [b"a.b"]


def test_every_confirm_follows_its_landing(channel, name):
    channel.queue_declare(name, durable=True)
    publish_confirmed(channel, name, [b"%d" % n for n in range(500)])
    assert drain(channel, name) == [b"%d" % n for n in range(500)]


def test_an_unroutable_mandatory_message_comes_back_before_its_confirm(channel, name):
    channel.confirm_delivery()
    properties = pika.BasicProperties(message_id="42", headers={"k": "v"})
    with pytest.raises(pika.exceptions.UnroutableError) as caught:
        channel.basic_publish("amq.direct", name, b"come back", properties, mandatory=True)
    returned, = caught.value.messages
    assert returned.method.reply_code == 312
    assert (returned.method.exchange, returned.method.routing_key) == ("amq.direct", name)
    assert returned.properties.message_id == "42"
    assert returned.properties.headers == {"k": "v"}
    assert returned.body == b"come back"


def test_an_unroutable_message_that_is_not_mandatory_is_confirmed_and_dropped(channel, name):
    channel.confirm_delivery()
    channel.basic_publish("amq.direct", name, b"nobody wants me")


def test_an_unroutable_mandatory_message_comes_back_without_confirms_too(channel, name):
    returned = []
    channel.add_on_return_callback(lambda *message: returned.append(message))
    channel.basic_publish("amq.topic", name, b"back", mandatory=True)
    wait_on(channel.connection, lambda: returned, "basic.return")
    assert returned[0][3] == b"back"


def test_publishing_to_an_exchange_that_is_not_there_closes_the_channel(connection, name):
    channel = connection.channel()
    channel.confirm_delivery()
    with channel_closed_with(404):
        channel.basic_publish(name, "k", b"lost")
    connection.channel()


def test_publishing_to_an_internal_exchange_is_refused(connection, channel, name):
    channel.exchange_declare(name, "fanout", internal=True)
    other = connection.channel()
    other.confirm_delivery()
    with channel_closed_with(403):
        other.basic_publish(name, "", b"no")


def test_immediate_is_not_implemented(connect, name):
    # pika's blocking channel has no such flag.
    channel = connect().channel()
    channel.queue_declare(name)
    with connection_closed_with(540):
        channel._impl._send_method(
            pika.spec.Basic.Publish(exchange="", routing_key=name, immediate=True),
            (pika.BasicProperties(), b""))
        round_trip(channel)


def test_all_properties_arrive_as_they_were(channel, name):
    channel.queue_declare(name)
    sent = pika.BasicProperties(
        content_type="application/json", content_encoding="gzip", delivery_mode=2, priority=3,
        correlation_id="correlation", reply_to="reply", expiration="60000", message_id="id",
        timestamp=1234567890, type="type", user_id="guest", app_id="app", cluster_id="cluster",
        headers={"string": "text", "empty": "", "bytes": b"\x00\xff", "true": True, "false": False,
                 "int": -2, "long": 2**40, "decimal": decimal.Decimal("3.14"), "none": None,
                 "time": datetime.datetime(2024, 2, 29, 12, 30, 45),
                 "list": [1, "two", [3, None], {"four": 4}], "table": {"deep": {"deeper": [1]}},
                 "unicode": "Ærøskøbing ⛵"})
    publish_confirmed(channel, name, [b"body"], properties=sent)
    _, got, _ = get(channel, name)
    for key in ("content_type", "content_encoding", "delivery_mode", "priority", "correlation_id",
                "reply_to", "expiration", "message_id", "timestamp", "type", "user_id", "app_id",
                "cluster_id"):
        assert getattr(got, key) == getattr(sent, key), key
    assert got.headers == sent.headers


def test_a_message_without_any_property_arrives_without_any(channel, name):
    channel.queue_declare(name)
    publish_confirmed(channel, name, [b""], properties=pika.BasicProperties())
    _, got, body = get(channel, name)
    assert body == b""
    assert got.__dict__ == pika.BasicProperties().__dict__


def test_a_false_user_id_is_refused(connection, name):
    channel = connection.channel()
    channel.queue_declare(name)
    channel.confirm_delivery()
    with channel_closed_with(406):
        channel.basic_publish("", name, b"", pika.BasicProperties(user_id="somebody else"))


@pytest.mark.seconds(240)
@pytest.mark.parametrize("delivery_mode", [1, 2], ids=["transient", "persistent"])
def test_a_message_of_32_mib_arrives_byte_for_byte(connect, name, delivery_mode):
    channel = connect().channel()
    channel.queue_declare(name, durable=True)
    body = os.urandom(32 << 20)
    publish_confirmed(channel, name, [body],
                      properties=pika.BasicProperties(delivery_mode=delivery_mode))
    consumer = Consumer(channel, name)
    (method, _, received), = consumer.wait_for(1, 120)
    assert hashlib.sha256(received).digest() == hashlib.sha256(body).digest()
    channel.basic_ack(method.delivery_tag)
    assert channel.queue_delete(name).method.message_count == 0


@pytest.mark.parametrize("frame_max", [4096, 65536, 131072])
def test_bodies_around_the_frame_size_arrive_byte_for_byte(connect, name, frame_max):
    channel = connect(frame_max=frame_max).channel()
    channel.queue_declare(name)
    room = frame_max - 8
    sizes = [0, 1, room - 1, room, room + 1, 2 * room - 1, 2 * room, 2 * room + 1, 3 * room]
    bodies = [random.Random(size).randbytes(size) for size in sizes]
    publish_confirmed(channel, name, bodies)
    assert drain(channel, name) == bodies


def test_messages_of_one_channel_keep_their_order(connect, channel, name):
    channel.queue_declare(name, durable=True)
    # Persistent and transient ones mixed: none overtakes another.
    for number in range(2000):
        channel.basic_publish("", name, b"%d" % number,
                              pika.BasicProperties(delivery_mode=1 + number % 2))
    consumer = Consumer(connect().channel(), name, auto_ack=True)
    consumer.wait_for(2000)
    assert consumer.bodies == [b"%d" % n for n in range(2000)]


def test_messages_of_many_connections_all_arrive(connect, channel, name):
    channel.queue_declare(name, durable=True)
    publishers = [connect().channel() for _ in range(8)]
    for number in range(100):
        for index, publisher in enumerate(publishers):
            publisher.basic_publish("", name, b"%d/%d" % (index, number), PERSISTENT)
    consumer = Consumer(channel, name)
    consumer.wait_for(800)
    channel.basic_ack(0, multiple=True)
    for index in range(8):
        mine = [body for body in consumer.bodies if body.startswith(b"%d/" % index)]
        assert mine == [b"%d/%d" % (index, n) for n in range(100)]


def test_selecting_confirms_twice_does_no_harm(channel, name):
    channel.queue_declare(name)
    channel.confirm_delivery()
    channel._impl._rpc(pika.spec.Confirm.Select(), None, [pika.spec.Confirm.SelectOk])
    channel.basic_publish("", name, b"1", mandatory=True)
    assert get(channel, name)[2] == b"1"


@pytest.mark.ours
def test_a_repeat_with_a_producer_identity_is_confirmed_and_stored_once(connect, name):
    channel = connect().channel()
    channel.queue_declare(name, durable=True)

    def publish(sequence, epoch=1, lowest=1, producer="p", through=channel):
        publish_confirmed(through, name, [b"%d" % sequence], properties=pika.BasicProperties(
            delivery_mode=2, headers={"x-producer": producer, "x-producer-epoch": epoch,
                                      "x-producer-sequence": sequence,
                                      "x-producer-lowest": lowest}))

    publish(1)
    publish(3)
    publish(1)
    publish(2)  # a gap that is filled late
    publish(3)
    publish(2, through=connect().channel())
    publish(1, producer="another")
    publish(5, lowest=5)
    publish(4, lowest=4)  # below what was settled: a repeat
    assert drain(channel, name) == [b"1", b"3", b"2", b"1", b"5"]
    publish(5)
    assert drain(channel, name) == [], "a repeat of a message that was consumed long ago"


@pytest.mark.ours
def test_a_producer_of_an_older_epoch_is_fenced(connect, name):
    def publish(epoch, sequence):
        channel = connect().channel()
        try:
            publish_confirmed(channel, name, [b"%d.%d" % (epoch, sequence)],
                              properties=pika.BasicProperties(
                                  delivery_mode=2,
                                  headers={"x-producer": "p", "x-producer-epoch": epoch,
                                           "x-producer-sequence": sequence}))
        except (pika.exceptions.NackError, pika.exceptions.ChannelClosedByBroker):
            pass  # what counts is that it is not stored

    channel = connect().channel()
    channel.queue_declare(name, durable=True)
    publish(1, 1)
    publish(2, 1)  # sent again by the newer process: a repeat
    publish(1, 2)  # the older one is still alive: too late
    publish(2, 2)
    publish(2, 3)
    publish(1, 4)
    assert drain(channel, name) == [b"1.1", b"2.2", b"2.3"]


@pytest.mark.ours
@pytest.mark.parametrize("headers", [
    {"x-producer": "p", "x-producer-sequence": "one"},
    {"x-producer": "p", "x-producer-sequence": 0},
    {"x-producer": "", "x-producer-sequence": 1},
    {"x-producer": "p", "x-producer-sequence": 1, "x-producer-lowest": 2},
    {"x-producer": "p", "x-producer-sequence": 1, "x-producer-epoch": -1},
])
def test_a_producer_identity_that_cannot_be_is_refused(connection, name, headers):
    channel = connection.channel()
    channel.queue_declare(name)
    channel.confirm_delivery()
    with channel_closed_with(406):
        channel.basic_publish("", name, b"", pika.BasicProperties(headers=headers))
