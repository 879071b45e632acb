"""The cases of AmqpClient.java: RabbitMQ's Java client."""

import pathlib
import subprocess

import pytest
from languages import HERE, cases, needs, run

JARS = [pathlib.Path("/usr/share/java") / name
        for name in ["amqp-client.jar", "slf4j-api.jar", "slf4j-nop.jar"]]

needs("librabbitmq-client-java", "ls", *JARS)
needs("default-jdk-headless", "javac", "-version")


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    """Where AmqpClient.class is."""
    folder = tmp_path_factory.mktemp("java")
    subprocess.run(["javac", "-encoding", "UTF-8", "-cp", ":".join(map(str, JARS)), "-d", folder,
                    HERE / "AmqpClient.java"], check=True)
    return folder


@pytest.mark.parametrize("case", cases("java"))
def test_java(broker, classes, case):
    run(["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m",
         "-cp", ":".join(map(str, [classes, *JARS])), "AmqpClient", broker.url, case])
