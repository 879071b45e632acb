"""A tour with rabbitmqadmin, the script that RabbitMQ's people administer it with (Debian's
rabbitmq-server has it): what they type keeps working."""

import json
import shutil
import subprocess

import pytest

RABBITMQADMIN = shutil.which("rabbitmqadmin")
if RABBITMQADMIN is None:
    pytest.skip("rabbitmqadmin is not there: script/setup compare installs it, with rabbitmq-server",
                allow_module_level=True)


@pytest.fixture
def admin(http_broker):
    def run(*words, user="guest", password="guest", fails=False):
        command = [RABBITMQADMIN, "-H", http_broker.host, "-P", str(http_broker.http_port),
                   "-u", user, "-p", password, *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert (done.returncode != 0) == fails, (words, done.stdout, done.stderr)
        return done.stdout + done.stderr

    http_broker.check()
    yield run
    http_broker.check()


def rows(text):
    return json.loads(text)


def test_the_tour(admin, directory):
    assert "declared" in admin("declare", "queue", "name=tour", "durable=true")
    assert "declared" in admin("declare", "queue", "name=limited",
                               'arguments={"x-max-length": 5}')
    assert "declared" in admin("declare", "exchange", "name=tour-x", "type=topic")
    assert "declared" in admin("declare", "binding", "source=tour-x", "destination=tour",
                               "routing_key=a.#")
    assert "published" in admin("publish", "exchange=tour-x", "routing_key=a.b", "payload=hello")
    assert "NOT routed" in admin("publish", "exchange=tour-x", "routing_key=b", "payload=lost")
    assert "hello" in admin("get", "queue=tour")
    assert "hello" in admin("get", "queue=tour", "ackmode=ack_requeue_false")
    assert "No items" in admin("get", "queue=tour")
    queues = rows(admin("-f", "raw_json", "list", "queues"))
    assert {q["name"] for q in queues} == {"tour", "limited"}
    for what in ("queues", "exchanges", "bindings", "connections", "channels", "consumers", "vhosts",
                 "users", "permissions", "policies", "nodes"):
        admin("list", what)
    assert "Landfall" in admin("-f", "raw_json", "show", "overview")
    assert "declared" in admin("declare", "policy", "name=short", "pattern=^tour$",
                               'definition={"max-length": 10}', "apply-to=queues")
    assert "short" in admin("list", "policies")
    assert "declared" in admin("declare", "user", "name=ada", "password=pw", "tags=management")
    assert "declared" in admin("declare", "permission", "vhost=/", "user=ada", "configure=^ada",
                               "write=.*", "read=.*")
    assert "declared" in admin("declare", "queue", "name=adas", user="ada", password="pw")
    assert "refused" in admin("declare", "queue", "name=other", user="ada", password="pw",
                              fails=True)
    assert "declared" in admin("declare", "vhost", "name=v2")
    file = directory / "definitions.json"
    admin("export", str(file))
    assert {q["name"] for q in json.loads(file.read_text())["queues"]} == {"tour", "limited", "adas"}
    for name in ("tour", "limited", "adas"):
        assert "deleted" in admin("delete", "queue", f"name={name}")
    assert "No items" in admin("list", "queues")
    assert "Uploaded" in admin("import", str(file))
    assert len(rows(admin("-f", "raw_json", "list", "queues"))) == 3
    assert "purged" in admin("purge", "queue", "name=tour")
    assert "deleted" in admin("delete", "policy", "name=short")
    assert "deleted" in admin("delete", "binding", "source=tour-x", "destination_type=queue",
                              "destination=tour", "properties_key=a.%23")
    assert "deleted" in admin("delete", "exchange", "name=tour-x")
    assert "deleted" in admin("delete", "permission", "vhost=/", "user=ada")
    assert "deleted" in admin("delete", "user", "name=ada")
    assert "Access refused" in admin("list", "queues", password="wrong", fails=True)
