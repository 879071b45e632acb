"""Exchanges, queues and bindings: what declaring, checking and deleting them does and refuses."""

import pika
import pytest
from broker import wait_until
from pika import spec
from pika_extras import (Consumer, channel_closed_with, connection_closed_with, consumer_count,
                         drain, get, message_count, publish_confirmed, round_trip, wait_on)
from wire import Wire

LOCKED, NOT_FOUND, PRECONDITION_FAILED, ACCESS_REFUSED = 405, 404, 406, 403
COMMAND_INVALID = 503


def test_a_declared_queue_answers_with_its_name_and_counts(channel, name):
    ok = channel.queue_declare(name, durable=True).method
    assert (ok.queue, ok.message_count, ok.consumer_count) == (name, 0, 0)
    publish_confirmed(channel, name, [b"1", b"2"])
    channel.basic_consume(name, lambda *_: None)
    ok = channel.queue_declare(name, durable=True).method
    assert ok.consumer_count == 1


def test_a_queue_that_is_declared_again_the_same_way_keeps_its_messages(channel, name):
    channel.queue_declare(name, durable=True)
    publish_confirmed(channel, name, [b"kept"])
    assert channel.queue_declare(name, durable=True).method.message_count == 1


@pytest.mark.parametrize("difference", [
    {"durable": False},
    {"auto_delete": True},
    {"arguments": {"x-dead-letter-exchange": "elsewhere"}},
])
def test_a_queue_cannot_be_declared_again_in_another_way(connection, name, difference):
    connection.channel().queue_declare(name, durable=True)
    with channel_closed_with(PRECONDITION_FAILED):
        connection.channel().queue_declare(name, **{"durable": True, **difference})


def test_a_passive_declare_finds_what_is_there(connection, channel, name):
    channel.queue_declare(name)
    channel.exchange_declare(name, "topic")
    assert connection.channel().queue_declare(name, passive=True).method.queue == name
    connection.channel().exchange_declare(name, passive=True)


def test_a_passive_declare_of_what_is_not_there_is_not_found(connection, name):
    with channel_closed_with(NOT_FOUND):
        connection.channel().queue_declare(name, passive=True)
    with channel_closed_with(NOT_FOUND):
        connection.channel().exchange_declare(name, passive=True)


def test_an_empty_queue_name_gets_one_from_the_broker(connection, channel):
    names = {channel.queue_declare("", exclusive=True).method.queue for _ in range(20)}
    assert len(names) == 20
    assert all(queue.startswith("amq.gen-") for queue in names)


def test_an_empty_queue_name_means_the_queue_declared_last(channel, name):
    channel.queue_declare(name)
    channel.queue_bind("", "amq.direct", name)
    channel.basic_publish("amq.direct", name, b"through the binding")
    assert get(channel, name)[2] == b"through the binding"


def test_names_that_start_with_amq_are_reserved(connection):
    with channel_closed_with(ACCESS_REFUSED):
        connection.channel().queue_declare("amq.mine")
    with channel_closed_with(ACCESS_REFUSED):
        connection.channel().exchange_declare("amq.mine", "direct")


def test_an_exclusive_queue_is_locked_for_other_connections(connect, channel, name):
    channel.queue_declare(name, exclusive=True)
    other = connect()
    with channel_closed_with(LOCKED):
        other.channel().queue_declare(name, exclusive=True)
    with channel_closed_with(LOCKED):
        other.channel().queue_declare(name, passive=True)
    with channel_closed_with(LOCKED):
        other.channel().basic_consume(name, lambda *_: None)
    with channel_closed_with(LOCKED):
        other.channel().basic_get(name)
    with channel_closed_with(LOCKED):
        other.channel().queue_delete(name)
    channel.queue_declare(name, exclusive=True)


def test_an_exclusive_queue_goes_with_its_connection(connect, name):
    owner = connect()
    owner.channel().queue_declare(name, exclusive=True)
    owner.close()
    with channel_closed_with(NOT_FOUND):
        connect().channel().queue_declare(name, passive=True)


def test_an_exclusive_queue_goes_when_its_connection_is_torn(broker, connection, name):
    with Wire(broker) as owner:
        owner.open()
        owner.open_channel()
        owner.call(1, spec.Queue.Declare(queue=name, exclusive=True), spec.Queue.DeclareOk)

    def gone():
        with pytest.raises(pika.exceptions.ChannelClosedByBroker) as caught:
            connection.channel().queue_declare(name, passive=True)
        return caught.value.reply_code == NOT_FOUND

    wait_until(gone, "the exclusive queue is gone")


