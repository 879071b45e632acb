"""landfalld --definitions, landfall definitions export, and policies that apply to living queues."""
import json
import subprocess

import pytest
from broker import Broker, program, wait_until
from pika_extras import get, message_count, publish_confirmed

QUEUE = {"name": "q", "vhost": "/", "durable": True, "auto_delete": False, "arguments": {}}
LIMIT = {"name": "limit", "vhost": "/", "pattern": "^q$", "apply-to": "queues", "priority": 0,
         "definition": {"max-length": 2, "dead-letter-exchange": "",
                        "dead-letter-routing-key": "dead"}}


def export(broker):
    return subprocess.run([program("landfall"), "definitions", "export", broker.data], check=True,
                          capture_output=True, text=True).stdout


@pytest.fixture
def file(directory):
    def write(**definitions):
        path = directory / "definitions.json"
        path.write_text(json.dumps(definitions))
        return path
    return write


def test_a_policy_of_the_file_survives_kill_9_without_the_file(file, workers):
    definitions = file(queues=[QUEUE, QUEUE | {"name": "dead"}], policies=[LIMIT])
    with Broker(workers, ["--definitions", definitions]) as broker:
        broker.kill()
        broker.arguments = []
        broker.start()
        channel = broker.connect().channel()
        publish_confirmed(channel, "q", [b"1", b"2", b"3"])
        wait_until(lambda: message_count(channel, "q") == 2, "the limit holds")
        assert get(channel, "dead")[2] == b"1"
        broker.kill()
        broker.start()
        channel = broker.connect().channel()
        assert message_count(channel, "q") == 2


def test_a_policy_that_comes_later_applies_to_the_messages_that_are_there(own_broker, file):
    channel = own_broker.connect().channel()
    for queue in ("q", "dead"):
        channel.queue_declare(queue, durable=True)
    publish_confirmed(channel, "q", [b"1", b"2", b"3"])
    own_broker.shut_down()
    own_broker.arguments = ["--definitions", file(policies=[LIMIT])]
    own_broker.start()
    channel = own_broker.connect().channel()
    wait_until(lambda: message_count(channel, "q") == 2, "the limit holds")
    channel.queue_declare("q", durable=True)  # arguments are what is compared


def test_an_export_can_be_imported_and_is_the_same_again(own_broker, file, directory, workers):
    channel = own_broker.connect().channel()
    channel.exchange_declare("x", "topic", durable=True, arguments={"alternate-exchange": "amq.fanout"})
    channel.queue_declare("q", durable=True, arguments={"x-max-length": 5})
    channel.queue_bind("q", "x", "a.#", arguments={"n": 1})
    own_broker.shut_down()
    own_broker.arguments = ["--definitions", file(policies=[LIMIT])]
    own_broker.start()
    own_broker.shut_down()
    exported = export(own_broker)
    assert json.loads(exported)["policies"] == [LIMIT]
    again = directory / "again.json"
    again.write_text(exported)
    with Broker(workers, ["--definitions", again]) as other:
        other.shut_down()
        assert export(other) == exported
        other.start()


def test_a_file_is_imported_while_the_broker_runs(own_broker, file):
    path = file(queues=[QUEUE], policies=[LIMIT], bindings=[
        {"source": "amq.topic", "vhost": "/", "destination": "q", "destination_type": "queue",
         "routing_key": "k", "arguments": {}}])
    command = [program("landfall"), "definitions", "import", path, "--broker",
               f"amqp://guest:guest@{own_broker.host}:{own_broker.port}"]
    for _ in range(2):
        done = subprocess.run(command, capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (
            0, "2 exchanges, queues and bindings are there\n")
        assert "policies[0] (limit in /)" in done.stderr
    channel = own_broker.connect().channel()
    channel.confirm_delivery()
    channel.basic_publish("amq.topic", "k", b"x", mandatory=True)
    file(queues=[QUEUE | {"durable": False}])
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert f"{path}: queues[0] (q in /): " in done.stderr
    assert "inequivalent arg 'durable'" in done.stderr


def test_what_cannot_be_imported_ends_the_start_and_is_named(file, own_broker):
    own_broker.connect().channel().queue_declare("q", durable=True, arguments={"x-max-length": 5})
    own_broker.shut_down()
    path = file(queues=[QUEUE])
    own_broker.arguments = ["--definitions", path]
    with pytest.raises(AssertionError, match="the broker ended with 2"):
        own_broker.start()
    assert f"{path}: queues[0] (q in /): PRECONDITION_FAILED - inequivalent arg 'x-max-length'" in \
        own_broker.log()
    own_broker.arguments = []
    own_broker.start()


def test_users_of_the_file_are_left_out_with_a_warning(file, workers):
    path = file(users=[{"name": "ada", "password_hash": "x"}])
    with Broker(workers, ["--definitions", path]) as broker:
        assert "users: ada" in broker.log()
