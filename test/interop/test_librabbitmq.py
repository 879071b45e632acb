"""The cases of librabbitmq_client.cc: the C client library."""

import os
import subprocess

import pytest
from broker import die_with_parent, program

CLIENT = os.environ.get("LIBRABBITMQ_CLIENT") or program("librabbitmq_client")


def cases():
    listed = subprocess.run([CLIENT, "--list"], capture_output=True, text=True, check=True)
    return listed.stdout.split()


@pytest.mark.parametrize("case", cases())
def test_librabbitmq(broker, case):
    ran = subprocess.run([CLIENT, str(broker.port), case], capture_output=True, text=True,
                         timeout=80, preexec_fn=die_with_parent)
    assert ran.returncode == 0, f"{case} failed:\n{ran.stdout}{ran.stderr}"
