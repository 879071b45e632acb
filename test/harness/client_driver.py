"""Runs test/proxy/driver.cc, both halves of our own client, and reads what it prints."""

import collections
import signal
import subprocess
import typing

from broker import die_with_parent, program, wait_until


class Driver:
    """One process; what it prints goes to files in `directory`."""

    def __init__(self, directory, name, *arguments):
        self.name = name
        self.output = directory / f"{name}.out"
        self.errors = directory / f"{name}.err"
        with open(self.output, "ab") as out, open(self.errors, "ab") as err:
            self.process = subprocess.Popen(
                [program("client_driver"), *map(str, arguments)], stdin=subprocess.DEVNULL,
                stdout=out, stderr=err, preexec_fn=self._prepare)

    @staticmethod
    def _prepare():
        die_with_parent()
        # Blocked until the program waits for it: an early SIGTERM must not kill it.
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])

    def lines(self):
        """Whole lines only: the last one may be on its way."""
        text = self.output.read_text()
        return [line.split() for line in text[:text.rfind("\n") + 1].splitlines()]

    def ended(self):
        code = self.process.poll()
        assert code in (None, 0), f"{self.name} ended with {code}\n{self.errors.read_text()[-3000:]}"
        return code == 0

    def terminate(self, seconds=60):
        assert not self.ended(), f"{self.name} ended by itself"
        self.process.terminate()
        self.process.wait(seconds)
        assert self.ended()

    def kill(self):
        self.process.kill()
        self.process.wait()


class SendDriver(Driver):
    def __init__(self, directory, url, count, *arguments, name="sender"):
        self.count = count
        super().__init__(directory, name, "send", "--broker", url, "--count", count, *arguments)

    def outcomes(self, seconds=60):
        """The set of all statuses once everything has one, exactly once."""
        wait_until(self.ended, f"{self.name} is done", seconds)
        results = self.results()
        assert len(results) == self.count
        assert all(len(calls) == 1 for calls in results.values()), "not exactly one SendCallback"
        return {status for (status, _), in results.values()}

    def results(self):
        """Number -> list of (status, attempts), one a SendCallback."""
        results = collections.defaultdict(list)
        for number, status, attempts, *_ in self.lines():
            results[int(number)].append((status, int(attempts)))
        return results


class Arrival(typing.NamedTuple):
    """A RecvCallback."""
    number: int
    redelivered: bool
    count: int
    size: int  # of the body; 0 if it is damaged


class ReceiveDriver(Driver):
    def __init__(self, directory, url, queue, *arguments, name="receiver"):
        super().__init__(directory, name, "receive", "--broker", url, "--queue", queue, *arguments)

    def arrivals(self):
        return [Arrival(int(number), redelivered == "1", int(count), int(size))
                for what, number, redelivered, count, size in
                (words for words in self.lines() if words[0] == "recv")]

    def received(self):
        """Number -> how many RecvCallbacks."""
        return collections.Counter(arrival.number for arrival in self.arrivals())

    def told(self, what):
        """The numbers of the messages that were "renewed", or whose ack is known to have landed:
        "acked"."""
        return [int(words[1]) for words in self.lines() if words[0] == what]

    def repeats_dropped(self):
        return sum(int(words[1]) for words in self.lines() if words[0] == "repeats")
