"""Leases, backoff, delivery counts and dead letters.

Times are checked from below only: a message must not come back too early. How late it may be
depends on the machine.
"""

import time

import pika
import pytest
from pika_extras import (PERSISTENT, Consumer, close, drain, get, message_count, publish_confirmed,
                         settle_down)

pytestmark = pytest.mark.ours


def retry_queue(channel, name, lease=None, first=None, durable=True, **more):
    arguments = {"x-delayed-retry-jitter": 0} if first else {}
    if lease:
        arguments["x-consumer-timeout"] = lease
    if first:
        arguments["x-delayed-retry-min"] = first
        arguments["x-delayed-retry-max"] = 60000
        arguments["x-delayed-retry-multiplier"] = 2
    arguments.update({f"x-{key.replace('_', '-')}": value for key, value in more.items()})
    channel.queue_declare(name, durable=durable, arguments=arguments)
    return name


def delivery_count(properties):
    return (properties.headers or {}).get("x-delivery-count", 0)


def test_an_unacked_message_comes_back_after_its_lease_and_longer_and_longer_rests(
        connection, channel, name):
    retry_queue(channel, name, lease=200, first=150)
    consumer = Consumer(channel, name)
    published = time.monotonic()
    publish_confirmed(connection.channel(), name, [b"stubborn"])
    deliveries = consumer.wait_for(4)
    # Lease, rest 150, lease, rest 300, lease, rest 600.
    for number, not_before in enumerate((0, 0.350, 0.850, 1.650)):
        assert consumer.times[number] - published >= not_before, f"delivery {number} came too early"
    assert [delivery_count(p) for _, p, _ in deliveries] == [0, 1, 2, 3]
    assert [m.redelivered for m, _, _ in deliveries] == [False, True, True, True]
    assert [m.delivery_tag for m, _, _ in deliveries] == [1, 2, 3, 4]
    assert channel.is_open and not consumer.cancelled
    consumer.ack(3)
    # The subscription is as good as ever.
    publish_confirmed(connection.channel(), name, [b"another"])
    consumer.wait_for(5)
    assert consumer.bodies[4] == b"another"
    consumer.ack(4)
    assert channel.queue_delete(name).method.message_count == 0


def test_rests_stop_growing_at_the_cap(channel, name):
    retry_queue(channel, name, first=100, delayed_retry_max=200)
    publish_confirmed(channel, name, [b"x"])
    started = time.monotonic()
    for count in range(6):
        method, properties, _ = get(channel, name, auto_ack=False)
        assert delivery_count(properties) == count
        channel.basic_nack(method.delivery_tag)
    # 100, then four of 200; without the cap the sum were 3.1 s.
    assert time.monotonic() - started >= 0.9


def test_an_expired_lease_hurts_only_its_own_message(connection, channel, name):
    retry_queue(channel, name, lease=400, first=100)
    consumer = Consumer(channel, name)
    publish_confirmed(connection.channel(), name, [b"0", b"1", b"2"])
    consumer.wait_for(3)
    consumer.ack(0)
    consumer.ack(2)
    method, properties, body = consumer.wait_for(4)[3]
    assert (body, delivery_count(properties), method.redelivered) == (b"1", 1, True)
    consumer.ack(3)
    assert len(consumer.deliveries) == 4


def test_an_expired_lease_makes_room_in_the_prefetch(connection, channel, name):
    retry_queue(channel, name, lease=200, first=10000)
    channel.basic_qos(prefetch_count=1)
    consumer = Consumer(channel, name)
    publish_confirmed(connection.channel(), name, [b"0", b"1", b"2"])
    consumer.wait_for(3)
    assert consumer.bodies == [b"0", b"1", b"2"]
    assert consumer.times[2] - consumer.times[0] >= 0.2


def test_an_expired_lease_makes_room_in_the_prefetch_of_the_channel(connection, channel, name):
    retry_queue(channel, name, lease=200, first=10000)
    channel.basic_qos(prefetch_count=1, global_qos=True)
    consumer = Consumer(channel, name)
    publish_confirmed(connection.channel(), name, [b"0", b"1", b"2"])
    consumer.wait_for(3)
    assert consumer.bodies == [b"0", b"1", b"2"]


def test_a_late_ack_still_counts_while_the_message_rests(connection, channel, name):
    retry_queue(channel, name, lease=200, first=1000)
    channel.basic_qos(prefetch_count=1)
    consumer = Consumer(channel, name)
    publish_confirmed(connection.channel(), name, [b"late", b"never"])
    # The second one needs the place of the first: its lease is over.
    consumer.wait_for(2)
    consumer.ack(0)
    # The second one comes back later than the first one would have.
    consumer.wait_for(3)
    assert consumer.bodies == [b"late", b"never", b"never"]
    consumer.ack(2)
    assert channel.queue_delete(name).method.message_count == 0


