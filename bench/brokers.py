"""Brokers that a benchmark starts itself: each on loopback, on a port of its own, with its data in a
new directory, set up to be durable in the way that its documentation names. Nothing of a service
that the distribution runs is touched. What is set is told in docs/performance.md."""

import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import time

from machine import say

START_SECONDS = 120
STOP_SECONDS = 60


class DidNotStart(Exception):
    pass


class Failed(Exception):
    """A measurement that came to nothing, and why; with what was said all the same."""

    def __init__(self, why, result=None):
        super().__init__(why)
        self.result = result


def run_perf(command, broker, seconds, record):
    """Runs landfall perf or thin_client with --json; what it says, which `record` gets as well."""
    command = [*map(str, command), "--json", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 300,
                          check=False)
    try:
        result = json.loads(done.stdout)
    except ValueError:
        raise Failed(done.stderr.strip() or f"exit code {done.returncode}") from None
    record.append({"command": command, "broker": broker, "result": result})
    if done.returncode != 0:
        raise Failed("; ".join(result["errors"]) or f"exit code {done.returncode}", result)
    return result


def raw_sync(build, directory, samples, record):
    """Latencies of a bare fdatasync, in microseconds."""
    command = [str(build / "bin" / "fdatasync_latency"), str(directory), str(samples)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    result = json.loads(done.stdout)
    record.append({"command": command, "result": result})
    return result


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def first_line(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).partition("\n")[0].strip()


class Broker:
    """A program with a directory. launch() may be called again after kill(), on the same data."""

    name = ""
    program = ""        # what must be on the PATH
    client = ["landfall", "perf"]  # below the build's bin/
    queue_args = []
    # Whether deleting queues leaves it as empty as a new start does.
    deletes_queues = True
    # How long what was confirmed must rest before the broker is killed, so that it comes back.
    rest_seconds = 0
    scheme = "amqp"

    def __init__(self, parent):
        self.parent = parent
        self.directory = self.process = self.pid = self.url = self.port = None

    def missing(self):
        """Why it cannot be measured here; empty if it can."""
        return "" if self.find(self.program) else f"{self.program} is not installed"

    def version(self):
        return first_line(self.find(self.program), "--version")

    @staticmethod
    def find(program):
        # Debian keeps some in sbin, which is not on everybody's PATH.
        return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")

    def start(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(
            prefix=f"landfall-bench-{self.scheme}-", dir=self.parent))
        self.port = free_port()
        self.prepare()
        self.launch()

    def prepare(self):
        """Writes what it needs into the new directory."""

    def command(self):
        raise NotImplementedError

    def environment(self):
        return None

    def launch(self):
        with open(self.log_path(), "wb") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, cwd=self.directory, env=self.environment())
        self.pid = self.process.pid
        deadline = time.monotonic() + START_SECONDS
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                text = self.log_path().read_text(errors="replace")[-2000:]
                self.stop()
                raise DidNotStart(f"{self.name} did not start; the end of its log:\n{text}")
            time.sleep(0.01)
        self.url = f"{self.scheme}://127.0.0.1:{self.port}"

    def log_path(self):
        return self.directory / "log"

    def ready(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def kill(self):
        """As a crash would; the data stay."""
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process is not None:
            if self.process.poll() is None:
                self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                say(f"{self.name} did not stop when told, so it was killed")
                self.kill()
            self.ended(self.process.returncode)
            self.process = self.pid = None
        if self.directory is not None:
            shutil.rmtree(self.directory, ignore_errors=True)

    def ended(self, code):
        """Of the process; others end with codes of their own."""


class _OfBuild(Broker):
    """A program of the build, which picks a port itself and says which."""

    def __init__(self, parent, build, arguments=()):
        super().__init__(parent)
        self.path = build.resolve() / "bin" / self.program
        self.arguments = arguments

    def missing(self):
        return "" if self.path.exists() else f"{self.path} is not built"

    def launch(self):
        super().launch()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}/"

    def ready(self):
        listening = re.search(r"listening.*\bamqp\W+[^ \"]*?:(\d+)",
                              self.log_path().read_text(errors="replace"))
        if listening:
            self.port = int(listening[1])
        return listening is not None

    def ended(self, code):
        if code not in (0, -15):
            say(f"{self.program} ended with {code}")


class Landfall(_OfBuild):
    program = "landfalld"

    def __init__(self, parent, build, arguments=(), name="Landfall"):
        super().__init__(parent, build, arguments)
        self.name = name
        self.definitions = None

    def version(self):
        return first_line(self.path, "--version")

    def start(self, definitions=None):
        """`definitions`: what to have from the start, in RabbitMQ's format."""
        self.definitions = definitions
        super().start()

    def prepare(self):
        if self.definitions is not None:
            (self.directory / "definitions.json").write_text(json.dumps(self.definitions))

    def command(self):
        command = [self.path, "--data-dir", self.directory / "data",
                   "--amqp-listen", "127.0.0.1:0", *self.arguments]
        if "--http-listen" not in self.arguments:
            command += ["--http-listen", "none"]
        if self.definitions is not None:
            command += ["--definitions", self.directory / "definitions.json"]
        return command

    def ended(self, code):
        if code != 0:
            say(f"landfalld ended with {code}")


