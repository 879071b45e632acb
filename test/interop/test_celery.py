"""A Celery application whose workers, and then whose broker, are killed under load.

What Celery 5.2 needs on the wire, seen on a worker with events and on a client:

  celery                             durable direct exchange and durable queue, acked late
  celery.pidbox, reply.celery.pidbox  transient fanout and direct exchanges for remote control
  NAME.celery.pidbox                 auto-delete queue of a worker, x-expires 10000,
                                     x-message-ttl 300000; so are the reply queues of clients
  celeryev                           durable topic exchange of events
  celeryev.UUID                      auto-delete queue of a listener, x-expires 60000,
                                     x-message-ttl 5000
  UUID of a client                   auto-delete queue of results, x-expires as result_expires
  basic.qos with global              again and again: one more for each task held until its ETA
"""

import collections
import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid

import pytest
from broker import LIBC, PR_SET_PDEATHSIG, wait_until
from http_api import HttpApi, quote
from languages import HERE, needs

PYTHON = "/usr/bin/python3"
APPLICATION = HERE / "celery_app"
SINGLES, CHAINS, STEPS, STUBBORN, TIMED = 3000, 400, 3, 400, 400
TASKS = SINGLES + CHAINS * STEPS + STUBBORN + TIMED
assert TASKS == 5000

needs("python3-celery", PYTHON, "-c", "import celery")

PRODUCE = f"""
import time
from landfall_app import link, single, stubborn, timed
due = time.time() + 8
for n in range({SINGLES}):
    single.delay(n)
    if n < {CHAINS}:
        (link.s(0, n, 1) | link.s(n, 2) | link.s(n, 3)).delay()
    if n < {STUBBORN}:
        stubborn.delay(n)
    if n < {TIMED}:
        timed.apply_async((n, due + n % 5), countdown=due + n % 5 - time.time())
"""

RESULTS = """
from landfall_app import add, app
sent = [add.delay(n, n) for n in range(20)]
assert [result.get(timeout=60) for result in sent] == [n + n for n in range(20)]
answers = app.control.ping(timeout=30, limit=1)
assert [list(answer.values()) for answer in answers] == [[{"ok": "pong"}]], answers
"""


class Application:
    """Its processes, what they wrote, and the file with its effects."""

    def __init__(self, broker, folder):
        self.effects_path = folder / "effects"
        self.effects_path.touch()
        self.log_path = folder / "log"
        self.workers = {}
        self.environment = dict(os.environ, LANDFALL_URL=broker.url, PYTHONPATH=str(APPLICATION),
                                EFFECTS=str(self.effects_path), PYTHONDONTWRITEBYTECODE="1",
                                C_FORCE_ROOT="1")

    def run(self, program, *arguments):
        """A process with a group of its own, which Celery's children belong to as well."""
        def prepare():
            os.setsid()
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

        with open(self.log_path, "ab") as log:
            return subprocess.Popen([PYTHON, *program, *arguments], env=self.environment,
                                    cwd=APPLICATION, stdin=subprocess.DEVNULL, stdout=log,
                                    stderr=log, preexec_fn=prepare)

    def start_worker(self, name):
        self.workers[name] = self.run(
            ["-m", "celery"], "-A", "landfall_app", "worker", "--concurrency", "2", "--loglevel",
            "WARNING", "--hostname", f"{name}-{uuid.uuid4()}@localhost")

    def kill_worker(self, name):
        """kill -9, of the worker and of the processes of its pool."""
        worker = self.workers.pop(name)
        assert worker.poll() is None, f"a worker ended by itself\n{self.log_tail()}"
        self.kill(worker)

    @staticmethod
    def kill(process):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def stop_workers(self):
        """SIGTERM: they finish what they do, give back the rest and end with 0."""
        for worker in self.workers.values():
            worker.terminate()
        codes = [worker.wait(60) for worker in self.workers.values()]
        self.workers.clear()
        assert codes == [0] * len(codes), f"workers ended with {codes}\n{self.log_tail()}"

    def end(self):
        for worker in self.workers.values():
            self.kill(worker)

    def effects(self):
        """How often each effect happened, as {(kind, name): count}."""
        counts = collections.Counter()
        for line in self.effects_path.read_text().splitlines():
            kind, name, *more = line.split()
            counts[kind, name] += 1
            if kind == "timed":
                due, ran = map(float, more)
                assert ran >= due - 0.01, f"task {name} ran {due - ran:.3f} s before its time"
            elif kind == "link":
                step = int(name.partition("/")[2])
                assert int(more[0]) == sum(range(step)), f"{name} was given {more[0]}"
        return counts

    def log_tail(self):
        return self.log_path.read_text(errors="replace")[-4000:]


