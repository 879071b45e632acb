"""Queues that come and go while the broker is killed, and whether what was answered holds."""

import random
import threading

import pika
from pika_extras import PERSISTENT, message_count


class Churn(threading.Thread):
    """Declares queues, fills and deletes them, one answer at a time, until stop().

    Of each queue it knows whether it is there and how many messages it holds. What was under way
    when the broker went may have been done or not; what had been answered has to be as it was.
    """

    NAMES = 12

    def __init__(self, broker, seed):
        super().__init__(daemon=True)
        self.broker = broker
        self.rng = random.Random(seed)
        self.known = {}  # name: messages in it
        self.under_way = None  # a name, and what may be there after an operation on it
        self.answered = 0
        self.wrong = []
        self._stopping = threading.Event()

    def run(self):
        while not self._stopping.is_set():
            try:
                connection = pika.BlockingConnection(self.broker.parameters())
            except (pika.exceptions.AMQPError, OSError):
                self._stopping.wait(0.02)
                continue
            try:
                self._look(connection)
                while not self._stopping.is_set():
                    self._step(connection)
                connection.close()
            except (pika.exceptions.AMQPError, OSError):
                pass

    def stop(self):
        self._stopping.set()
        self.join(60)
        assert not self.is_alive()

    def check(self):
        """After stop(): everything has to be as it was answered."""
        connection = self.broker.connect()
        self._look(connection)
        connection.close()

    def _look(self, connection):
        for name in [f"churn-{i}" for i in range(self.NAMES)]:
            allowed = [self.known.get(name)]
            if self.under_way and name == self.under_way[0]:
                allowed = self.under_way[1]
            there = self._count(connection, name)
            if there not in allowed:
                self.wrong.append(f"{name} has {there} messages instead of {allowed}; "
                                  "None is no queue")
            if there is None:
                self.known.pop(name, None)
            else:
                self.known[name] = there
        self.under_way = None

    @staticmethod
    def _count(connection, name):
        channel = connection.channel()
        try:
            return message_count(channel, name)
        except pika.exceptions.ChannelClosedByBroker as e:
            if e.reply_code != 404:
                raise
            return None
        finally:
            if channel.is_open:
                channel.close()

    def _step(self, connection):
        name = f"churn-{self.rng.randrange(self.NAMES)}"
        before = self.known.get(name)
        channel = connection.channel()
        channel.confirm_delivery()
        if before is None:
            self.under_way = name, [None, 0]
            channel.queue_declare(name, durable=True)
            self.known[name] = 0
        elif self.rng.random() < 0.3:
            self.under_way = name, [before, None]
            channel.queue_delete(name)
            del self.known[name]
        else:
            self.under_way = name, [before, before + 1]
            channel.basic_publish("", name, b"x" * self.rng.randrange(2000), PERSISTENT,
                                  mandatory=True)
            self.known[name] += 1
        self.under_way = None
        self.answered += 1
        channel.close()
