"""Kills the broker at every kind of system call that its storage makes, not just at any time:
before it, after it, in the middle of a write. Its journal is so small that checkpoints are written
and segments released and used again all the time, while messages are published, acked, rejected
and dead-lettered, and queues declared, filled and deleted.

    LANDFALL_KILL_POINTS=1000 LANDFALL_CRASH_SEED=7 LANDFALLD=$PWD/build/release/bin/landfalld \\
        /usr/bin/python3 -m pytest -s test/crash/test_kill_points.py
"""

import collections
import os
import random
import shutil
import subprocess

import pytest
from broker import Broker, program, wait_until
from definitions import Churn
from workload import Workload

KILLS = int(os.environ.get("LANDFALL_KILL_POINTS", 100))
RATE = float(os.environ.get("LANDFALL_CRASH_RATE", 2500))  # messages a second and producer
# How often each is called before a kill, at most. What comes with every start of the broker, as
# fsync does, is hit during the recovery and later.
CALLS = {"pwritev": 300, "fdatasync": 200, "fsync": 30, "rename": 20, "unlink": 10, "fallocate": 12,
         "ftruncate": 1}
# A call that does not come is none to wait for.
PATIENCE = 3


def kill_point(rng):
    call = rng.choice(list(CALLS))
    number = rng.randint(1, CALLS[call])
    moments = ["before", "after"] + ["half"] * (call == "pwritev")
    return call, f"{call} {number} {rng.choice(moments)}"


@pytest.mark.seconds(900)
def test_no_confirmed_message_or_definition_is_lost_at_any_kill_point(workers, load, books):
    if os.environ.get("LANDFALL_SANITIZE"):
        pytest.skip("a sanitizer wants to be the first library that is loaded")
    seed = int(os.environ.get("LANDFALL_CRASH_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"\nkill points: seed {seed}, {workers} workers")
    rng = random.Random(seed)
    broker = Broker(workers, ["--journal-window", "1MiB", "--segment-size", "256KiB"])
    reached, missed = collections.Counter(), collections.Counter()
    try:
        work = Workload(broker, load, books, RATE)
        churn = Churn(broker, seed)
        churn.start()
        while sum(reached.values()) + sum(missed.values()) < KILLS:
            if broker.process:
                broker.kill()
            call, point = kill_point(rng)
            broker.environment = {"LD_PRELOAD": str(program("kill_points.so")),
                                  "LANDFALL_KILL_POINT": point}
            broker.start(wait=False)
            try:
                code = broker.process.wait(PATIENCE)
                assert code == -9, f"the broker ended with {code} at {point}\n{broker.log_tail()}"
                reached[call] += 1
                broker.process = None
            except subprocess.TimeoutExpired:
                missed[call] += 1
            work.kill_some(rng, 0.1)
            work.check()
        if broker.process:
            broker.kill()
        broker.environment = {}
        broker.start()
        churn.stop()
        churn.check()
        wrong, sent, summary = work.finish()
        wrong += churn.wrong
        print(f"kill points: seed {seed}, {workers} workers: killed at {dict(reached)}, "
              f"not reached {dict(missed)}; {churn.answered} changes of queues answered; {summary}")
        assert not wrong, f"seed {seed}:\n" + "\n".join(wrong)
        assert sum(reached.values()) > KILLS / 2, "most kill points were never reached"
        assert set(reached) == set(CALLS), "a kind of call that never comes"
        assert sent > KILLS * 10 and churn.answered > KILLS, "too little went on between the kills"
        broker.stop()
    except BaseException:
        print(broker.log_tail())
        broker._end()
        raise


def test_definitions_and_messages_that_are_gone_are_noticed(workers):
    with Broker(workers) as broker:
        churn = Churn(broker, 1)
        churn.start()
        wait_until(lambda: len(churn.known) > 3, "there are queues")
        broker.kill()
        shutil.rmtree(broker.data)
        broker.start()
        wait_until(lambda: churn.wrong, "their absence is noticed")
        churn.stop()