def test_a_late_ack_still_counts_while_somebody_else_has_the_message(connect, channel, name):
    retry_queue(channel, name, lease=300, first=50)
    first = Consumer(channel, name)
    publish_confirmed(connect().channel(), name, [b"x"])
    first.wait_for(1)
    channel.basic_cancel(first.tag)
    other = connect().channel()
    second = Consumer(other, name)
    (_, properties, _), = second.wait_for(1)
    assert delivery_count(properties) == 1
    first.ack(0)
    settle_down(channel.connection)
    second.ack(0)  # settled already: harmless
    settle_down(other.connection)
    assert channel.is_open and other.is_open
    assert channel.queue_delete(name).method.message_count == 0
    assert len(second.deliveries) == 1


def test_a_late_nack_is_ignored(connect, channel, name):
    retry_queue(channel, name, lease=300, first=50, dead_letter_exchange="")
    first = Consumer(channel, name)
    publish_confirmed(connect().channel(), name, [b"x"])
    first.wait_for(1)
    channel.basic_cancel(first.tag)
    other = connect().channel()
    second = Consumer(other, name)
    second.wait_for(1)
    channel.basic_nack(first.deliveries[0][0].delivery_tag, requeue=False)
    settle_down(channel.connection)
    assert channel.is_open
    second.ack(0)
    settle_down(other.connection)
    assert channel.queue_delete(name).method.message_count == 0


@pytest.mark.parametrize("give_back", [
    lambda channel, tag: channel.basic_nack(tag),
    lambda channel, tag: channel.basic_reject(tag),
    lambda channel, tag: channel.basic_recover(requeue=True),
    lambda channel, tag: channel.close()], ids=["nack", "reject", "recover", "close"])
def test_every_way_to_give_back_waits_and_counts(connection, channel, name, give_back):
    retry_queue(channel, name, first=500)
    publish_confirmed(channel, name, [b"x"])
    other = connection.channel()
    method, _, _ = get(other, name, auto_ack=False)
    given_back = time.monotonic()
    give_back(other, method.delivery_tag)
    method, properties, _ = get(channel, name)
    assert time.monotonic() - given_back >= 0.5
    assert delivery_count(properties) == 1
    assert method.redelivered


def test_a_torn_connection_counts_as_a_failed_delivery(connect, channel, name):
    retry_queue(channel, name, first=500)
    publish_confirmed(channel, name, [b"x"])
    other = connect()
    get(other.channel(), name, auto_ack=False)
    torn = time.monotonic()
    other.close()
    _, properties, _ = get(channel, name)
    assert time.monotonic() - torn >= 0.5
    assert delivery_count(properties) == 1


@pytest.mark.parametrize("kind, nack_waits, reject_waits", [
    ("disabled", False, False), ("failed", False, True), ("returned", True, False),
    ("all", True, True)])
def test_the_type_of_retry_says_which_failures_wait(channel, name, kind, nack_waits, reject_waits):
    retry_queue(channel, name, first=400, delayed_retry_type=kind)
    for give_back, waits in ((channel.basic_nack, nack_waits),
                             (channel.basic_reject, reject_waits)):
        publish_confirmed(channel, name, [b"x"])
        method, _, _ = get(channel, name, auto_ack=False)
        given_back = time.monotonic()
        give_back(method.delivery_tag)
        if waits:
            get(channel, name)
            assert time.monotonic() - given_back >= 0.4
        else:
            # The channel is served in order: it is there when the next method is.
            assert channel.basic_get(name, auto_ack=True)[0] is not None


def test_a_resting_message_holds_up_nobody(channel, name):
    retry_queue(channel, name, first=1000)
    publish_confirmed(channel, name, [b"failing", b"1", b"2"])
    method, _, body = get(channel, name, auto_ack=False)
    assert body == b"failing"
    channel.basic_nack(method.delivery_tag)
    assert drain(channel, name) == [b"1", b"2"]
    assert get(channel, name)[2] == b"failing"


def test_plain_queues_requeue_at_once_and_do_not_count(channel, name):
    channel.queue_declare(name, durable=True)
    publish_confirmed(channel, name, [b"x"])
    for number in range(30):
        method, properties, body = channel.basic_get(name)
        assert body == b"x", f"after {number} times"
        assert delivery_count(properties) == 0
        channel.basic_nack(method.delivery_tag)


def dead_letter_queue(channel, name):
    channel.exchange_declare(name + "-dlx", "topic", durable=True)
    channel.queue_declare(name + "-dead", durable=True)
    channel.queue_bind(name + "-dead", name + "-dlx", "#")
    return name + "-dead"


