"""The headers CC and BCC: a publisher that chooses further routing keys."""

import pika
import pytest
from pika_extras import channel_closed_with, drain, get, publish_confirmed


@pytest.fixture
def queues(channel, name):
    names = [f"{name}-{suffix}" for suffix in ("to", "cc", "bcc")]
    for queue in names:
        channel.queue_declare(queue)
    return names


def with_keys(**headers):
    return pika.BasicProperties(delivery_mode=2, headers=headers)


def test_every_key_gets_the_message_and_nobody_sees_bcc(channel, queues):
    to, cc, bcc = queues
    publish_confirmed(channel, to, [b"x"], properties=with_keys(CC=[cc, to], BCC=[bcc], k="v"))
    for queue in queues:
        method, properties, body = get(channel, queue)
        assert body == b"x"
        assert method.routing_key == to
        assert properties.headers == {"CC": [cc, to], "k": "v"}
        assert drain(channel, queue) == []


def test_keys_are_bound_like_any_other(channel, name):
    channel.exchange_declare(name, "topic")
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, name, "a.#")
    publish_confirmed(channel, "b", [b"x"], name, with_keys(BCC=["a.1", "a.2"]))
    assert drain(channel, queue) == [b"x"]


@pytest.mark.parametrize("header", ["CC", "BCC"])
def test_keys_that_are_no_array_are_refused(connection, name, header):
    channel = connection.channel()
    channel.confirm_delivery()
    with channel_closed_with(406):
        channel.basic_publish("", name, b"x", with_keys(**{header: "not an array"}))


def reject_one(channel, queue):
    method, _, _ = get(channel, queue, auto_ack=False)
    channel.basic_reject(method.delivery_tag, requeue=False)


def test_a_dead_letter_follows_all_of_its_keys(channel, name, queues):
    channel.exchange_declare(name, "direct")
    for queue in queues:
        channel.queue_bind(queue, name, queue)
    source = f"{name}-source"
    channel.queue_declare(source, arguments={"x-dead-letter-exchange": name})
    to, cc, bcc = queues
    publish_confirmed(channel, source, [b"x"], properties=with_keys(CC=[cc], BCC=[bcc]))
    assert drain(channel, cc) == drain(channel, bcc) == [b"x"]
    reject_one(channel, source)
    for queue in (cc, bcc):
        _, properties, body = get(channel, queue)
        assert body == b"x"
        assert properties.headers["CC"] == [cc]
        assert "BCC" not in properties.headers
        assert properties.headers["x-death"][0]["routing-keys"] == [source, cc]
    assert drain(channel, to) == []


def test_a_dead_letter_routing_key_takes_the_place_of_all_keys(channel, name, queues):
    to, cc, bcc = queues
    source = f"{name}-source"
    channel.queue_declare(source, arguments={"x-dead-letter-exchange": "",
                                             "x-dead-letter-routing-key": to})
    publish_confirmed(channel, source, [b"x"], properties=with_keys(CC=[cc], BCC=[bcc]))
    assert drain(channel, cc) == drain(channel, bcc) == [b"x"]
    reject_one(channel, source)
    _, properties, _ = get(channel, to)
    assert "CC" not in properties.headers
    assert drain(channel, cc) == drain(channel, bcc) == []
