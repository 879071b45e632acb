"""The cases of amqplib_client.mjs: JavaScript's client library amqplib."""

import pathlib
import subprocess

import pytest
from broker import die_with_parent

CLIENT = pathlib.Path(__file__).with_name("amqplib_client.mjs")


def cases():
    listed = subprocess.run(["node", CLIENT, "--list"], capture_output=True, text=True, check=True)
    return listed.stdout.split()


@pytest.mark.parametrize("case", cases())
def test_amqplib(broker, case):
    ran = subprocess.run(["node", CLIENT, broker.url, case], capture_output=True, text=True,
                         preexec_fn=die_with_parent)
    assert ran.returncode == 0, f"{case} failed:\n{ran.stdout}{ran.stderr}"