def test_a_rejected_message_goes_to_the_dead_letter_exchange(channel, name):
    dead = dead_letter_queue(channel, name)
    retry_queue(channel, name, dead_letter_exchange=name + "-dlx")
    sent = pika.BasicProperties(delivery_mode=2, message_id="7", headers={"mine": 1})
    channel.queue_bind(name, "amq.topic", "orders.*")
    publish_confirmed(channel, "orders.new", [b"bad"], "amq.topic", sent)
    method, _, _ = get(channel, name, auto_ack=False)
    channel.basic_reject(method.delivery_tag, requeue=False)
    method, properties, body = get(channel, dead)
    assert body == b"bad"
    assert (method.exchange, method.routing_key) == (name + "-dlx", "orders.new")
    assert properties.message_id == "7"
    headers = properties.headers
    assert headers["mine"] == 1
    death, = headers["x-death"]
    assert death["count"] == 1
    assert death["reason"] == "rejected"
    assert death["queue"] == name
    assert death["exchange"] == "amq.topic"
    assert death["routing-keys"] == ["orders.new"]
    assert death["time"]
    assert headers["x-first-death-reason"] == "rejected"
    assert headers["x-first-death-queue"] == name
    assert headers["x-first-death-exchange"] == "amq.topic"
    assert not method.redelivered


def test_the_dead_letter_routing_key_replaces_that_of_the_message(channel, name):
    dead = dead_letter_queue(channel, name)
    retry_queue(channel, name, dead_letter_exchange=name + "-dlx",
                dead_letter_routing_key="the.dead")
    publish_confirmed(channel, name, [b"bad"])
    method, _, _ = get(channel, name, auto_ack=False)
    channel.basic_nack(method.delivery_tag, requeue=False)
    method, properties, _ = get(channel, dead)
    assert method.routing_key == "the.dead"
    assert properties.headers["x-death"][0]["routing-keys"] == [name]


def test_a_message_over_its_delivery_limit_is_dead_lettered(connection, channel, name):
    dead = dead_letter_queue(channel, name)
    retry_queue(channel, name, lease=100, first=50, delivery_limit=2,
                dead_letter_exchange=name + "-dlx")
    consumer = Consumer(channel, name)
    publish_confirmed(connection.channel(), name, [b"poison"])
    # Delivered at first, and two more times; the third failure is one too many.
    consumer.wait_for(3)
    _, properties, body = get(connection.channel(), dead)
    assert body == b"poison"
    assert [delivery_count(p) for _, p, _ in consumer.deliveries] == [0, 1, 2]
    death, = properties.headers["x-death"]
    assert (death["reason"], death["count"], death["queue"]) == ("delivery_limit", 1, name)
    assert properties.headers["x-first-death-reason"] == "delivery_limit"
    assert channel.is_open
    assert message_count(channel, name) == 0


def test_a_delivery_limit_holds_without_delays_too(channel, name):
    dead = dead_letter_queue(channel, name)
    retry_queue(channel, name, delivery_limit=3, dead_letter_exchange=name + "-dlx")
    publish_confirmed(channel, name, [b"poison"])
    for count in range(4):
        method, properties, _ = get(channel, name, auto_ack=False)
        assert delivery_count(properties) == count
        channel.basic_nack(method.delivery_tag)
    assert get(channel, dead)[1].headers["x-death"][0]["reason"] == "delivery_limit"
    assert message_count(channel, name) == 0


def test_a_message_over_its_limit_without_a_dead_letter_exchange_is_dropped(channel, name):
    retry_queue(channel, name, delivery_limit=1)
    publish_confirmed(channel, name, [b"poison", b"good"])
    for _ in range(2):
        method, _, body = get(channel, name, auto_ack=False)
        assert body == b"poison"
        channel.basic_nack(method.delivery_tag)
    assert drain(channel, name) == [b"good"]


def test_deaths_in_several_queues_are_listed_newest_first_and_counted(channel, name):
    """Work queue and parking queue reject into each other: the way people build retries."""
    channel.exchange_declare(name, "direct", durable=True)
    for queue, goes_to in ((name + "-work", "park"), (name + "-park", "work")):
        retry_queue(channel, queue, dead_letter_exchange=name, dead_letter_routing_key=goes_to)
        channel.queue_bind(queue, name, queue.rsplit("-", 1)[1])
    publish_confirmed(channel, "work", [b"x"], exchange=name)
    for _ in range(2):
        for queue in (name + "-work", name + "-park"):
            method, _, _ = get(channel, queue, auto_ack=False)
            channel.basic_reject(method.delivery_tag, requeue=False)
    _, properties, _ = get(channel, name + "-work")
    assert [(d["queue"], d["count"]) for d in properties.headers["x-death"]] == [
        (name + "-park", 2), (name + "-work", 2)]
    for header, value in {
            "x-first-death-reason": "rejected", "x-first-death-queue": name + "-work",
            "x-first-death-exchange": name, "x-last-death-reason": "rejected",
            "x-last-death-queue": name + "-park", "x-last-death-exchange": name}.items():
        assert properties.headers[header] == value, header


