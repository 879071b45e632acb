"""What the client programs of other languages have in common: their cases, and what may fail yet.

Each program is called as `program URL CASE`, knows every case of CASES by this name, ends with 0
when all went as it should, and otherwise says in a sentence on stderr what did not.
"""

import os
import pathlib
import shutil
import subprocess

import pytest
from broker import die_with_parent

HERE = pathlib.Path(__file__).resolve().parent
SECONDS = 80

CASES = {
    "exchange_types": "direct, topic, fanout and headers exchanges (all, any) route by bindings",
    "confirms": "500 persistent messages are confirmed, counted, purged, their queue deleted",
    "consume_and_ack": "100 messages arrive in order, are acked, and are gone after that",
    "nack_requeues": "a nack puts a message back in its place, marked as redelivered; a reject"
                     " drops it",
    "basic_get": "get tells how many messages are left, and when there are none",
    "mandatory_return": "a mandatory message without a queue comes back with 312, then its ack",
    "prefetch": "three unacked messages and no fourth one, until one is acked",
    "missing_queue": "a passive declare of a missing queue is 404; the next channel works",
    "inequivalent_queue": "another x-expires, durable or exchange type is 406; the next channel"
                          " works",
    "dead_letters": "a rejected message arrives at the dead-letter exchange with its x-death",
    "ttl": "x-message-ttl and a message's expiration dead-letter it as expired",
    "priorities": "x-max-priority: the more urgent first, in order of arrival within a priority",
    "transactions": "nothing before commit, all after it, nothing of what is rolled back",
    "server_named": "amq.gen-… for one connection: 405 for others, gone when it closes",
    "properties": "every property and header table comes back as it was sent",
    "large_message": "4 MiB there and back",
    "heartbeats": "an idle connection with heartbeats of one second lives on",
}

# Cases that fail until the broker can do them: (case, client or None for all of them, reason). The
# entry has to go once the case passes: a case that passes against expectation is a failure.
NOT_YET = []


def cases(client):
    """The cases as pytest parameters for the program of one client library."""
    def mark(case):
        if os.environ.get("LANDFALL_TEST_PEER"):
            return []
        return [pytest.mark.xfail(reason=reason, strict=True) for name, whose, reason in NOT_YET
                if name == case and whose in (None, client)]
    return [pytest.param(case, marks=mark(case)) for case in CASES]


def needs(package, *command):
    """Skips the file that calls it when the command, which needs the Debian package, fails."""
    if shutil.which(command[0]) is not None:
        if subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL).returncode == 0:
            return
    pytest.skip(f"{package} is not installed; script/setup interop installs it",
                allow_module_level=True)


def run(command, environment=None):
    """Runs a client program; what it said on its way to a failure becomes the test's failure."""
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, timeout=SECONDS, env=environment,
                         preexec_fn=die_with_parent)
    assert ran.returncode == 0, f"{command[-1]} ended with {ran.returncode}:\n{ran.stdout}"