def test_an_auto_delete_queue_goes_with_its_last_consumer(connection, channel, name):
    channel.queue_declare(name, auto_delete=True)
    first = channel.basic_consume(name, lambda *_: None)
    second = channel.basic_consume(name, lambda *_: None)
    channel.basic_cancel(first)
    assert consumer_count(channel, name) == 1
    channel.basic_cancel(second)
    with channel_closed_with(NOT_FOUND):
        connection.channel().queue_declare(name, passive=True)


def test_an_auto_delete_queue_without_a_consumer_so_far_stays(channel, name):
    channel.queue_declare(name, auto_delete=True)
    assert message_count(channel, name) == 0


def test_an_auto_delete_exchange_goes_with_its_last_binding(connection, channel, name):
    channel.exchange_declare(name, "fanout", auto_delete=True)
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind(queue, name)
    channel.queue_unbind(queue, name)
    with channel_closed_with(NOT_FOUND):
        connection.channel().exchange_declare(name, passive=True)


def test_deleting_a_queue_says_how_many_messages_went_with_it(connection, channel, name):
    channel.queue_declare(name)
    publish_confirmed(channel, name, [b"1", b"2", b"3"])
    assert channel.queue_delete(name).method.message_count == 3
    with channel_closed_with(NOT_FOUND):
        connection.channel().queue_declare(name, passive=True)


def test_deleting_what_is_not_there_is_fine(channel, name):
    assert channel.queue_delete(name).method.message_count == 0
    channel.exchange_delete(name)


def test_purging_removes_what_is_ready_and_leaves_what_is_unacked(channel, name):
    channel.queue_declare(name)
    publish_confirmed(channel, name, [b"held", b"1", b"2", b"3"])
    method, _, _ = get(channel, name, auto_ack=False)
    assert channel.queue_purge(name).method.message_count == 3
    channel.basic_nack(method.delivery_tag)
    assert get(channel, name)[2] == b"held"


def test_a_queue_in_use_is_not_deleted_if_unused(connection, channel, name):
    channel.queue_declare(name)
    tag = channel.basic_consume(name, lambda *_: None)
    with channel_closed_with(PRECONDITION_FAILED):
        connection.channel().queue_delete(name, if_unused=True)
    channel.basic_cancel(tag)
    connection.channel().queue_delete(name, if_unused=True)


def test_a_queue_with_messages_is_not_deleted_if_empty(connection, channel, name):
    channel.queue_declare(name)
    publish_confirmed(channel, name, [b"still here"])
    with channel_closed_with(PRECONDITION_FAILED):
        connection.channel().queue_delete(name, if_empty=True)
    assert drain(channel, name) == [b"still here"]
    connection.channel().queue_delete(name, if_empty=True)


def test_an_exchange_with_bindings_is_not_deleted_if_unused(connection, channel, name):
    channel.exchange_declare(name, "direct")
    channel.queue_declare(name)
    channel.queue_bind(name, name, "k")
    with channel_closed_with(PRECONDITION_FAILED):
        connection.channel().exchange_delete(name, if_unused=True)
    channel.queue_unbind(name, name, "k")
    connection.channel().exchange_delete(name, if_unused=True)


def test_deleting_a_queue_removes_its_bindings(channel, name):
    channel.exchange_declare(name, "direct")
    channel.queue_declare(name)
    channel.queue_bind(name, name, "k")
    channel.queue_delete(name)
    channel.exchange_delete(name, if_unused=True)


def test_deleting_a_queue_tells_its_consumers(connect, channel, name):
    channel.queue_declare(name)
    consumer = Consumer(channel, name)
    connect().channel().queue_delete(name)
    wait_on(channel.connection, lambda: consumer.cancelled, "basic.cancel")


def test_an_exchange_cannot_be_declared_again_in_another_way(connection, name):
    connection.channel().exchange_declare(name, "direct")
    with channel_closed_with(PRECONDITION_FAILED):
        connection.channel().exchange_declare(name, "fanout")
    with channel_closed_with(PRECONDITION_FAILED):
        connection.channel().exchange_declare(name, "direct", durable=True)


