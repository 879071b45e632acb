"""Exchanges of type x-delayed-message."""

import pika
import pytest
from pika_extras import Consumer, channel_closed_with

LATE_MS = 2500
EARLY_MS = 100


def delayed(milliseconds, **more):
    return pika.BasicProperties(delivery_mode=2, headers={"x-delay": milliseconds}, **more)


def declare(channel, name, kind="direct", durable=True):
    channel.exchange_declare(name, "x-delayed-message", durable=durable,
                             arguments={"x-delayed-type": kind})
    channel.queue_declare(name, durable=durable)


def take(channel, queue, count):
    """The first messages as they come."""
    consumer = Consumer(channel, queue, auto_ack=True)
    taken = [(properties, body) for _, properties, body in consumer.wait_for(count)]
    channel.basic_cancel(consumer.tag)
    return taken


def test_messages_come_when_their_time_has_come(channel, name):
    declare(channel, name)
    channel.queue_bind(name, name, "key")
    channel.confirm_delivery()
    channel.basic_publish(name, "key", b"late", delayed(LATE_MS), mandatory=True)
    channel.basic_publish(name, "key", b"early", delayed(EARLY_MS), mandatory=True)
    channel.basic_publish(name, "key", b"now", pika.BasicProperties(delivery_mode=2))
    taken = take(channel, name, 3)
    assert [body for _, body in taken] == [b"now", b"early", b"late"]
    assert taken[0][0].headers is None
    assert [properties.headers["x-delay"] for properties, _ in taken[1:]] == [-EARLY_MS, -LATE_MS]
    channel.exchange_delete(name)
    channel.queue_delete(name)


@pytest.mark.parametrize("kind, key, arguments", [
    ("fanout", "", {}), ("topic", "a.*", {}), ("headers", "", {"x-match": "all", "h": "v"}),
    ("x-consistent-hash", "1", {})])
def test_it_routes_like_the_type_it_names(channel, name, kind, key, arguments):
    declare(channel, name, kind)
    channel.queue_bind(name, name, key, arguments)
    headers = {"x-delay": 1, "h": "v"}
    channel.basic_publish(name, "a.b", b"body", pika.BasicProperties(headers=headers))
    (properties, body), = take(channel, name, 1)
    assert body == b"body"
    assert properties.headers == {"x-delay": -1, "h": "v"}
    channel.exchange_delete(name)
    channel.queue_delete(name)


def test_a_dead_letter_rests_before_it_comes_back(channel, name):
    """How people build a retry: rejected, it waits in the exchange and returns to its queue."""
    channel.exchange_declare(name, "x-delayed-message", arguments={"x-delayed-type": "fanout"})
    channel.queue_declare(name, arguments={"x-dead-letter-exchange": name})
    channel.queue_bind(name, name)
    channel.basic_publish("", name, b"again", delayed(EARLY_MS))
    consumer = Consumer(channel, name)
    (method, _, _), = consumer.wait_for(1)
    channel.basic_reject(method.delivery_tag, requeue=False)
    _, properties, body = consumer.wait_for(2)[1]
    assert body == b"again"
    assert properties.headers["x-delay"] == -EARLY_MS
    assert properties.headers["x-death"][0]["reason"] == "rejected"
    channel.exchange_delete(name)
    channel.queue_delete(name)


@pytest.mark.parametrize("arguments", [
    {}, {"x-delayed-type": "no-such-type"}, {"x-delayed-type": "x-delayed-message"},
    {"x-delayed-type": 1}])
def test_it_must_name_a_type(connection, name, arguments):
    with channel_closed_with(406):
        connection.channel().exchange_declare(name, "x-delayed-message", arguments=arguments)


def test_what_it_holds_back_cannot_be_reached_by_name(connection, channel, name):
    channel.exchange_declare(name, "x-delayed-message", arguments={"x-delayed-type": "fanout"})
    with channel_closed_with(404):
        connection.channel().queue_declare(name, passive=True)
    channel.exchange_delete(name)


def test_delays_go_on_after_a_kill(own_broker, name):
    channel = own_broker.connect().channel()
    declare(channel, name, "fanout")
    channel.queue_bind(name, name)
    channel.confirm_delivery()
    for number in range(20):
        channel.basic_publish(name, "", str(number).encode(), delayed(LATE_MS))
    own_broker.kill()
    own_broker.start()
    channel = own_broker.connect().channel()
    taken = take(channel, name, 20)
    assert sorted(int(body) for _, body in taken) == list(range(20))


def test_what_it_holds_back_goes_with_the_exchange(channel, name):
    declare(channel, name, "fanout")
    channel.queue_bind(name, name)
    channel.basic_publish(name, "", b"gone", delayed(EARLY_MS))
    channel.exchange_delete(name)
    declare(channel, name, "fanout")
    channel.queue_bind(name, name)
    channel.basic_publish(name, "", b"there", delayed(2 * EARLY_MS))
    (_, body), = take(channel, name, 1)
    assert body == b"there"
    channel.exchange_delete(name)
    channel.queue_delete(name)
