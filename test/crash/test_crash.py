"""Kills the broker, its senders and its receivers with -9 at random moments, again and again.

    LANDFALL_CRASH_KILLS=500 LANDFALL_CRASH_SEED=7 LANDFALLD=build/release/bin/landfalld \\
        /usr/bin/python3 -m pytest -s test/crash

The seed decides who is killed and when; the moments in the broker's work that these hit differ from
run to run all the same.
"""

import os
import random
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from broker import die_with_parent, program, wait_until
from oracle import Producer, Queue, findings
from pika_extras import close, message_count

KILLS = int(os.environ.get("LANDFALL_CRASH_KILLS", 50))
RATE = float(os.environ.get("LANDFALL_CRASH_RATE", 2500))  # messages a second and producer
REJECT_EVERY, RETURN_EVERY = 50, 31
PRODUCERS, CONSUMERS = 2, 2


class Worker:
    """A process of crash_load that can be killed and started again."""

    def __init__(self, *arguments):
        self.arguments = [str(a) for a in arguments]
        self.kills = 0
        self.start()

    def start(self):
        self.process = subprocess.Popen([program("crash_load"), *self.arguments],
                                        stdin=subprocess.DEVNULL, preexec_fn=self._prepare)

    @staticmethod
    def _prepare():
        die_with_parent()
        # The program takes it from here once it can: an early SIGTERM waits instead of killing it.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])

    def check(self):
        assert self.process.poll() is None, f"{self.arguments} ended with {self.process.poll()}"

    def kill(self):
        self.check()
        self.process.kill()
        self.process.wait()
        self.kills += 1
        self.start()

    def finish(self, seconds=60):
        self.check()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(seconds) == 0, self.arguments

    def end(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def load():
    """Starts workers; none is left behind."""
    workers = []

    def start(*arguments):
        workers.append(Worker(*arguments))
        return workers[-1]

    yield start
    for worker in workers:
        worker.end()


@pytest.fixture
def books():
    with tempfile.TemporaryDirectory(prefix="landfall-test-") as directory:
        yield Path(directory)


def declare(broker):
    """Producers publish to a fanout of two durable queues; rejects go to a third."""
    connection = broker.connect()
    channel = connection.channel()
    channel.exchange_declare("all", "fanout", durable=True)
    channel.queue_declare("dead", durable=True)
    channel.queue_declare("ledger", durable=True)
    channel.queue_declare("work", durable=True, arguments={"x-dead-letter-exchange": "",
                                                           "x-dead-letter-routing-key": "dead"})
    for queue in ("work", "ledger"):
        channel.queue_bind(queue, "all")
    close(connection)


def count(broker, queue):
    connection = broker.connect()
    try:
        return message_count(connection.channel(), queue)
    finally:
        close(connection)


def empty(broker, load, book, queue, expected, seconds=120):
    """Consumes until everything has been delivered and settled."""
    consumer = load("consume", "--port", broker.port, "--book", book, "--queue", queue)
    wait_until(lambda: Queue(book).deliveries >= expected and count(broker, queue) == 0,
               f"{expected} messages from '{queue}'", seconds)
    consumer.finish()


@pytest.mark.seconds(900)
def test_no_confirmed_message_is_lost_or_doubled_by_kill_9(own_broker, workers, load, books):
    seed = int(os.environ.get("LANDFALL_CRASH_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"\ncrash: seed {seed}, {workers} workers")
    rng = random.Random(seed)
    broker = own_broker
    declare(broker)
    senders = [load("produce", "--port", broker.port, "--book", books / f"sender{i}", "--exchange",
                    "all", "--name", f"sender-{i}", "--index", i, "--rate", RATE)
               for i in range(PRODUCERS)]
    receivers = [load("consume", "--port", broker.port, "--book", books / "work", "--queue", "work",
                      "--reject-every", REJECT_EVERY, "--return-every", RETURN_EVERY)
                 for _ in range(CONSUMERS)]
    during_recovery = 0
    for _ in range(KILLS):
        time.sleep(rng.uniform(0.02, 1.2))
        broker.kill()
        if rng.random() < 0.2:
            # It must also survive to be killed while it recovers.
            broker.start(wait=False)
            time.sleep(rng.uniform(0, 0.1))
            broker.kill()
            during_recovery += 1
        broker.start()
        if rng.random() < 0.3:
            time.sleep(rng.uniform(0, 0.5))
            rng.choice(senders).kill()
        if rng.random() < 0.3:
            time.sleep(rng.uniform(0, 0.5))
            rng.choice(receivers).kill()
        for worker in senders + receivers:
            worker.check()

    for sender in senders:
        sender.finish()
    producers = [Producer(books / f"sender{i}", i) for i in range(PRODUCERS)]
    sent = sum(p.attempted for p in producers)
    wait_until(lambda: count(broker, "work") == 0, "the work queue is empty", 120)
    for receiver in receivers:
        receiver.finish()
    wait_until(lambda: count(broker, "work") == 0, "nothing was given back at the end")
    # What the receivers have settled stays settled.
    broker.restart()
    assert count(broker, "work") == 0
    rejected = sum(p.attempted // REJECT_EVERY for p in producers)
    buried = count(broker, "dead")
    ledger = count(broker, "ledger")
    empty(broker, load, books / "ledger", "ledger", min(sent, ledger))
    empty(broker, load, books / "dead", "dead", min(rejected, buried))
    work = Queue(books / "work")
    wrong = findings(producers, work, Queue(books / "ledger"), Queue(books / "dead"), REJECT_EVERY)
    print(f"crash: seed {seed}, {workers} workers: broker killed {KILLS + during_recovery} times "
          f"({during_recovery} while recovering), senders {sum(s.kills for s in senders)}, "
          f"receivers {sum(r.kills for r in receivers)}; {sent} messages sent and confirmed, "
          f"{work.deliveries} delivered ({work.deliveries - sent} again, {work.unmarked} of them "
          f"unmarked), {ledger} of {sent} in the ledger, {buried} of {rejected} dead-lettered; "
          f"{len(wrong)} findings")
    assert sent > KILLS * 10, "too little went on between the kills"
    assert not wrong, f"seed {seed}:\n" + "\n".join(wrong)
