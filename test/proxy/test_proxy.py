"""Our own client against connections that break on each of a message's six steps.

Whatever happens between them, each SendMsg gets exactly one SendCallback, every message is received
and none is stored twice.
"""

import collections
import os
import random

import pika
import pytest
from broker import wait_until
from client_driver import ReceiveDriver, SendDriver
from pika_extras import drain
from proxy import HOWS, STEPS, Fault, Proxy

BATCH = 200  # messages
MOST_BATCHES = 10
TIMES = {"cut": 4, "stall": 2, "half_close_client": 3, "half_close_broker": 3}
pytestmark = pytest.mark.ours


@pytest.fixture
def work(channel, name):
    """A queue to consume from and one that keeps everything, behind the same exchange."""
    channel.exchange_declare(name, "fanout", durable=True)
    for queue in (name, name + "-ledger"):
        channel.queue_declare(queue, durable=True)
        channel.queue_bind(queue, name)
    yield name
    channel.exchange_delete(name)
    for queue in (name, name + "-ledger"):
        channel.queue_delete(queue)


def number_of(body):
    return int(body.split(b".")[0])


def all_settled(channel, queue):
    """Deletes the queue if nothing is in it, neither ready nor with a receiver."""
    try:
        channel.connection.channel().queue_delete(queue, if_empty=True)
    except pika.exceptions.ChannelClosedByBroker:
        return False
    return True


def deliver_through(broker, channel, work, directory, faults, batch=BATCH, size=20):
    """Sends batch after batch until every fault has found its step, and checks all of them.

    How many frames carry the confirms and acks of a batch depends on timing: each may cover many
    messages.
    """
    results = collections.defaultdict(list)
    with Proxy(broker.host, broker.port, faults) as proxy:
        url = f"amqp://guest:guest@127.0.0.1:{proxy.port}/"
        receiver = ReceiveDriver(directory, url, work)
        sender = None
        sent = 0
        try:
            while sent == 0 or (proxy.faults and sent < MOST_BATCHES * batch):
                sender = SendDriver(directory, url, batch, "--exchange", work, "--size", size,
                                    "--first", sent + 1, name=f"sender{sent}")
                wait_until(sender.ended, "the sender is done", 60)
                sent += batch
                for number, calls in sender.results().items():
                    results[number] += calls
                wait_until(lambda: len(receiver.received()) >= sent, f"{sent} received", 60)
            wait_until(lambda: all_settled(channel, work), "every message is settled", 60)
            receiver.terminate()
        finally:
            if sender:
                sender.kill()
            receiver.kill()
        left = proxy.faults
    expected = set(range(1, sent + 1))
    assert set(results) == expected
    callbacks = {number: calls for number, calls in results.items() if len(calls) != 1}
    assert not callbacks, f"not exactly one SendCallback: {callbacks}"
    assert {calls[0][0] for calls in results.values()} <= {"landed", "duplicate"}
    stored = sorted(number_of(body) for body in drain(channel, work + "-ledger"))
    assert stored == sorted(expected), "lost or stored twice"
    received = receiver.received()
    assert set(received) == expected
    more = {number: n for number, n in received.items() if n != 1}
    assert not more, f"more than one RecvCallback: {more}"
    assert not left, f"{len(left)} of {len(faults)} faults did not find their step"


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("step", STEPS, ids=lambda step: f"{step.number}_{step.name}")
def test_both_halves_deliver_through(broker, channel, work, directory, step, how):
    seed = int(os.environ.get("LANDFALL_PROXY_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"proxy seed {seed}")
    rng = random.Random(seed)
    faults = [Fault(step, how, rng.randrange(8)) for _ in range(TIMES[how])]
    deliver_through(broker, channel, work, directory, faults)


@pytest.mark.parametrize("round_", range(2))
def test_both_halves_deliver_through_a_mix_of_everything(broker, channel, work, directory, round_):
    seed = int(os.environ.get("LANDFALL_PROXY_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"proxy seed {seed}")
    rng = random.Random(seed)
    faults = [Fault(rng.choice(STEPS), rng.choice([how for how in HOWS if how != "stall"]),
                    rng.randrange(4)) for _ in range(12)]
    deliver_through(broker, channel, work, directory, faults)


def test_messages_of_several_frames_get_through_as_well(broker, channel, work, directory):
    faults = [Fault(step, "cut", 2) for step in STEPS for _ in range(2)]
    deliver_through(broker, channel, work, directory, faults, 60, 300_000)


def test_nothing_happens_when_nothing_breaks(broker, channel, work, directory):
    """The test's own ground: without a fault there is no repeat, no resend, no reconnect."""
    deliver_through(broker, channel, work, directory, [])
