"""What survives: a clean restart, and kill -9."""

import pika
import pytest
from pika_extras import (PERSISTENT, Consumer, channel_closed_with, close, drain, get,
                         message_count, publish_confirmed)

TRANSIENT = pika.BasicProperties(delivery_mode=1)


@pytest.fixture
def connections():
    """Those that `fresh` has made and nobody has closed yet."""
    connections = []
    yield connections
    for connection in connections:
        close(connection)


@pytest.fixture
def fresh(own_broker, connections):
    """A channel on a connection of its own."""

    def fresh():
        connections.append(own_broker.connect())
        return connections[-1].channel()

    return fresh


@pytest.fixture
def restart(own_broker, connections):
    """A restart in order: clients first, or the broker would wait for their goodbyes."""

    def restart():
        while connections:
            close(connections.pop())
        own_broker.restart()

    return restart


@pytest.fixture(params=["restart", "kill"])
def interrupt(request, own_broker, restart):
    """Ends the broker and starts it again on the same directory and port."""

    def interrupt():
        if request.param == "kill":
            own_broker.kill()
            own_broker.start()
        else:
            restart()

    return interrupt


def numbered(count):
    return [b"%d" % n for n in range(count)]


def test_persistent_messages_in_durable_queues_survive(fresh, interrupt):
    channel = fresh()
    channel.queue_declare("durable", durable=True)
    publish_confirmed(channel, "durable", numbered(100))
    interrupt()
    assert drain(fresh(), "durable") == numbered(100)


def test_transient_messages_do_not_survive_and_do_no_harm(fresh, interrupt):
    channel = fresh()
    channel.queue_declare("durable", durable=True)
    for number in range(20):
        publish_confirmed(channel, "durable", [b"%d" % number],
                          properties=PERSISTENT if number % 2 else TRANSIENT)
    interrupt()
    assert drain(fresh(), "durable") == [b"%d" % n for n in range(20) if n % 2]


def test_transient_queues_do_not_survive(fresh, interrupt):
    channel = fresh()
    channel.queue_declare("transient")
    publish_confirmed(channel, "transient", numbered(1))
    interrupt()
    with channel_closed_with(404):
        fresh().queue_declare("transient", passive=True)


def test_definitions_survive(fresh, interrupt):
    channel = fresh()
    arguments = {"x-dead-letter-exchange": "dlx", "x-delivery-limit": 3}
    channel.queue_declare("q", durable=True, arguments=arguments)
    channel.queue_declare("auto", durable=True, auto_delete=True)
    for kind in ("direct", "fanout", "topic"):
        channel.exchange_declare(kind, kind, durable=True)
    channel.exchange_declare("gone", "direct")
    channel.exchange_declare("inner", "fanout", durable=True)
    channel.queue_bind("q", "direct", "k")
    channel.queue_bind("q", "topic", "a.*")
    channel.queue_bind("q", "topic", "removed.*")
    channel.queue_unbind("q", "topic", "removed.*")
    channel.exchange_bind("inner", "fanout", "")
    channel.queue_bind("q", "inner", "")
    channel.queue_declare("deleted", durable=True)
    channel.queue_delete("deleted")
    channel.exchange_declare("deleted", "direct", durable=True)
    channel.exchange_delete("deleted")
    interrupt()
    channel = fresh()
    channel.queue_declare("q", durable=True, arguments=arguments)
    channel.queue_declare("auto", durable=True, auto_delete=True)
    for kind in ("direct", "fanout", "topic"):
        channel.exchange_declare(kind, kind, durable=True)
    channel.confirm_delivery()
    for exchange, key in (("direct", "k"), ("topic", "a.b"), ("fanout", "")):
        channel.basic_publish(exchange, key, exchange.encode(), mandatory=True)
    with pytest.raises(pika.exceptions.UnroutableError):
        channel.basic_publish("topic", "removed.x", b"", mandatory=True)
    assert drain(channel, "q") == [b"direct", b"topic", b"fanout"]
    for declare in (lambda: fresh().queue_declare("deleted", passive=True),
                    lambda: fresh().exchange_declare("deleted", passive=True),
                    lambda: fresh().exchange_declare("gone", passive=True)):
        with channel_closed_with(404):
            declare()
    with channel_closed_with(406):
        fresh().queue_declare("q", durable=True)


def test_a_deleted_queue_of_the_same_name_does_not_come_back(fresh, interrupt):
    channel = fresh()
    channel.queue_declare("q", durable=True)
    publish_confirmed(channel, "q", [b"of the first"])
    channel.queue_delete("q")
    channel.queue_declare("q", durable=True)
    publish_confirmed(channel, "q", [b"of the second"])
    interrupt()
    assert drain(fresh(), "q") == [b"of the second"]