class NullBroker(_OfBuild):
    """No broker at all: the limit. It ends by a signal."""

    name = "null broker"
    program = "null_broker"

    def version(self):
        return ""

    def command(self):
        return [self.path, self.directory]


class RabbitMq(Broker):
    """One node with an epmd of its own. Queues are durable and messages persistent, and a confirm
    comes when they are on the disk: that is how RabbitMQ is set up without any setting."""

    name = "RabbitMQ classic"
    program = "rabbitmq-server"
    # That a queue exists is written to the disk some seconds after queue.declare-ok. If the node is
    # killed before, a classic queue is gone, and a quorum queue starts anew beside its messages.
    rest_seconds = 10
    script = pathlib.Path("/usr/lib/rabbitmq/bin/rabbitmq-server")  # /usr/sbin's changes the user

    def __init__(self, parent):
        super().__init__(parent)
        self.epmd = self.epmd_port = None

    def missing(self):
        return "" if self.script.exists() else f"{self.script} is not there"

    def version(self):
        folders = sorted(pathlib.Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*"))
        return folders[-1].name.removeprefix("rabbitmq_server-") if folders else ""

    def prepare(self):
        self.epmd_port = free_port()
        (self.directory / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{self.port}\n")
        (self.directory / "advanced.config").write_text("[].\n")
        (self.directory / "enabled_plugins").write_text("[].\n")
        (self.directory / "rabbitmq-env.conf").write_text("")
        # The node would start one that nobody stops.
        self.epmd = subprocess.Popen(
            [self.find("epmd"), "-address", "127.0.0.1", "-port", str(self.epmd_port)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def command(self):
        return [self.script]

    def environment(self):
        d = str(self.directory)
        return {
            "PATH": os.environ["PATH"], "HOME": d, "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(self.epmd_port),
            "RABBITMQ_NODENAME": f"bench{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RABBITMQ_CONF_ENV_FILE": d + "/rabbitmq-env.conf",
            "RABBITMQ_CONFIG_FILE": d + "/rabbitmq.conf",
            "RABBITMQ_ADVANCED_CONFIG_FILE": d + "/advanced.config",
            "RABBITMQ_ENABLED_PLUGINS_FILE": d + "/enabled_plugins",
            "RABBITMQ_MNESIA_BASE": d + "/data",
            "RABBITMQ_LOG_BASE": d + "/logs",
            "RABBITMQ_SCHEMA_DIR": d + "/schema",
            "RABBITMQ_GENERATED_CONFIG_DIR": d + "/config",
            "RABBITMQ_PID_FILE": d + "/pid",
            # Then the script becomes the node, and is no shell that would have to pass on signals.
            "RUNNING_UNDER_SYSTEMD": "true",
        }

    def launch(self):
        super().launch()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}/"

    def stop(self):
        super().stop()
        if self.epmd is not None:
            self.epmd.kill()
            self.epmd.wait()
            self.epmd = None


class RabbitMqQuorum(RabbitMq):
    name = "RabbitMQ quorum"
    queue_args = ["x-queue-type=quorum"]


class Nats(Broker):
    """JetStream syncs before it answers only with `sync_interval: always`, which came with 2.10."""

    program = "nats-server"
    client = ["thin_client"]
    scheme = "nats"

    @property
    def name(self):
        return "NATS" if self.syncs() else "NATS (no sync)"

    def syncs(self):
        found = re.search(r"v(\d+)\.(\d+)", self.version()) if self.find(self.program) else None
        return bool(found) and (int(found[1]), int(found[2])) >= (2, 10)

    def prepare(self):
        always = "  sync_interval: always\n" if self.syncs() else ""
        (self.directory / "nats.conf").write_text(
            f"listen: 127.0.0.1:{self.port}\n"
            f"jetstream {{\n  store_dir: \"{self.directory}/data\"\n{always}}}\n")

    def command(self):
        return [self.find(self.program), "-c", self.directory / "nats.conf"]


class Redis(Broker):
    name = "Redis streams"
    program = "redis-server"
    client = ["thin_client"]
    scheme = "redis"

    def command(self):
        # No snapshots beside the append-only file, which holds everything.
        return [self.find(self.program), "--bind", "127.0.0.1", "--port", str(self.port),
                "--dir", str(self.directory), "--appendonly", "yes", "--appendfsync", "always",
                "--save", ""]


class Beanstalkd(Broker):
    name = "beanstalkd"
    program = "beanstalkd"
    client = ["thin_client"]
    scheme = "beanstalk"
    deletes_queues = False

    def version(self):
        return first_line(self.find(self.program), "-v")

    def prepare(self):
        (self.directory / "data").mkdir()

    def command(self):
        return [self.find(self.program), "-l", "127.0.0.1", "-p", str(self.port),
                "-b", self.directory / "data", "-f0"]
