"""landfall perf against a broker that refuses or says nothing: it ends, and leaves nothing behind."""

import json
import signal
import socket
import subprocess
import time

import pika
import pytest
from broker import die_with_parent, program, wait_until
from pika_extras import message_count

pytestmark = pytest.mark.ours
SOON = 15  # seconds, far below the minute for which an answer may be waited


def perf(url, *arguments):
    return subprocess.Popen([program("landfall"), "perf", "--broker", url, "--json",
                             *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, preexec_fn=die_with_parent)


def ended(running):
    """Its exit code and its errors."""
    try:
        out, _ = running.communicate(timeout=SOON)
    finally:
        running.kill()
    return running.returncode, json.loads(out)["errors"]


def exists(broker, queue):
    connection = broker.connect()
    try:
        connection.channel().queue_declare(queue, passive=True)
        return True
    except pika.exceptions.ChannelClosedByBroker:
        return False
    finally:
        connection.close()


@pytest.mark.parametrize("before", [0, 2])
def test_a_refused_declare_ends_it_at_once_with_the_brokers_words(broker, channel, name, before):
    refused = f"{name}-{before}"
    channel.queue_declare(refused, durable=True, arguments={"x-max-length": 5})
    channel.basic_publish("", refused, b"of somebody else")
    code, errors = ended(perf(broker.url, "--queue", name, "--queues", 4))
    assert code == 1
    error, = errors
    assert f"cannot declare queue '{refused}'" in error
    assert "406 PRECONDITION_FAILED - inequivalent arg 'x-max-length'" in error
    wait_until(lambda: message_count(channel, refused) == 1, "the queue is as it was")
    assert [exists(broker, f"{name}-{i}") for i in range(4)] == [i == before for i in range(4)]


def test_a_refused_consumer_ends_it_and_takes_the_queues_away(broker, channel, name):
    owner = broker.connect()
    owner.channel().basic_consume(channel.queue_declare(name, durable=True).method.queue,
                                  lambda *_: None, exclusive=True)
    code, errors = ended(perf(broker.url, "--queue", name))
    assert code == 1
    assert "403 ACCESS_REFUSED" in errors[0]
    owner.close()
    assert not exists(broker, name)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_wait_for_a_broker_that_says_nothing(number):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        running = perf(f"amqp://127.0.0.1:{listener.getsockname()[1]}/")
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.recv(8) == b"AMQP\x00\x00\x09\x01"
            start = time.monotonic()
            running.send_signal(number)
            code, errors = ended(running)
    assert code == 1
    assert errors[0].startswith("interrupted")
    assert time.monotonic() - start < SOON / 2
