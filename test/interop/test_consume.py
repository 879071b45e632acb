"""Deliveries: acknowledged, given back, limited by prefetch, delivered again."""

import pika
import pytest
from broker import wait_until
from pika import spec
from pika_extras import (Consumer, channel_closed_with, connection_closed_with, consumer_count,
                         drain, get, message_count, publish_confirmed, round_trip, settle_down, wait_on)
from wire import Wire


@pytest.fixture
def queue(channel, name):
    channel.queue_declare(name, durable=True)
    return name


def numbered(count):
    return [b"%d" % n for n in range(count)]


def test_a_consumer_gets_messages_in_order_and_acks_them(connection, channel, queue):
    consumer = Consumer(channel, queue)
    publish_confirmed(connection.channel(), queue, numbered(100))
    deliveries = consumer.wait_for(100)
    assert consumer.bodies == numbered(100)
    tags = [method.delivery_tag for method, _, _ in deliveries]
    assert tags == list(range(1, 101))
    assert not any(method.redelivered for method, _, _ in deliveries)
    for number in range(100):
        consumer.ack(number)
    assert channel.queue_delete(queue).method.message_count == 0


def test_what_is_acked_does_not_come_back(connect, channel, queue):
    publish_confirmed(channel, queue, numbered(10))
    first = connect()
    consumer = Consumer(first.channel(), queue)
    consumer.wait_for(10)
    for number in (0, 1, 2, 5):
        consumer.ack(number)
    first.close()
    rest = Consumer(channel, queue)
    assert [d[2] for d in rest.wait_for(6)] == [b"3", b"4", b"6", b"7", b"8", b"9"]
    assert all(method.redelivered for method, _, _ in rest.deliveries)


def test_an_ack_of_multiple_covers_all_before_it(connect, channel, queue):
    publish_confirmed(channel, queue, numbered(10))
    first = connect()
    consumer = Consumer(first.channel(), queue)
    consumer.wait_for(10)
    consumer.ack(6, multiple=True)
    first.close()
    assert [d[2] for d in Consumer(channel, queue).wait_for(3)] == [b"7", b"8", b"9"]


def test_an_ack_of_tag_zero_and_multiple_covers_everything(connect, channel, queue):
    publish_confirmed(channel, queue, numbered(10))
    first = connect()
    consumer = Consumer(first.channel(), queue)
    consumer.wait_for(10)
    consumer.channel.basic_ack(0, multiple=True)
    first.close()
    assert channel.queue_delete(queue).method.message_count == 0


@pytest.mark.parametrize("refuse", [
    lambda channel, tag: channel.basic_nack(tag, requeue=True),
    lambda channel, tag: channel.basic_reject(tag, requeue=True)], ids=["nack", "reject"])
def test_a_message_given_back_returns_to_its_place(connection, channel, queue, refuse):
    publish_confirmed(channel, queue, numbered(3))
    first, _, _ = get(channel, queue, auto_ack=False)
    second, _, _ = get(channel, queue, auto_ack=False)
    refuse(channel, second.delivery_tag)
    refuse(channel, first.delivery_tag)
    method, _, body = get(connection.channel(), queue)
    assert (body, method.redelivered) == (b"0", True)
    method, _, body = get(connection.channel(), queue)
    assert (body, method.redelivered) == (b"1", True)
    method, _, body = get(connection.channel(), queue)
    assert (body, method.redelivered) == (b"2", False)


@pytest.mark.parametrize("refuse", [
    lambda channel, tag: channel.basic_nack(tag, requeue=False),
    lambda channel, tag: channel.basic_reject(tag, requeue=False)], ids=["nack", "reject"])
def test_a_message_refused_without_requeue_is_gone(channel, queue, refuse):
    publish_confirmed(channel, queue, numbered(2))
    method, _, _ = get(channel, queue, auto_ack=False)
    refuse(channel, method.delivery_tag)
    assert drain(channel, queue) == [b"1"]


def test_a_nack_of_multiple_gives_all_before_it_back(connection, channel, queue):
    publish_confirmed(channel, queue, numbered(10))
    consumer = Consumer(channel, queue)
    consumer.wait_for(10)
    channel.basic_cancel(consumer.tag)
    channel.basic_nack(consumer.deliveries[7][0].delivery_tag, multiple=True, requeue=True)
    assert drain(connection.channel(), queue) == numbered(8)


def test_what_was_recovered_is_there_for_everybody(connect, channel, queue):
    other = connect().channel()
    publish_confirmed(other, queue, [b"a", b"b", b"c"])
    for _ in range(30):
        for _ in range(3):
            get(channel, queue, auto_ack=False)
        channel.basic_recover(requeue=True)
        assert message_count(other, queue) == 3


def test_recover_delivers_what_is_unacked_again(channel, queue):
    publish_confirmed(channel, queue, numbered(3))
    consumer = Consumer(channel, queue)
    consumer.wait_for(3)
    consumer.ack(1)
    channel.basic_recover(requeue=True)
    deliveries = consumer.wait_for(5)[3:]
    assert [body for _, _, body in deliveries] == [b"0", b"2"]
    assert all(method.redelivered for method, _, _ in deliveries)


