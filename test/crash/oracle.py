"""Reads the books of producers and consumers (ledger.h) and says what was lost, doubled or made up."""

import struct

MAX_PRODUCERS = 8
MAX_MESSAGES = 2_000_000
HEADER = 32


def _header(path):
    if not path.exists() or path.stat().st_size < HEADER:
        return 0, 0, 0, 0  # nobody has begun to write it
    with open(path, "rb") as book:
        return struct.unpack("<4Q", book.read(HEADER))


def _row(path, index, length):
    """The notes on numbers 0 … length-1 of one producer."""
    with open(path, "rb") as book:
        book.seek(HEADER + index * MAX_MESSAGES)
        return book.read(length)


class Producer:
    """A producer's book."""

    def __init__(self, path, index):
        self.index = index
        self.attempted, self.returned, self.nacked, self.connections = _header(path)
        confirmed = _row(path, 0, self.attempted + 1)
        self.confirmed = {n for n in range(1, self.attempted + 1) if confirmed[n]}


class Queue:
    """The book of a queue's consumers."""

    def __init__(self, path):
        self.path = path
        self.deliveries, self.unknown, self.unmarked, self.connections = _header(path)

    def delivered(self, producer):
        """How often each number of a producer came, as bytes; index 0 is unused."""
        return _row(self.path, producer.index, producer.attempted + 1)

    def beyond(self, producer):
        """How many numbers came that this producer had not even tried to send."""
        row = _row(self.path, producer.index, MAX_MESSAGES)
        return len(row) - row.count(0) - sum(map(bool, row[:producer.attempted + 1])) + bool(row[0])


def some(numbers, most=10):
    """Numbers for an error message."""
    numbers = sorted(numbers)
    return f"{len(numbers)}: {numbers[:most]}{' …' if len(numbers) > most else ''}"


def findings(producers, work, ledger, dead, reject_every):
    """What is wrong, a sentence each. All queues must have been emptied.

    `work` has been consumed all the time; `ledger` got the same messages and was left alone until
    the end, so that each must be there exactly once; `dead` holds what the consumers of `work`
    have rejected.
    """
    wrong = []

    def check(numbers, what):
        if numbers:
            wrong.append(f"producer {producer.index}: {what}, {some(numbers)}")

    for producer in producers:
        everything = range(1, producer.attempted + 1)
        check([n for n in everything if n not in producer.confirmed], "never confirmed")
        worked, kept = work.delivered(producer), ledger.delivered(producer)
        check([n for n in everything if not worked[n]], "confirmed and lost from the work queue")
        check([n for n in everything if not kept[n]], "confirmed and lost from the ledger")
        check([n for n in everything if kept[n] > 1], "stored twice in the ledger")
        buried = dead.delivered(producer)
        rejected = [n for n in everything if n % reject_every == 0]
        check([n for n in rejected if not buried[n]], "rejected and lost on the way to the dead")
        check([n for n in everything if buried[n] > 1], "dead-lettered twice")
        check([n for n in everything if buried[n] and n % reject_every], "dead without a reason")
        if producer.returned:
            wrong.append(f"producer {producer.index}: {producer.returned} messages came back "
                         "unroutable: their bindings were lost")
        for name, queue in (("work", work), ("ledger", ledger), ("dead", dead)):
            if beyond := queue.beyond(producer):
                wrong.append(f"producer {producer.index}: {beyond} messages in {name} that were "
                             "never sent")
    for name, queue in (("work", work), ("ledger", ledger), ("dead", dead)):
        if queue.unknown:
            wrong.append(f"{queue.unknown} unknown or damaged messages in {name}")
    return wrong
