"""Cuts the power of the broker under load with `landfall crashtest`: a few cuts of each kind, and
the negative controls that show that a loss would be found. docs/durability.md has the long runs.

    LANDFALL_POWER_CUTS=200 LANDFALLD=$PWD/build/release/bin/landfalld \\
        /usr/bin/python3 -m pytest -s test/crash/test_power_cut.py
"""

import json
import os
import subprocess

import pytest
from broker import program, wait_until

CUTS = int(os.environ.get("LANDFALL_POWER_CUTS", 4))
CANNOT = 77


def landfalld(workers, *arguments):
    return ["--", program("landfalld"), "--data-dir", "{data}/broker", "--amqp-listen",
            "127.0.0.1:{port}", "--http-listen", "none", "--log-level", "warn", "--workers", workers,
            *arguments]


def forgetful(workers, every):
    """One that syncs only every n-th time that it says it has (kill_points.cc)."""
    return ["--", "env", f"LD_PRELOAD={program('kill_points.so')}",
            f"LANDFALL_KILL_POINT=fdatasync {every} only", *landfalld(workers)[1:]]


def crashtest(*arguments):
    """Its exit code and its report; skips the test where it cannot run."""
    done = subprocess.run([program("landfall"), "crashtest", "--json", *map(str, arguments)],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=60 + 30 * CUTS)
    print("\n" + done.stderr)
    if done.returncode == CANNOT:
        pytest.skip("power cuts: " + done.stderr.splitlines()[-1].removeprefix("skipped: "))
    assert done.returncode in (0, 1), done.stderr
    return done.returncode, json.loads(done.stdout)


def left_behind(directory):
    """What shows outside of a run whose disk lives in `directory`: mounts and loop devices."""
    with open("/proc/mounts", encoding="utf-8") as mounts:
        seen = [line for line in mounts if str(directory) in line]
    loops = subprocess.run(["losetup", "--list", "--noheadings"], capture_output=True, text=True,
                           check=True)
    return seen + [line for line in loops.stdout.splitlines() if str(directory) in line]


@pytest.mark.seconds(90 + 60 * CUTS)
@pytest.mark.parametrize("filesystem", ["ext4", "xfs"])
def test_no_confirmed_message_is_lost_when_the_power_fails(workers, filesystem, directory):
    # A window this small, so that cuts meet checkpoints and segments that are used again.
    code, report = crashtest("--strict", "--cuts", CUTS, "--filesystem", filesystem,
                             "--directory", directory, "--fresh-queues", "--rate", 5000,
                             "--longest", 1.5,
                             *landfalld(workers, "--journal-window", "1MiB", "--segment-size",
                                        "256KiB"))
    total = report["total"]
    assert code == 0
    assert total["cuts"] == CUTS
    assert total["confirmed"] > 100 * CUTS and total["recovered"] > 50 * CUTS, "too little went on"
    assert total["acked"] > 0
    assert total["undeleted_queues"] == 0
    assert not [note for cut in report["cuts"] for note in cut["notes"]]
    assert not left_behind(directory)
    assert not list(directory.iterdir())


@pytest.mark.seconds(150)
def test_a_broker_that_does_not_sync_is_seen_to_lose_messages(workers):
    code, report = crashtest("--expect-loss", "--cuts", 2, "--seed", 1, "--longest", 1,
                             *landfalld(workers, "--unsafe-no-sync"))
    assert code == 0
    assert report["total"]["lost"] > 0


@pytest.mark.seconds(150)
def test_a_broker_that_syncs_now_and_then_is_seen_to_lose_messages(workers):
    if os.environ.get("LANDFALL_SANITIZE"):
        pytest.skip("a sanitizer wants to be the first library that is loaded")
    code, report = crashtest("--expect-loss", "--cuts", 3, "--seed", 1, "--longest", 0.6,
                             "--sync-start", "--recovery-cuts", 0, *forgetful(workers, 10))
    assert code == 0
    assert report["total"]["recovered"] > 0, "it should lose some, not all"


@pytest.mark.seconds(90)
def test_a_loss_is_a_failure_and_its_absence_too_where_one_is_expected(workers):
    code, _ = crashtest("--cuts", 1, "--seed", 1, "--longest", 1,
                        *landfalld(workers, "--unsafe-no-sync"))
    assert code == 1
    code, _ = crashtest("--expect-loss", "--cuts", 1, "--longest", 1, *landfalld(workers))
    assert code == 1


@pytest.mark.seconds(60)
def test_nothing_is_left_behind_when_it_is_killed(workers, directory):
    command = [program("landfall"), "crashtest", "--cuts", 100, "--directory", directory,
               *landfalld(workers)]
    process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, text=True)
    try:
        for line in process.stdout:
            if line.startswith("skipped: "):
                pytest.skip("power cuts: " + line.strip().removeprefix("skipped: "))
            if line.strip().startswith("1"):
                break  # after the first cut the broker is under load again
        assert left_behind(directory), "this test looks in the wrong place"
    finally:
        process.kill()
        process.wait()
    wait_until(lambda: not left_behind(directory), "mounts and loop devices are gone")