def test_get_says_how_many_are_left_and_when_there_is_none(channel, queue):
    assert channel.basic_get(queue) == (None, None, None)
    publish_confirmed(channel, queue, numbered(3))
    assert get(channel, queue)[0].message_count == 2
    assert get(channel, queue)[0].message_count == 1
    assert get(channel, queue)[0].message_count == 0
    assert channel.basic_get(queue) == (None, None, None)


@pytest.mark.parametrize("delivery_mode", [1, 2], ids=["transient", "persistent"])
def test_who_publishes_and_then_asks_sees_his_own_messages(channel, queue, delivery_mode):
    """Without confirms: the order of the channel is enough."""
    properties = pika.BasicProperties(delivery_mode=delivery_mode)
    for number in range(20):
        channel.basic_publish("", queue, b"%d" % number, properties)
        assert channel.basic_get(queue, auto_ack=True)[2] == b"%d" % number
    for number in range(5):
        channel.basic_publish("", queue, b"x", properties)
    assert message_count(channel, queue) == 5
    channel.basic_publish("", queue, b"x", properties)
    assert channel.queue_purge(queue).method.message_count == 6
    assert message_count(channel, queue) == 0


def test_prefetch_limits_each_consumer(connection, queue):
    channel = connection.channel()
    publish_confirmed(channel, queue, numbered(20))
    channel.basic_qos(prefetch_count=3)
    one = Consumer(channel, queue)
    one.wait_for(3)
    channel.basic_qos(prefetch_count=5)
    two = Consumer(channel, queue)
    two.wait_for(5)
    assert (len(one.deliveries), len(two.deliveries)) == (3, 5)
    one.ack(0)
    one.wait_for(4)
    settle_down(connection)
    assert (len(one.deliveries), len(two.deliveries)) == (4, 5)


def test_prefetch_for_the_channel_limits_its_consumers_together(connection, channel, name):
    # Queues land in different shards; the channel's budget is one.
    queues = [f"{name}-{n}" for n in range(6)]
    for queue in queues:
        channel.queue_declare(queue)
        publish_confirmed(channel, queue, numbered(10))
    limited = connection.channel()
    limited.basic_qos(prefetch_count=7, global_qos=True)
    consumers = [Consumer(limited, queue) for queue in queues]

    def delivered():
        return sum(len(consumer.deliveries) for consumer in consumers)

    wait_on(connection, lambda: delivered() >= 7, lambda: f"7 deliveries, not {delivered()}")
    settle_down(connection)
    assert delivered() == 7
    for total in range(7, 60):
        # Each ack makes room for exactly one more, from whichever queue.
        consumer = next(c for c in consumers if len(c.deliveries) > getattr(c, "acked", 0))
        consumer.acked = getattr(consumer, "acked", 0)
        consumer.ack(consumer.acked)
        consumer.acked += 1
        wait_on(connection, lambda: delivered() >= min(total + 1, 60),
                lambda: f"delivery {total + 1}, not {delivered()}")
        assert delivered() == total + 1


def test_both_kinds_of_prefetch_hold_at_the_same_time(connection, channel, name):
    for queue in (name + "-a", name + "-b"):
        channel.queue_declare(queue)
        publish_confirmed(channel, queue, numbered(10))
    limited = connection.channel()
    limited.basic_qos(prefetch_count=2)
    limited.basic_qos(prefetch_count=3, global_qos=True)
    a, b = Consumer(limited, name + "-a"), Consumer(limited, name + "-b")
    wait_on(connection, lambda: len(a.deliveries) + len(b.deliveries) >= 3, "three deliveries")
    settle_down(connection)
    assert len(a.deliveries) + len(b.deliveries) == 3
    assert max(len(a.deliveries), len(b.deliveries)) == 2


def test_prefetch_does_not_hold_back_auto_ack(connection, queue):
    channel = connection.channel()
    publish_confirmed(channel, queue, numbered(50))
    channel.basic_qos(prefetch_count=1)
    Consumer(channel, queue, auto_ack=True).wait_for(50)
    assert channel.queue_delete(queue).method.message_count == 0


def test_a_prefetch_of_the_channel_holds_back_auto_ack_too(connection, name):
    channel = connection.channel()
    for queue in (name + "-a", name + "-b"):
        channel.queue_declare(queue, exclusive=True)
        publish_confirmed(channel, queue, numbered(3))
    limited = connection.channel()
    limited.basic_qos(prefetch_count=1, global_qos=True)
    held = Consumer(limited, name + "-a")
    held.wait_for(1)
    free = Consumer(limited, name + "-b", auto_ack=True)
    settle_down(connection)
    assert free.deliveries == []
    limited.basic_cancel(held.tag)
    held.ack(0)
    free.wait_for(3)


