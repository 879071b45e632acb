"""What a broker does that has no more memory to give."""

import os
import subprocess

import pytest

from broker import Broker, program, wait_until
from pika_extras import Consumer, close, wait_on

if os.environ.get("LANDFALL_SANITIZE"):
    pytest.skip("the allocator of a sanitizer gives no memory back", allow_module_level=True)

LIMIT = 80 << 20
BODY = b"x" * 200


@pytest.fixture
def small_broker(workers):
    broker = Broker(workers, ["--memory-limit", str(LIMIT)])
    yield broker
    broker.stop()


@pytest.mark.seconds(180)
def test_publishers_are_blocked_at_the_limit_and_go_on_when_the_backlog_is_gone(small_broker):
    publisher = small_broker.connect(blocked_connection_timeout=None)
    blocked = []
    publisher.add_on_connection_blocked_callback(lambda *_: blocked.append(True))
    publisher.add_on_connection_unblocked_callback(lambda *_: blocked.append(False))
    channel = publisher.channel()
    channel.queue_declare("q", durable=True)
    published = 0
    while not blocked:
        for _ in range(2000):
            channel.basic_publish("", "q", BODY)  # transient: persistent ones leave memory
        published += 2000
        publisher.process_data_events(0)
        assert published < 2_000_000, "never blocked"

    consumer = small_broker.connect()
    # Some of what was published may still wait in the socket for the alarm to end.
    deliveries = Consumer(consumer.channel(), "q", auto_ack=True)
    deadline = 120
    wait_until(lambda: (consumer.process_data_events(0.05),
                        publisher.process_data_events(0)) and blocked[-1] is False,
               "publishers are unblocked", deadline)
    wait_on(consumer, lambda: len(deliveries.deliveries) == published,
            lambda: f"{published} deliveries; there are {len(deliveries.deliveries)}", deadline)
    close(consumer)
    close(publisher)


@pytest.mark.seconds(180)
def test_a_deep_queue_does_not_stay_in_memory(small_broker):
    messages = 300_000
    perf = [program("landfall"), "perf", "--broker", small_broker.url, "--queue", "deep", "--size", "1024",
            "--quiet", "--messages", str(messages)]
    # It would wait for ever if it were blocked: nobody makes room.
    subprocess.run([*perf, "--consumers", "0", "--keep"], check=True, timeout=120)
    connection = small_broker.connect()
    declared = connection.channel().queue_declare("deep", durable=True, passive=True)
    assert declared.method.message_count == messages
    close(connection)
    subprocess.run([*perf, "--producers", "0", "--no-declare"], check=True, timeout=120)