def test_an_exchange_of_an_unknown_type_is_refused(connect, name):
    with connection_closed_with(COMMAND_INVALID):
        connect().channel().exchange_declare(name, "no-such-type")


@pytest.mark.parametrize("exchange, kind", [
    ("amq.direct", "direct"), ("amq.fanout", "fanout"), ("amq.topic", "topic")])
def test_the_predeclared_exchanges_are_there(channel, exchange, kind):
    channel.exchange_declare(exchange, kind, durable=True)


def test_the_default_exchange_cannot_be_bound_or_deleted(connection, name):
    connection.channel().queue_declare(name)
    with channel_closed_with(ACCESS_REFUSED):
        connection.channel().queue_bind(name, "", "k")
    with channel_closed_with(ACCESS_REFUSED):
        connection.channel().exchange_delete("")
    with channel_closed_with(ACCESS_REFUSED):
        connection.channel().exchange_delete("amq.direct")


def test_binding_what_is_not_there_is_not_found(connection, name):
    connection.channel().queue_declare(name)
    with channel_closed_with(NOT_FOUND):
        connection.channel().queue_bind(name, name + "-no-exchange", "k")
    with channel_closed_with(NOT_FOUND):
        connection.channel().queue_bind(name + "-no-queue", "amq.direct", "k")


def test_unbinding_what_is_not_bound_is_fine(channel, name):
    channel.queue_declare(name)
    channel.queue_unbind(name, "amq.direct", "never bound")


def test_a_binding_counts_from_its_confirmation_on_for_every_connection(connect, channel, name):
    # Publishers may be on other workers than the binder.
    publishers = [connect().channel() for _ in range(4)]
    for publisher in publishers:
        publisher.confirm_delivery()
    channel.exchange_declare(name, "direct")
    channel.queue_declare(name)
    for number in range(25):
        key = f"k{number}"
        channel.queue_bind(name, name, key)
        for publisher in publishers:
            publisher.basic_publish(name, key, key.encode(), mandatory=True)
    assert len(drain(channel, name)) == 100


def test_an_unbinding_counts_from_its_confirmation_on_for_every_connection(connect, channel, name):
    publishers = [connect().channel() for _ in range(4)]
    for publisher in publishers:
        publisher.confirm_delivery()
    channel.exchange_declare(name, "direct")
    channel.queue_declare(name)
    for number in range(25):
        channel.queue_bind(name, name, "k")
        channel.queue_unbind(name, name, "k")
        for publisher in publishers:
            with pytest.raises(pika.exceptions.UnroutableError):
                publisher.basic_publish(name, "k", b"late", mandatory=True)
    assert drain(channel, name) == []


def test_a_thousand_queues_can_be_declared_and_used(channel, name):
    queues = [f"{name}-{number}" for number in range(1000)]
    for queue in queues:
        channel.queue_declare(queue)
        channel.basic_publish("", queue, queue.encode())
    round_trip(channel)
    assert all(drain(channel, queue) == [queue.encode()] for queue in queues)
    for queue in queues:
        channel.queue_delete(queue)


@pytest.mark.ours
@pytest.mark.parametrize("arguments", [
    {"x-consumer-timeout": -1},
    {"x-consumer-timeout": "soon"},
    {"x-delayed-retry-min": 1000, "x-delayed-retry-max": 10},
    {"x-delayed-retry-multiplier": 2},
    {"x-delayed-retry-min": 10, "x-delayed-retry-type": "sometimes"},
    {"x-delivery-limit": "three"},
    {"x-dead-letter-routing-key": "alone"},
    {"x-queue-type": "no-such-type"},
])
def test_arguments_that_cannot_be_are_refused(connection, name, arguments):
    with channel_closed_with(PRECONDITION_FAILED):
        connection.channel().queue_declare(name, arguments=arguments)
    with channel_closed_with(NOT_FOUND):
        connection.channel().queue_declare(name, passive=True)


def test_a_line_break_is_no_part_of_a_name(channel, name):
    # pika waits for an answer with the very name that it has sent, so not in queue_declare.
    channel.queue_declare(name, exclusive=True)
    channel.exchange_declare(f"{name}\n", auto_delete=True)
    channel.queue_bind(f"{name}\n", f"{name}\r", "k")
    channel.queue_declare(name, passive=True)
    channel.exchange_declare(name, passive=True)
    channel.queue_delete(f"{name}\n")
