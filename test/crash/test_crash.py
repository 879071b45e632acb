"""Kills the broker, its senders and its receivers with -9 at random moments, again and again.

    LANDFALL_CRASH_KILLS=500 LANDFALL_CRASH_SEED=7 LANDFALLD=build/release/bin/landfalld \\
        /usr/bin/python3 -m pytest -s test/crash

The seed decides who is killed and when; the moments in the broker's work that these hit differ from
run to run all the same.
"""

import os
import random
import time

import pytest
from workload import Workload

KILLS = int(os.environ.get("LANDFALL_CRASH_KILLS", 50))
RATE = float(os.environ.get("LANDFALL_CRASH_RATE", 2500))  # messages a second and producer


@pytest.mark.seconds(900)
def test_no_confirmed_message_is_lost_or_doubled_by_kill_9(own_broker, workers, load, books):
    seed = int(os.environ.get("LANDFALL_CRASH_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"\ncrash: seed {seed}, {workers} workers")
    rng = random.Random(seed)
    broker = own_broker
    work = Workload(broker, load, books, RATE)
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
        work.kill_some(rng)
        work.check()
    wrong, sent, summary = work.finish()
    print(f"crash: seed {seed}, {workers} workers: broker killed {KILLS + during_recovery} times "
          f"({during_recovery} while recovering), {summary}")
    assert sent > KILLS * 10, "too little went on between the kills"
    assert not wrong, f"seed {seed}:\n" + "\n".join(wrong)
