"""Producers and consumers for brokers that are killed, and the judgement of what is left.

Producers publish to a fanout of two durable queues. Of one, `work`, consumers take all the time,
give some messages back and reject some, which go to a third queue, `dead`; the other, `ledger`, is
left alone until the end.
"""

import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from broker import die_with_parent, program, wait_until
from oracle import Producer, Queue, findings
from pika_extras import close, message_count

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


class Workload:
    def __init__(self, broker, load, books, rate):
        self.broker = broker
        self.load = load
        self.books = books
        self._declare()
        self.senders = [load("produce", "--port", broker.port, "--book", books / f"sender{i}",
                             "--exchange", "all", "--name", f"sender-{i}", "--index", i,
                             "--rate", rate)
                        for i in range(PRODUCERS)]
        self.receivers = [load("consume", "--port", broker.port, "--book", books / "work",
                               "--queue", "work", "--reject-every", REJECT_EVERY,
                               "--return-every", RETURN_EVERY)
                          for _ in range(CONSUMERS)]

    def _declare(self):
        connection = self.broker.connect()
        channel = connection.channel()
        channel.exchange_declare("all", "fanout", durable=True)
        channel.queue_declare("dead", durable=True)
        channel.queue_declare("ledger", durable=True)
        channel.queue_declare("work", durable=True,
                              arguments={"x-dead-letter-exchange": "",
                                         "x-dead-letter-routing-key": "dead"})
        for queue in ("work", "ledger"):
            channel.queue_bind(queue, "all")
        close(connection)

    def kill_some(self, rng, chance=0.3):
        """Perhaps a sender, perhaps a receiver, a moment from now."""
        for workers in (self.senders, self.receivers):
            if rng.random() < chance:
                time.sleep(rng.uniform(0, 0.5))
                rng.choice(workers).kill()

    def check(self):
        for worker in self.senders + self.receivers:
            worker.check()

    def finish(self):
        """Lets everything be sent and received. What is wrong, a sentence each, and a summary."""
        for sender in self.senders:
            sender.finish()
        producers = [Producer(self.books / f"sender{i}", i) for i in range(PRODUCERS)]
        sent = sum(p.attempted for p in producers)
        wait_until(lambda: count(self.broker, "work") == 0, "the work queue is empty", 120)
        for receiver in self.receivers:
            receiver.finish()
        wait_until(lambda: count(self.broker, "work") == 0, "nothing was given back at the end")
        # What the receivers have settled stays settled.
        self.broker.restart()
        assert count(self.broker, "work") == 0
        rejected = sum(p.attempted // REJECT_EVERY for p in producers)
        buried = count(self.broker, "dead")
        ledger = count(self.broker, "ledger")
        self._empty("ledger", min(sent, ledger))
        self._empty("dead", min(rejected, buried))
        work = Queue(self.books / "work")
        wrong = findings(producers, work, Queue(self.books / "ledger"), Queue(self.books / "dead"),
                         REJECT_EVERY)
        return wrong, sent, (
            f"senders killed {sum(s.kills for s in self.senders)} times, "
            f"receivers {sum(r.kills for r in self.receivers)}; {sent} messages sent and "
            f"confirmed, {work.deliveries} delivered ({work.deliveries - sent} again, "
            f"{work.unmarked} of them unmarked), {ledger} of {sent} in the ledger, "
            f"{buried} of {rejected} dead-lettered; {len(wrong)} findings")

    def _empty(self, queue, expected, seconds=120):
        """Consumes until everything has been delivered and settled."""
        book = self.books / queue
        consumer = self.load("consume", "--port", self.broker.port, "--book", book,
                             "--queue", queue)
        wait_until(lambda: Queue(book).deliveries >= expected and count(self.broker, queue) == 0,
                   f"{expected} messages from '{queue}'", seconds)
        consumer.finish()


def count(broker, queue):
    connection = broker.connect()
    try:
        return message_count(connection.channel(), queue)
    finally:
        close(connection)


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
