"""The cases of go_client/main.go: RabbitMQ's Go client amqp091-go."""

import os
import subprocess

import pytest
from languages import HERE, cases, needs, run

needs("golang-go", "go", "version")
needs("golang-github-rabbitmq-amqp091-go-dev", "ls",
      "/usr/share/gocode/src/github.com/rabbitmq/amqp091-go")


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """The program, built from Debian's sources and nothing of the network."""
    folder = tmp_path_factory.mktemp("go")
    environment = dict(os.environ, GO111MODULE="off", GOPATH="/usr/share/gocode", GOFLAGS="",
                       GOPROXY="off", GOTOOLCHAIN="local", CGO_ENABLED="0",
                       GOCACHE=str(folder / "cache"))
    subprocess.run(["go", "build", "-o", folder / "amqp091_client", HERE / "go_client" / "main.go"],
                   check=True, env=environment)
    return folder / "amqp091_client"


@pytest.mark.parametrize("case", cases("go"))
def test_go(broker, client, case):
    run([client, broker.url, case])