def test_acked_messages_stay_acked_over_a_restart(fresh, restart):
    channel = fresh()
    channel.queue_declare("q", durable=True)
    publish_confirmed(channel, "q", numbered(50))
    consumer = Consumer(channel, "q")
    consumer.wait_for(50)
    for number in range(0, 50, 2):
        consumer.ack(number)
    restart()
    assert drain(fresh(), "q") == [b"%d" % n for n in range(1, 50, 2)]


def test_acks_written_before_a_confirm_survive_kill_9(fresh, own_broker):
    channel = fresh()
    channel.queue_declare("q", durable=True)
    publish_confirmed(channel, "q", numbered(50))
    consumer = Consumer(channel, "q")
    consumer.wait_for(50)
    for number in range(0, 50, 2):
        consumer.ack(number)
    # The journal has one order: what was confirmed after the acks lies behind them.
    publish_confirmed(channel, "q", [b"last"])
    own_broker.kill()
    own_broker.start()
    assert drain(fresh(), "q") == [b"%d" % n for n in range(1, 50, 2)] + [b"last"]


def test_purged_messages_stay_purged(fresh, interrupt):
    channel = fresh()
    channel.queue_declare("q", durable=True)
    publish_confirmed(channel, "q", numbered(10))
    channel.queue_purge("q")
    publish_confirmed(channel, "q", [b"after"])
    interrupt()
    assert drain(fresh(), "q") == [b"after"]


def test_what_was_delivered_before_kill_9_is_marked_redelivered(fresh, own_broker):
    channel = fresh()
    channel.queue_declare("q", durable=True)
    publish_confirmed(channel, "q", numbered(10))
    channel.basic_qos(prefetch_count=5)
    Consumer(channel, "q").wait_for(5)
    publish_confirmed(fresh(), "q", [b"later"])
    own_broker.kill()
    own_broker.start()
    channel = fresh()
    redelivered = [get(channel, "q")[0].redelivered for _ in range(11)]
    assert all(redelivered[:5]), redelivered
    assert not redelivered[10]


def test_a_message_to_many_queues_survives_in_each(fresh, interrupt):
    channel = fresh()
    for number in range(20):
        channel.queue_declare(f"q{number}", durable=True)
        channel.queue_bind(f"q{number}", "amq.fanout")
    publish_confirmed(channel, "", numbered(10), exchange="amq.fanout")
    for number in range(0, 20, 2):
        assert drain(channel, f"q{number}") == numbered(10)
    publish_confirmed(channel, "", [b"last"], exchange="amq.fanout")
    interrupt()
    channel = fresh()
    for number in range(20):
        expected = [b"last"] if number % 2 == 0 else [*numbered(10), b"last"]
        assert drain(channel, f"q{number}") == expected


def test_a_large_message_survives(fresh, interrupt):
    body = bytes(range(256)) * (8 << 12)
    channel = fresh()
    channel.queue_declare("q", durable=True)
    publish_confirmed(channel, "q", [body, b"small"])
    interrupt()
    assert drain(fresh(), "q") == [body, b"small"]


def test_repeats_are_recognised_after_a_restart(fresh, interrupt):
    def publish(sequence):
        publish_confirmed(fresh(), "q", [b"%d" % sequence], properties=pika.BasicProperties(
            delivery_mode=2, headers={"x-producer": "p", "x-producer-epoch": 1,
                                      "x-producer-sequence": sequence, "x-producer-lowest": 1}))

    fresh().queue_declare("q", durable=True)
    for sequence in (1, 2, 4):
        publish(sequence)
    assert get(fresh(), "q")[2] == b"1"
    publish(5)
    interrupt()
    for sequence in (1, 2, 3, 4, 5):
        publish(sequence)
    assert drain(fresh(), "q") == [b"2", b"4", b"5", b"3"]


def test_a_broker_restarted_ten_times_keeps_everything(fresh, own_broker, restart):
    channel = fresh()
    channel.queue_declare("q", durable=True)
    for number in range(10):
        publish_confirmed(channel, "q", [b"%d" % number])
        if number % 2:
            own_broker.kill()
            own_broker.start()
        else:
            restart()
        channel = fresh()
        assert message_count(channel, "q") == number + 1
    assert drain(channel, "q") == numbered(10)


def test_a_restart_tells_the_clients_that_it_is_forced(fresh, own_broker):
    connection = fresh().connection
    own_broker.shut_down()
    with pytest.raises(pika.exceptions.ConnectionClosedByBroker) as caught:
        while True:
            connection.process_data_events(time_limit=1)
    assert caught.value.reply_code == 320
    own_broker.start()