def test_dead_letters_of_many_messages_all_arrive_once(connection, channel, name):
    dead = dead_letter_queue(channel, name)
    retry_queue(channel, name, dead_letter_exchange=name + "-dlx")
    for number in range(500):
        channel.basic_publish("", name, b"%d" % number, PERSISTENT)
    consumer = Consumer(channel, name)
    consumer.wait_for(500)
    channel.basic_nack(0, multiple=True, requeue=False)
    graveyard = Consumer(connection.channel(), dead)
    graveyard.wait_for(500)
    settle_down(connection)
    assert sorted(graveyard.bodies) == sorted(b"%d" % n for n in range(500))


# What survives a crash.

@pytest.fixture
def fresh(own_broker):
    connections = []

    def fresh():
        connections.append(own_broker.connect())
        return connections[-1].channel()

    yield fresh
    for connection in connections:
        close(connection)


def test_counts_and_due_times_survive_kill_9(fresh, own_broker):
    channel = fresh()
    retry_queue(channel, "q", first=1000, delivery_limit=3)
    publish_confirmed(channel, "q", [b"x"])
    method, _, _ = get(channel, "q", auto_ack=False)
    channel.basic_nack(method.delivery_tag)  # rests for 1 s
    method, _, _ = get(channel, "q", auto_ack=False)
    given_back = time.time()
    channel.basic_nack(method.delivery_tag)  # rests for 2 s
    publish_confirmed(channel, "q", [b"y"])  # lies behind it in the journal
    own_broker.kill()
    own_broker.start()
    channel = fresh()
    assert get(channel, "q")[2] == b"y"
    method, properties, body = get(channel, "q", auto_ack=False)
    assert time.time() - given_back >= 2.0, "the rest was cut short"
    assert (body, delivery_count(properties), method.redelivered) == (b"x", 2, True)


def test_a_lease_that_was_running_at_kill_9_does_not_lose_the_message(fresh, own_broker):
    channel = fresh()
    retry_queue(channel, "q", lease=60000, first=100)
    publish_confirmed(channel, "q", [b"x"])
    Consumer(channel, "q").wait_for(1)
    own_broker.kill()
    own_broker.start()
    assert get(fresh(), "q")[2] == b"x"


def test_a_delivery_limit_counts_over_kill_9(fresh, own_broker):
    channel = fresh()
    dead = dead_letter_queue(channel, "q")
    retry_queue(channel, "q", delivery_limit=3, dead_letter_exchange="q-dlx")
    publish_confirmed(channel, "q", [b"poison"])
    for count in range(4):
        method, properties, _ = get(channel, "q", auto_ack=False)
        assert delivery_count(properties) == count
        channel.basic_nack(method.delivery_tag)  # comes back to its old place, before every z
        publish_confirmed(channel, "q", [b"z"])
        own_broker.kill()
        own_broker.start()
        channel = fresh()
    _, properties, body = get(channel, dead)
    assert body == b"poison"
    assert properties.headers["x-death"][0]["reason"] == "delivery_limit"
    assert drain(channel, "q") == [b"z"] * 4


def test_dead_letters_survive_kill_9_and_are_not_doubled(fresh, own_broker):
    channel = fresh()
    for number in range(8):  # destinations in several shards
        channel.queue_declare(f"dead{number}", durable=True)
        channel.queue_bind(f"dead{number}", "amq.fanout")
    retry_queue(channel, "q", dead_letter_exchange="amq.fanout")
    publish_confirmed(channel, "q", [b"%d" % n for n in range(50)])
    consumer = Consumer(channel, "q")
    consumer.wait_for(50)
    channel.basic_nack(0, multiple=True, requeue=False)
    publish_confirmed(channel, "q", [b"barrier"])
    own_broker.kill()
    own_broker.start()
    channel = fresh()
    for number in range(8):
        consumer = Consumer(channel, f"dead{number}")
        consumer.wait_for(50)
        assert sorted(consumer.bodies) == sorted(b"%d" % n for n in range(50))
        assert all(p.headers["x-death"][0]["count"] == 1 for _, p, _ in consumer.deliveries)
    settle_down(channel.connection)
    assert drain(channel, "q") == [b"barrier"]


def test_a_retry_keeps_the_message_over_a_clean_restart(fresh, own_broker):
    channel = fresh()
    retry_queue(channel, "q", first=1500)
    publish_confirmed(channel, "q", [b"x"])
    method, _, _ = get(channel, "q", auto_ack=False)
    given_back = time.time()
    channel.basic_nack(method.delivery_tag)
    channel.connection.close()
    own_broker.restart()
    _, properties, body = get(fresh(), "q")
    assert (body, delivery_count(properties)) == (b"x", 1)
    assert time.time() - given_back >= 1.5
