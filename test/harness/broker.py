"""Starts a real broker on a port and a directory of its own, and leaves neither behind.

    with Broker(workers=3) as broker:
        connection = broker.connect()
        broker.kill()      # kill -9
        broker.start()     # same directory, same port

LANDFALLD names the program; without it the one of the release build is taken. With
LANDFALL_TEST_PEER=host:port tests that need no broker of their own run against another AMQP 0-9-1
broker: a way to find out whether a test or the broker is wrong.
"""

import ctypes
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import pika

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1


def program(name):
    """A program of the build under test: beside LANDFALLD, or in the release build."""
    landfalld = pathlib.Path(
        os.environ.get("LANDFALLD", ROOT / "build" / "release" / "bin" / "landfalld"))
    path = landfalld.with_name(name)
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there; build it, or set LANDFALLD")
    return path


def die_with_parent():
    """For a child: no process survives the test that started it, however that one ends."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def wait_until(condition, what, seconds=20.0):
    """Polls until condition() is true and returns what it gave; fails at the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(0.01)


class Peer:
    """Where an AMQP broker listens."""

    host = "127.0.0.1"
    port = 0

    @property
    def url(self):
        return f"amqp://guest:guest@{self.host}:{self.port}/"

    def parameters(self, user="guest", password="guest", vhost="/", **more):
        more.setdefault("heartbeat", 0)
        more.setdefault("blocked_connection_timeout", 30)
        more.setdefault("socket_timeout", 20)
        more.setdefault("stack_timeout", 30)
        return pika.ConnectionParameters(
            self.host, self.port, vhost, pika.PlainCredentials(user, password), **more)

    def connect(self, **parameters):
        return pika.BlockingConnection(self.parameters(**parameters))

    def socket(self, seconds=20.0):
        return socket.create_connection((self.host, self.port), timeout=seconds)


class OtherBroker(Peer):
    """One that somebody else has started: nothing of it is ours to check."""

    def __init__(self, address):
        self.host, port = address.rsplit(":", 1)
        self.port = int(port)

    def check(self):
        pass

    def stop(self):
        pass

    def connections(self):
        return 0


class Broker(Peer):
    START_SECONDS = 60.0
    STOP_SECONDS = 60.0

    def __init__(self, workers=1, arguments=(), data=None, http=False):
        """`data`: a data directory to begin with, a copy of it. `http`: with the HTTP API."""
        self.serves_http = http
        self.http_port = 0
        self.workers = workers
        self.arguments = list(arguments)
        self.environment = {}  # more of it, from the next start on
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="landfall-test-"))
        self.data = self.directory / "data"
        self.log_path = self.directory / "log"
        self.process = None
        if data is not None:
            shutil.copytree(data, self.data)
        try:
            self.start()
        except BaseException:
            self._end()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        if kind is None:
            self.stop()
        else:
            print(self.log_tail())
            self._end()

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def log_tail(self, lines=15):
        return "\n".join(["--- end of the broker's log ---", *self.log().splitlines()[-lines:]])

    def start(self, wait=True):
        """Starts it, on the port it had before if it had one, and waits until it listens."""
        assert self.process is None, "it runs already"
        command = [program("landfalld"), "--data-dir", self.data, "--amqp-listen",
                   f"{self.host}:{self.port}", "--http-listen",
                   f"{self.host}:{self.http_port}" if self.serves_http else "none",
                   "--workers", str(self.workers), *self.arguments]
        log_start = self.log_path.stat().st_size if self.log_path.exists() else 0
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, cwd=self.directory,
                                            env=os.environ | self.environment,
                                            preexec_fn=die_with_parent)
        if not wait:
            return

        def listening():
            self.check()
            with open(self.log_path, "rb") as log:
                log.seek(log_start)
                return re.search(rb"listening.*\bamqp=[^ ]*:(\d+).*", log.read())

        found = wait_until(listening, "the broker listens", self.START_SECONDS)
        self.port = int(found[1])
        if self.serves_http:
            self.http_port = int(re.search(rb"\bhttp=[^ ]*:(\d+)", found[0])[1])

    def check(self):
        """Fails if the broker has ended by itself."""
        if self.process is None:
            return
        code = self.process.poll()
        if code is not None:
            self.process = None
            raise AssertionError(f"the broker ended with {code}\n{self.log_tail()}")

    def kill(self):
        """kill -9."""
        self.check()
        self.process.kill()
        self.process.wait()
        self.process = None

    def suspend(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def shut_down(self):
        """SIGTERM; it has to end with 0, which a sanitizer that found a leak would prevent."""
        self.check()
        self.process.terminate()
        try:
            code = self.process.wait(self.STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            code = f"nothing within {self.STOP_SECONDS:g} s of SIGTERM"
        self.process = None
        assert code == 0, f"the broker ended with {code}\n{self.log_tail()}"
        self.check_ledger()

    def check_ledger(self):
        """Everything that was accepted was there at the end, or had left in a way that was counted."""
        unbalanced = [line for line in self.log().splitlines() if "does not balance" in line]
        assert not unbalanced, "\n".join(unbalanced)

    def restart(self):
        self.shut_down()
        self.start()

    def connections(self):
        """How many AMQP connections the broker's process holds, as the system sees it."""
        inodes = set()
        for descriptor in pathlib.Path(f"/proc/{self.pid}/fd").iterdir():
            try:
                target = os.readlink(descriptor)
            except FileNotFoundError:
                continue
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
        established_or_closing = 0
        for line in pathlib.Path("/proc/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            local_port, state = int(fields[1].split(":")[1], 16), int(fields[3], 16)
            if local_port == self.port and state != 10 and fields[9] in inodes:
                established_or_closing += 1
        return established_or_closing

    def stop(self):
        """Ends it and removes its directory; fails if it had crashed before or ends badly."""
        try:
            if self.process is not None:
                self.shut_down()
        finally:
            self._end()

    def _end(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        shutil.rmtree(self.directory, ignore_errors=True)
