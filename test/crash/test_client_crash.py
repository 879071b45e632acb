"""Our own client while the broker, or the client's own process, is killed with -9."""

import os
import random
import time

import pytest
from broker import wait_until
from client_driver import ReceiveDriver, SendDriver
from pika_extras import close, drain, message_count

KILLS = int(os.environ.get("LANDFALL_CRASH_CLIENT_KILLS", 8))
MESSAGES = 20000


def declare(broker):
    connection = broker.connect()
    channel = connection.channel()
    channel.exchange_declare("all", "fanout", durable=True)
    for queue in ("work", "ledger"):
        channel.queue_declare(queue, durable=True)
        channel.queue_bind(queue, "all")
    close(connection)


def stored(broker):
    connection = broker.connect()
    numbers = sorted(int(body.split(b".")[0]) for body in drain(connection.channel(), "ledger"))
    close(connection)
    return numbers


def count(broker, queue):
    connection = broker.connect()
    try:
        return message_count(connection.channel(), queue)
    finally:
        close(connection)


@pytest.mark.seconds(300)
def test_sender_and_receiver_outlive_brokers_that_are_killed(own_broker, directory):
    seed = int(os.environ.get("LANDFALL_CRASH_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"\nclient crash: seed {seed}")
    rng = random.Random(seed)
    broker = own_broker
    declare(broker)
    receiver = ReceiveDriver(directory, broker.url, "work", "--window", 100)
    sender = SendDriver(directory, broker.url, MESSAGES, "--exchange", "all", "--window", 50)
    kills = 0
    try:
        while kills < KILLS and not sender.ended():
            time.sleep(rng.uniform(0.05, 0.5))
            broker.kill()
            broker.start()
            kills += 1
        wait_until(sender.ended, "the sender is done", 120)
        wait_until(lambda: len(receiver.received()) >= MESSAGES and count(broker, "work") == 0,
                   "everything is received", 60)
        receiver.terminate()
    finally:
        sender.kill()
        receiver.kill()
    expected = set(range(1, MESSAGES + 1))
    results = sender.results()
    assert set(results) == expected
    assert all(len(calls) == 1 for calls in results.values()), "not exactly one SendCallback"
    assert {calls[0][0] for calls in results.values()} <= {"landed", "duplicate"}
    assert set(receiver.received()) == expected
    assert stored(broker) == sorted(expected), f"lost or stored twice, seed {seed}"
    repeats = sum(receiver.received().values()) - MESSAGES
    print(f"client crash: seed {seed}: broker killed {kills} times, {MESSAGES} messages, "
          f"{repeats} RecvCallbacks more than once")


@pytest.mark.seconds(300)
def test_a_sender_with_its_own_numbers_and_a_receiver_can_be_killed(own_broker, directory):
    """A new process under the same producer name sends again what it has no confirm for."""
    seed = int(os.environ.get("LANDFALL_CRASH_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"\nclient crash: seed {seed}")
    rng = random.Random(seed)
    broker = own_broker
    declare(broker)
    receiver = ReceiveDriver(directory, broker.url, "work", "--window", 100)
    first, kills = 1, 0
    statuses = set()
    try:
        while True:
            sender = SendDriver(directory, broker.url, MESSAGES - first + 1, "--exchange", "all",
                                "--window", 50, "--producer", "stable", "--first", first,
                                name=f"sender{kills}")
            if kills < KILLS:
                time.sleep(rng.uniform(0.1, 0.5))
            else:
                wait_until(sender.ended, "the last sender is done", 120)
            done = sender.ended()
            sender.kill()
            results = sender.results()
            assert all(len(calls) == 1 for calls in results.values())
            statuses |= {calls[0][0] for calls in results.values()}
            # What an outbox would know: everything up to here has had its callback.
            while first in results:
                first += 1
            if done:
                break
            if rng.random() < 0.5:
                receiver.kill()
                receiver = ReceiveDriver(directory, broker.url, "work", "--window", 100)
            kills += 1
        wait_until(lambda: len(receiver.received()) >= MESSAGES and count(broker, "work") == 0,
                   "everything is received", 60)
        receiver.terminate()
    finally:
        sender.kill()
        receiver.kill()
    assert first == MESSAGES + 1
    assert statuses <= {"landed", "duplicate"}
    assert set(receiver.received()) == set(range(1, MESSAGES + 1))
    assert stored(broker) == list(range(1, MESSAGES + 1)), f"lost or stored twice, seed {seed}"
    print(f"client crash: seed {seed}: sender killed {kills} times, {MESSAGES} messages, "
          f"statuses {sorted(statuses)}")
