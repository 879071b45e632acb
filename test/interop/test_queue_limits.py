"""x-message-ttl, expiration, x-expires, x-max-length, x-overflow, x-max-priority,
x-single-active-consumer: what RabbitMQ's documentation says of them."""

import time

import pika
import pytest
from broker import wait_until
from pika_extras import (PERSISTENT, Consumer, channel_closed_with, drain, get, message_count,
                         publish_confirmed, round_trip, settle_down)


def with_dead_letters(channel, name, **arguments):
    """A queue whose dead letters go to the queue whose name is returned."""
    dead = f"{name}-dead"
    channel.queue_declare(dead, durable=True)
    channel.queue_declare(name, durable=True, arguments={
        "x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead, **arguments})
    return dead


def nacked(channel, queue, body):
    """Whether the broker refuses this publish. The channel has confirms."""
    try:
        channel.basic_publish("", queue, body, PERSISTENT)
        return False
    except pika.exceptions.NackError:
        return True


def test_messages_expire_by_the_time_of_the_queue(channel, name):
    dead = with_dead_letters(channel, name, **{"x-message-ttl": 200})
    publish_confirmed(channel, name, [b"a", b"b"])
    for body in (b"a", b"b"):
        _, properties, got = get(channel, dead)
        assert got == body
        death = properties.headers["x-death"][0]
        assert (death["reason"], death["queue"], death["count"]) == ("expired", name, 1)
    assert message_count(channel, name) == 0


def test_a_message_expires_by_its_own_time_also_behind_one_that_lives(channel, name):
    dead = with_dead_letters(channel, name)
    publish_confirmed(channel, name, [b"lives"])
    channel.basic_publish("", name, b"dies", pika.BasicProperties(delivery_mode=2, expiration="100"))
    _, properties, body = get(channel, dead)
    assert body == b"dies"
    assert properties.expiration is None
    assert properties.headers["x-death"][0]["original-expiration"] == "100"
    assert drain(channel, name) == [b"lives"]


@pytest.mark.parametrize("expiration, why", [
    ("soon", "no_integer"), ("-1", "{value_negative,-1}"), ("5s", '{leftover_string,"s"}')])
def test_an_expiration_that_is_none_closes_the_channel(connection, name, expiration, why):
    channel = connection.channel()
    channel.queue_declare(name, exclusive=True)
    with channel_closed_with(406, f"invalid expiration '{expiration}': {why}"):
        channel.basic_publish("", name, b"x", pika.BasicProperties(expiration=expiration))
        round_trip(channel)


def test_a_wait_queue_gives_its_messages_back_to_the_work_queue(channel, name):
    """The usual way to retry later: reject into a queue with a TTL that dead-letters back."""
    work, wait = f"{name}-work", f"{name}-wait"
    channel.queue_declare(work, durable=True, arguments={
        "x-dead-letter-exchange": "", "x-dead-letter-routing-key": wait})
    channel.queue_declare(wait, durable=True, arguments={
        "x-message-ttl": 150, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": work})
    publish_confirmed(channel, work, [b"x"])
    for round_ in range(3):
        method, properties, _ = get(channel, work, auto_ack=False)
        deaths = {(d["queue"], d["reason"]): d["count"]
                  for d in (properties.headers or {}).get("x-death", [])}
        assert deaths == ({(work, "rejected"): round_, (wait, "expired"): round_} if round_ else {})
        channel.basic_reject(method.delivery_tag, requeue=False)


def test_a_time_to_live_goes_on_over_kill_9(own_broker):
    channel = own_broker.connect().channel()
    dead = with_dead_letters(channel, "q", **{"x-message-ttl": 1500})
    publish_confirmed(channel, "q", [b"x"])
    own_broker.kill()
    own_broker.start()
    channel = own_broker.connect().channel()
    assert get(channel, dead)[2] == b"x"
    assert message_count(channel, "q") == 0


def test_an_unused_queue_goes(channel, connection, name):
    channel.queue_declare(name, arguments={"x-expires": 300})
    consumer = Consumer(channel, name)
    time.sleep(0.5)  # what is consumed from stays
    assert message_count(connection.channel(), name) == 0
    channel.basic_cancel(consumer.tag)

    def gone():
        time.sleep(0.4)  # to ask is to use
        try:
            connection.channel().queue_declare(name, passive=True)
            return False
        except pika.exceptions.ChannelClosedByBroker as e:
            return e.reply_code == 404
    wait_until(gone, "the queue is gone")


def test_a_queue_that_nobody_has_ever_used_goes(channel, connection, name):
    for durable in (True, False):
        queue = f"{name}.{durable}"
        channel.queue_declare(queue, durable=durable, arguments={"x-expires": 200})
    time.sleep(1)
    for durable in (True, False):
        with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="no queue"):
            connection.channel().queue_declare(f"{name}.{durable}", passive=True)


def test_a_durable_queue_that_nobody_has_used_since_the_start_goes(own_broker):
    own_broker.connect().channel().queue_declare("q", durable=True, arguments={"x-expires": 1000})
    own_broker.restart()
    time.sleep(1.5)
    with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="no queue"):
        own_broker.connect().channel().queue_declare("q", passive=True)


def test_the_oldest_leaves_a_queue_that_is_too_long(channel, name):
    dead = with_dead_letters(channel, name, **{"x-max-length": 3})
    publish_confirmed(channel, name, [b"%d" % n for n in range(10)])
    assert drain(channel, name) == [b"7", b"8", b"9"]
    bodies = [get(channel, dead) for _ in range(7)]
    assert [body for _, _, body in bodies] == [b"%d" % n for n in range(7)]
    assert bodies[0][1].headers["x-death"][0]["reason"] == "maxlen"


def test_bodies_count_against_a_limit_in_bytes(channel, name):
    channel.queue_declare(name, durable=True, arguments={"x-max-length-bytes": 100})
    publish_confirmed(channel, name, [b"a" * 60, b"b" * 30, b"c" * 30])
    assert drain(channel, name) == [b"b" * 30, b"c" * 30]


@pytest.mark.parametrize("overflow", ["reject-publish", "reject-publish-dlx"])
def test_a_full_queue_refuses_publishes(channel, name, overflow):
    dead = with_dead_letters(channel, name, **{"x-max-length": 2, "x-overflow": overflow})
    channel.confirm_delivery()
    assert [nacked(channel, name, b"%d" % n) for n in range(4)] == [False, False, True, True]
    expected = [b"2", b"3"] if overflow == "reject-publish-dlx" else []
    assert [get(channel, dead)[2] for _ in expected] == expected
    assert message_count(channel, dead) == 0
    assert get(channel, name)[2] == b"0"
    assert not nacked(channel, name, b"4")
    assert drain(channel, name) == [b"1", b"4"]


def test_higher_priorities_go_first(channel, name):
    channel.queue_declare(name, durable=True, arguments={"x-max-priority": 5})
    for body, priority in ((b"none", None), (b"1", 1), (b"9", 9), (b"5", 5), (b"1 again", 1)):
        channel.basic_publish("", name, body,
                              pika.BasicProperties(delivery_mode=2, priority=priority))
    round_trip(channel)
    wait_until(lambda: message_count(channel, name) == 5, "all have landed")
    assert drain(channel, name) == [b"9", b"5", b"1", b"1 again", b"none"]


def test_priorities_survive_kill_9(own_broker):
    channel = own_broker.connect().channel()
    channel.queue_declare("q", durable=True, arguments={"x-max-priority": 9})
    channel.confirm_delivery()
    for priority in (1, 7, 3):
        channel.basic_publish("", "q", b"%d" % priority,
                              pika.BasicProperties(delivery_mode=2, priority=priority))
    own_broker.kill()
    own_broker.start()
    assert drain(own_broker.connect().channel(), "q") == [b"7", b"3", b"1"]


def test_only_the_active_consumer_gets_messages(connect, name):
    channels = [connect().channel() for _ in range(3)]
    channels[0].queue_declare(name, durable=True, arguments={"x-single-active-consumer": True})
    consumers = [Consumer(channel, name) for channel in channels]
    publish_confirmed(connect().channel(), name, [b"a", b"b", b"c"])
    consumers[0].wait_for(3)
    for channel in channels[1:]:
        settle_down(channel.connection)
    assert not consumers[1].deliveries and not consumers[2].deliveries
    channels[0].connection.close()
    assert [body for _, _, body in consumers[1].wait_for(3)] == [b"a", b"b", b"c"]
    assert all(method.redelivered for method, _, _ in consumers[1].deliveries)


def test_a_get_takes_from_a_queue_with_a_single_active_consumer_too(connection, channel, name):
    channel.queue_declare(name, arguments={"x-single-active-consumer": True})
    channel.basic_qos(prefetch_count=1)
    active = Consumer(channel, name)
    publish_confirmed(connection.channel(), name, [b"1", b"2"])
    active.wait_for(1)
    assert drain(connection.channel(), name) == [b"2"]


def test_a_queue_with_a_single_active_consumer_is_not_consumed_exclusively(channel, name):
    channel.queue_declare(name, arguments={"x-single-active-consumer": True})
    with channel_closed_with(403, "in exclusive use"):
        Consumer(channel, name, exclusive=True)


@pytest.mark.parametrize("argument, value", [
    ("x-message-ttl", -1), ("x-message-ttl", "soon"), ("x-expires", 0), ("x-max-length", -1),
    ("x-max-length-bytes", "1"), ("x-max-priority", 256), ("x-overflow", "drop-tail"),
    ("x-single-active-consumer", "yes"), ("x-queue-type", "stream")])
def test_arguments_that_cannot_be_are_refused(connection, name, argument, value):
    channel = connection.channel()
    with channel_closed_with(406, f"invalid arg '{argument}' for queue '{name}'"):
        channel.queue_declare(name, arguments={argument: value})
