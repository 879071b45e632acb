"""Transactions: tx.select, tx.commit, tx.rollback."""

import pika
import pytest
from pika_extras import (PERSISTENT, Consumer, channel_closed_with, drain, get, message_count,
                         publish_confirmed, settle_down, wait_on)


@pytest.fixture
def tx(connection):
    channel = connection.channel()
    channel.tx_select()
    return channel


def test_a_commit_publishes_what_came_before_it(channel, tx, name):
    channel.queue_declare(name, durable=True)
    for number in range(100):
        tx.basic_publish("", name, b"%d" % number, PERSISTENT)
    assert message_count(channel, name) == 0
    tx.tx_commit()
    assert message_count(channel, name) == 100
    assert drain(channel, name) == [b"%d" % number for number in range(100)]


def test_a_commit_reaches_queues_of_many_shards(channel, tx, name):
    queues = [f"{name}-{number}" for number in range(20)]
    for queue in queues:
        channel.queue_declare(queue, durable=True)
        channel.queue_bind(queue, "amq.fanout")
    for number in range(10):
        tx.basic_publish("amq.fanout", "", b"%d" % number, PERSISTENT)
    tx.tx_commit()
    for queue in queues:
        assert drain(channel, queue) == [b"%d" % number for number in range(10)]
        channel.queue_delete(queue)


def test_a_rollback_forgets_what_was_published(channel, tx, name):
    channel.queue_declare(name)
    tx.basic_publish("", name, b"never")
    tx.tx_rollback()
    tx.basic_publish("", name, b"then")
    tx.tx_commit()
    assert drain(channel, name) == [b"then"]


def test_acks_count_at_the_commit_only(connection, tx, name):
    tx.queue_declare(name, durable=True)
    publish_confirmed(connection.channel(), name, [b"1", b"2", b"3"])
    consumer = Consumer(tx, name)
    consumer.wait_for(3)
    consumer.ack(1, multiple=True)
    tx.close()
    other = connection.channel()
    assert [get(other, name, auto_ack=False)[2] for _ in range(3)] == [b"1", b"2", b"3"]


def test_a_committed_ack_is_for_ever(connection, tx, name):
    tx.queue_declare(name, durable=True)
    publish_confirmed(connection.channel(), name, [b"1", b"2", b"3"])
    consumer = Consumer(tx, name)
    consumer.wait_for(3)
    consumer.ack(1, multiple=True)
    tx.tx_commit()
    tx.close()
    assert drain(connection.channel(), name) == [b"3"]


def test_after_a_rollback_the_same_deliveries_can_be_acked_again(connection, tx, name):
    tx.queue_declare(name)
    publish_confirmed(connection.channel(), name, [b"1", b"2"])
    consumer = Consumer(tx, name)
    consumer.wait_for(2)
    consumer.ack(0)
    tx.tx_rollback()
    settle_down(connection)
    assert len(consumer.deliveries) == 2  # not delivered anew
    consumer.ack(1, multiple=True)
    tx.tx_commit()
    tx.close()
    assert drain(connection.channel(), name) == []


def test_mandatory_messages_come_back_at_the_commit(connection, tx, name):
    returned = []
    tx.add_on_return_callback(lambda *message: returned.append(message))
    tx.basic_publish("", name, b"back", mandatory=True)
    settle_down(connection)
    assert returned == []
    tx.tx_commit()
    wait_on(connection, lambda: returned, "basic.return")
    assert returned[0][3] == b"back"


def test_publishing_to_an_exchange_that_is_not_there_fails_at_once(tx, name):
    with channel_closed_with(404):
        tx.basic_publish(name, "k", b"lost")
        tx.tx_commit()


def test_a_channel_confirms_or_has_transactions(connection, tx):
    with channel_closed_with(406):
        tx.confirm_delivery()
    channel = connection.channel()
    channel.confirm_delivery()
    with channel_closed_with(406):
        channel.tx_select()


@pytest.mark.parametrize("end", ["tx_commit", "tx_rollback"])
def test_without_select_there_is_no_transaction_to_end(channel, end):
    with channel_closed_with(406):
        getattr(channel, end)()


def test_what_was_committed_survives_a_kill(own_broker, name):
    channel = own_broker.connect().channel()
    channel.queue_declare(name, durable=True)
    channel.tx_select()
    for number in range(50):
        channel.basic_publish("", name, b"%d" % number, PERSISTENT)
    channel.tx_commit()
    channel.basic_publish("", name, b"not committed", PERSISTENT)
    own_broker.kill()
    own_broker.start()
    assert drain(own_broker.connect().channel(), name) == [b"%d" % n for n in range(50)]


def test_a_commit_with_acks_survives_a_kill(own_broker, name):
    channel = own_broker.connect().channel()
    channel.queue_declare(name, durable=True)
    channel.queue_declare(f"{name}-out", durable=True)
    publish_confirmed(channel.connection.channel(), name, [b"in"])
    channel.tx_select()
    method, _, _ = get(channel, name, auto_ack=False)
    channel.basic_publish("", f"{name}-out", b"out", pika.BasicProperties(delivery_mode=2))
    channel.basic_ack(method.delivery_tag)
    channel.tx_commit()
    own_broker.kill()
    own_broker.start()
    channel = own_broker.connect().channel()
    assert drain(channel, name) == []
    assert drain(channel, f"{name}-out") == [b"out"]