EXPECTED = {
    *(("single", str(n)) for n in range(SINGLES)),
    *(("link", f"{n}/{step}") for n in range(CHAINS) for step in range(1, STEPS + 1)),
    *(("attempt", f"{n}/{retry}") for n in range(STUBBORN) for retry in range(2)),
    *(("stubborn", str(n)) for n in range(STUBBORN)),
    *(("timed", str(n)) for n in range(TIMED)),
}


@contextlib.contextmanager
def application(broker, folder):
    running = Application(broker, folder)
    try:
        yield running
    finally:
        running.end()


def messages_left(broker):
    """Those in the queue and those that a worker has fetched and not acked yet."""
    return HttpApi(broker).get(f"/api/queues/{quote('/')}/celery").json["messages"]


def messages_ready(broker):
    with contextlib.closing(broker.connect()) as connection:
        return connection.channel().queue_declare("celery", passive=True).method.message_count


def finish(application, broker, producer, seconds):
    assert producer.wait(seconds) == 0, f"the producer failed\n{application.log_tail()}"
    deadline = time.monotonic() + seconds
    while missing := EXPECTED - application.effects().keys():
        assert time.monotonic() < deadline, (
            f"{len(missing)} effects have not happened, {sorted(missing)[:5]} among them\n"
            f"{application.log_tail()}")
        time.sleep(0.2)
    effects = application.effects()
    assert effects.keys() == EXPECTED
    again = sum(effects.values()) - len(effects)
    application.stop_workers()
    # A repeat that a worker had fetched but not begun is given back; the next one must finish it.
    if messages_ready(broker):
        application.start_worker("last")
        wait_until(lambda: messages_left(broker) == 0, "every message is acked", 60)
        application.stop_workers()
    left = messages_ready(broker)
    assert left == 0, f"{left} messages are left in the queue"
    assert application.effects().keys() == EXPECTED
    print(f"{TASKS} tasks, {again} effects more than once", file=sys.stderr)
    return again


def wait_for_effects(application, count):
    wait_until(lambda: len(application.effects()) >= count, f"{count} effects", 120)


@pytest.mark.seconds(400)
def test_every_task_takes_effect_although_workers_are_killed(own_http_broker, tmp_path):
    with application(own_http_broker, tmp_path) as celery:
        for name in ["one", "two"]:
            celery.start_worker(name)
        producer = celery.run(["-c", PRODUCE])
        for step, name in enumerate(["one", "two", "one", "two", "one"]):
            wait_for_effects(celery, 400 + 700 * step)
            celery.kill_worker(name)
            celery.start_worker(name)
        again = finish(celery, own_http_broker, producer, 180)
    # Only what a killed worker had begun and not yet acked may run again.
    assert again < TASKS / 10, f"{again} effects happened more than once"


@pytest.mark.seconds(400)
def test_every_task_takes_effect_although_the_broker_is_killed(own_http_broker, tmp_path):
    with application(own_http_broker, tmp_path) as celery:
        for name in ["one", "two"]:
            celery.start_worker(name)
        producer = celery.run(["-c", PRODUCE])
        for step in range(3):
            wait_for_effects(celery, 400 + 1000 * step)
            own_http_broker.kill()
            own_http_broker.start()
        finish(celery, own_http_broker, producer, 180)


@pytest.mark.seconds(200)
def test_results_and_remote_control_come_back(broker, tmp_path):
    with application(broker, tmp_path) as celery:
        celery.start_worker("one")
        client = celery.run(["-c", RESULTS])
        assert client.wait(100) == 0, f"the client failed\n{celery.log_tail()}"
        celery.stop_workers()
