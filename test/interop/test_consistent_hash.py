"""Exchanges of type x-consistent-hash."""

import collections

import pika
import pytest
from pika_extras import PERSISTENT, channel_closed_with, drain, message_count, publish_confirmed

KEYS = [f"key-{number}" for number in range(400)]


def declare(channel, name, weights, **arguments):
    """One durable queue for each weight, bound with it."""
    arguments = {key.replace("_", "-"): value for key, value in arguments.items()}
    channel.exchange_declare(name, "x-consistent-hash", durable=True, arguments=arguments)
    queues = [f"{name}-{number}" for number in range(len(weights))]
    for queue, weight in zip(queues, weights):
        channel.queue_declare(queue, durable=True)
        channel.queue_bind(queue, name, weight)
    return queues


def where(channel, exchange, queues, keys=KEYS, properties=lambda key: PERSISTENT):
    """Which queue each key leads to."""
    channel.confirm_delivery()
    for key in keys:
        channel.basic_publish(exchange, key, key.encode(), properties(key), mandatory=True)
    return {body.decode(): queue for queue in queues for body in drain(channel, queue)}


def clean(channel, name, queues):
    channel.exchange_delete(name)
    for queue in queues:
        channel.queue_delete(queue)


def test_each_message_goes_to_one_queue_in_proportion_to_the_weights(channel, name):
    queues = declare(channel, name, ["1", "3"])
    found = where(channel, name, queues)
    assert sorted(found) == sorted(KEYS)
    shares = collections.Counter(found.values())
    assert 60 <= shares[queues[0]] <= 140
    assert shares[queues[0]] + shares[queues[1]] == len(KEYS)
    clean(channel, name, queues)


def test_a_key_stays_where_it_is_and_few_move_when_a_queue_comes(channel, name):
    queues = declare(channel, name, ["1", "1", "1"])
    before = where(channel, name, queues)
    assert where(channel, name, queues) == before
    queues = declare(channel, name, ["1", "1", "1", "1"])
    after = where(channel, name, queues)
    moved = [key for key in KEYS if after[key] != before[key]]
    assert 50 <= len(moved) <= 150
    assert {after[key] for key in moved} == {queues[3]}
    clean(channel, name, queues)


@pytest.mark.parametrize("argument, properties", [
    ({"hash_header": "customer"},
     lambda n: pika.BasicProperties(headers={"customer": f"c{n}"})),
    ({"hash_property": "message_id"}, lambda n: pika.BasicProperties(message_id=f"m{n}")),
    ({"hash_property": "correlation_id"}, lambda n: pika.BasicProperties(correlation_id=f"c{n}")),
    ({"hash_property": "timestamp"}, lambda n: pika.BasicProperties(timestamp=n)),
])
def test_headers_and_properties_can_decide(channel, name, argument, properties):
    queues = declare(channel, name, ["1"] * 4, **argument)
    for n in range(40):
        found = where(channel, name, queues, KEYS[:3], lambda _, n=n: properties(n))
        assert len(set(found.values())) == 1
    found = {tuple(where(channel, name, queues, ["k"], lambda _, n=n: properties(n)).values())
             for n in range(40)}
    assert len(found) > 1
    clean(channel, name, queues)


@pytest.mark.parametrize("weight", ["", "x", "0", "-1", "1.5"])
def test_a_weight_is_a_positive_integer(connection, channel, name, weight):
    channel.exchange_declare(name, "x-consistent-hash")
    channel.queue_declare(name)
    with channel_closed_with(406):
        channel.queue_bind(name, name, weight or " ")


@pytest.mark.parametrize("arguments", [
    {"hash-header": "a", "hash-property": "message_id"}, {"hash-property": "app_id"}])
def test_arguments_are_checked(connection, name, arguments):
    with channel_closed_with(406):
        connection.channel().exchange_declare(name, "x-consistent-hash", arguments=arguments)


def test_keys_lead_to_the_same_queues_after_a_kill(own_broker, name):
    channel = own_broker.connect().channel()
    queues = declare(channel, name, ["1", "2", "3"])
    before = where(channel, name, queues)
    publish_confirmed(channel, "kept", [b"kept"], name)
    own_broker.kill()
    own_broker.start()
    channel = own_broker.connect().channel()
    assert sum(message_count(channel, queue) for queue in queues) == 1
    for queue in queues:
        drain(channel, queue)
    assert where(channel, name, queues) == before