def test_messages_are_shared_out_between_consumers(connect, channel, queue):
    consumers = []
    for _ in range(4):
        other = connect().channel()
        other.basic_qos(prefetch_count=10)
        consumers.append(Consumer(other, queue))
    publish_confirmed(channel, queue, numbered(40))
    for consumer in consumers:
        consumer.wait_for(10)
    assert sorted(b for c in consumers for b in c.bodies) == sorted(numbered(40))


def test_cancel_stops_deliveries_and_leaves_the_unacked_with_the_channel(connection, queue):
    channel = connection.channel()
    publish_confirmed(channel, queue, numbered(5))
    channel.basic_qos(prefetch_count=2)
    consumer = Consumer(channel, queue)
    consumer.wait_for(2)
    channel.basic_cancel(consumer.tag)
    consumer.ack(0)
    consumer.ack(1)
    assert message_count(channel, queue) == 3
    assert consumer_count(channel, queue) == 0
    assert len(consumer.deliveries) == 2


def test_closing_a_channel_gives_its_messages_back(connection, channel, queue):
    publish_confirmed(channel, queue, numbered(5))
    other = connection.channel()
    consumer = Consumer(other, queue)
    consumer.wait_for(5)
    consumer.ack(0)
    other.close()
    assert drain(channel, queue) == [b"1", b"2", b"3", b"4"]


def test_a_torn_connection_gives_its_messages_back_but_its_acks_count(broker, channel, queue):
    publish_confirmed(channel, queue, numbered(5))
    with Wire(broker) as torn:
        torn.open()
        torn.open_channel()
        torn.call(1, spec.Basic.Consume(queue=queue, consumer_tag="c"), spec.Basic.ConsumeOk)
        for tag in range(1, 6):
            assert torn.expect(spec.Basic.Deliver).delivery_tag == tag
            torn.read_frame()
            torn.read_frame()
        torn.send_method(1, spec.Basic.Ack(2, multiple=True))
    wait_until(lambda: message_count(channel, queue) == 3, "the unacked ones are ready again")
    assert drain(channel, queue) == [b"2", b"3", b"4"]


def test_an_exclusive_consumer_is_alone(connection, channel, queue):
    tag = channel.basic_consume(queue, lambda *_: None, exclusive=True)
    with channel_closed_with(403):
        connection.channel().basic_consume(queue, lambda *_: None)
    channel.basic_cancel(tag)
    other = connection.channel()
    other.basic_consume(queue, lambda *_: None)
    with channel_closed_with(403):
        connection.channel().basic_consume(queue, lambda *_: None, exclusive=True)


def test_consuming_from_a_queue_that_is_not_there_is_not_found(connection, name):
    with channel_closed_with(404):
        connection.channel().basic_consume(name, lambda *_: None)
    with channel_closed_with(404):
        connection.channel().basic_get(name)


@pytest.mark.parametrize("settle", [
    lambda channel: channel.basic_ack(7),
    lambda channel: channel.basic_nack(7),
    lambda channel: channel.basic_reject(7)], ids=["ack", "nack", "reject"])
def test_an_unknown_delivery_tag_is_refused(connection, settle):
    channel = connection.channel()
    with channel_closed_with(406):
        settle(channel)
        round_trip(channel)


def test_acking_twice_is_refused_and_gives_the_others_back(connection, channel, queue):
    publish_confirmed(channel, queue, numbered(2))
    other = connection.channel()
    consumer = Consumer(other, queue)
    consumer.wait_for(2)
    consumer.ack(0)
    with channel_closed_with(406):
        consumer.ack(0)
        round_trip(other)
    assert get(channel, queue)[2] == b"1"


def test_a_consumer_tag_cannot_be_used_twice(broker, queue):
    with Wire(broker) as wire:
        wire.open()
        wire.open_channel()
        wire.call(1, spec.Basic.Consume(queue=queue, consumer_tag="same"), spec.Basic.ConsumeOk)
        wire.send_method(1, spec.Basic.Consume(queue=queue, consumer_tag="same"))
        wire.expect_connection_close(530)


def test_a_size_for_prefetch_is_not_implemented(connect):
    with connection_closed_with(540):
        connect().channel().basic_qos(prefetch_size=1000)


def test_a_consumer_that_falls_behind_holds_up_nobody(broker, connect, channel, queue):
    """One that never reads its socket: its queue goes on, and the broker's memory stays bounded."""
    body = bytes(10000)
    with Wire(broker) as slow:
        slow.open()
        slow.open_channel()
        slow.call(1, spec.Basic.Consume(queue=queue, consumer_tag="slow"), spec.Basic.ConsumeOk)
        for _ in range(3000):
            channel.basic_publish("", queue, body)
        other = connect().channel()
        quick = Consumer(other, queue)
        quick.wait_for(100)
    quick.wait_for(3000)
    other.basic_ack(0, multiple=True)
    assert channel.queue_delete(queue).method.message_count == 0


def test_a_consumer_priority_that_is_none_is_refused(connection, name):
    channel = connection.channel()
    channel.queue_declare(name, exclusive=True)
    with channel_closed_with(406, "invalid arg 'x-priority'"):
        channel.basic_consume(name, lambda *_: None, arguments={"x-priority": "banana"})
