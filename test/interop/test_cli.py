"""landfall's commands over the HTTP API, against a broker."""

import http.server
import json
import os
import pty
import socket
import subprocess
import threading

import pika
import pytest
from broker import program, wait_until
from http_api import HttpApi, quote

OK, FAILED, USAGE, NOT_FOUND, REFUSED, UNREACHABLE, UNHEALTHY, CANCELLED = range(8)
VHOST = quote("/")


class Done:
    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err

    @property
    def json(self):
        return json.loads(self.out)

    def rows(self):
        """Of a table: each line as a list of words."""
        return [line.split() for line in self.out.splitlines()]


class Cli:
    def __init__(self, url):
        self.url = url
        self.environment = {}

    def __call__(self, *words, code=OK, stdin=""):
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith("LANDFALL_")}
        done = subprocess.run([program("landfall"), *words], input=stdin, capture_output=True,
                              text=True, timeout=60,
                              env=environment | {"LANDFALL_URL": self.url} | self.environment)
        assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
        return Done(done.returncode, done.stdout, done.stderr)

    def at_a_terminal(self, *words, answer):
        """As a person at a terminal who answers one question."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen([program("landfall"), *words, "--url", self.url], stdin=theirs,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        os.close(theirs)
        os.write(ours, f"{answer}\n".encode())
        out, err = process.communicate(timeout=60)
        os.close(ours)
        return Done(process.returncode, out, err)


@pytest.fixture
def cli(http_broker):
    http_broker.check()
    yield Cli(f"http://{http_broker.host}:{http_broker.http_port}")
    http_broker.check()


@pytest.fixture
def api(http_broker):
    return HttpApi(http_broker)


@pytest.fixture
def queue(cli, api, name):
    cli("queues", "declare", name)
    yield name
    api.delete(f"/api/queues/{VHOST}/{quote(name)}")


def publish(api, queue, count=1):
    for _ in range(count):
        answer = api.post(f"/api/exchanges/{VHOST}/amq.default/publish",
                          {"properties": {}, "routing_key": queue, "payload": "hello",
                           "payload_encoding": "string"})
        assert answer.json["routed"]


def test_status_and_health(cli):
    assert any(row[0] == "queues" for row in cli("status").rows())
    status = cli("status", "--json").json
    assert status["overview"]["product_name"] == "Landfall" and status["node"]["running"]
    assert status["ledger"]["queues_unbalanced"] == 0
    port = cli.url.rsplit(":", 1)[1]
    checks = cli("health", "--port", port, "--aliveness", "/", "--json").json
    assert {check["check"]: check["ok"] for check in checks} == {
        "alarms": True, "vhosts": True, "port": True, "aliveness": True, "ledger": True}
    sick = cli("health", "--port", "1", code=UNHEALTHY)
    assert ["port", "no", "No", "active", "listener"] in sick.rows()


def test_a_queue_is_declared_shown_purged_and_deleted(cli, api, name):
    cli("queues", "declare", name, "--argument", "x-max-length=10", "--argument", "x-overflow=drop-head")
    publish(api, name, 3)
    shown = cli("queues", "show", name, "--json").json
    assert shown["messages"] == 3 and shown["arguments"] == {"x-max-length": 10,
                                                             "x-overflow": "drop-head"}
    assert ["ready", "3"] in cli("queues", "show", name).rows()
    assert [each["name"] for each in cli("queues", "list", "--name", name, "--json").json] == [name]
    assert name in [row[1] for row in cli("queues", "list", "--vhost", "/").rows()]
    assert "is paused" in cli("queues", "pause", name).out
    assert cli("queues", "show", name, "--json").json["state"] == "paused"
    assert ["state", "paused"] in cli("queues", "show", name).rows()
    cli("queues", "resume", name)
    assert cli("queues", "show", name, "--json").json["state"] == "running"
    cli("queues", "pause", f"{name}-absent", code=NOT_FOUND)
    cli("purge", name, code=USAGE)  # nobody can be asked
    cli("purge", name, "--yes")
    assert cli("queues", "show", name, "--json").json["messages"] == 0
    publish(api, name)
    assert "not empty" in cli("queues", "delete", name, "--if-empty", "--yes", code=FAILED).err
    cli("queues", "delete", name, "-y")
    cli("queues", "show", name, code=NOT_FOUND)
    cli("purge", name, "--yes", code=NOT_FOUND)


@pytest.mark.parametrize("words, answer, code", [
    ("queues list", b"[1, 2]", FAILED), ("queues list", b"<html>", FAILED),
    ("queues list", b'{"items": [], "page_count": -1}', OK),  # and an end
    ("trace --message-id x", b"[1, 2]", FAILED)])
def test_what_answers_and_is_no_broker_is_an_error(cli, words, answer, code):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):  # pylint: disable=invalid-name
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        url = f"http://127.0.0.1:{server.server_address[1]}"
        cli(*words.split(), "--url", url, code=code)
        server.shutdown()


def test_the_longest_queues_come_first(cli, api, name):
    for number in (1, 3, 2):
        cli("queues", "declare", f"{name}-{number}")
        publish(api, f"{name}-{number}", number)

    def longest():
        found = cli("queues", "list", "--name", name, "--sort", "ready", "--top", "2", "--json").json
        return [each["name"] for each in found] == [f"{name}-3", f"{name}-2"]

    wait_until(longest, "the statistics are new")
    cli("queues", "list", "--sort", "nonsense", code=USAGE)


def test_a_list_has_all_pages(cli, api, name):
    for number in range(510):
        assert api.put(f"/api/queues/{VHOST}/{quote(name)}-{number}").status == 201
    assert len(cli("queues", "list", "--name", name, "--json").json) == 510
    for number in range(510):
        api.delete(f"/api/queues/{VHOST}/{quote(name)}-{number}")


def test_the_ledger_of_queues(cli, api, queue):
    publish(api, queue, 4)
    wait_until(lambda: any(each["name"] == queue and each["accepted"] == 4 and each["imbalance"] == 0
                           for each in cli("queues", "ledger", "--json").json),
               "the statistics are new")


def test_a_person_is_asked_before_something_is_gone(cli, api, queue):
    publish(api, queue, 2)
    said = cli.at_a_terminal("purge", queue, answer="n")
    assert said.code == CANCELLED and "with 2 messages?" in said.err and "nothing was done" in said.err
    assert cli("queues", "show", queue, "--json").json["messages"] == 2
    assert cli.at_a_terminal("purge", queue, answer="y").code == OK
    assert cli("queues", "show", queue, "--json").json["messages"] == 0


def test_a_name_cannot_write_to_the_terminal(cli, api):
    evil = "订单\x1b[31m\tx"
    assert api.put(f"/api/queues/{VHOST}/{quote(evil)}").status == 201
    out = cli("queues", "list", "--name", "订单").out
    assert "\x1b" not in out and "订单\\x1b[31m\\x09x" in out
    assert cli("queues", "list", "--name", "订单", "--json").json[0]["name"] == evil
    cli("queues", "delete", evil, "--yes")


def test_connections_are_listed_and_closed(cli, http_broker):
    connection = http_broker.connect()
    found = wait_until(lambda: cli("connections", "list", "--json").json, "it is seen")
    own = connection._impl._transport._sock.getsockname()[1]  # pylint: disable=protected-access
    name = next(each["name"] for each in found if f":{own} ->" in each["name"])
    cli("connections", "close", name, code=USAGE)
    cli("connections", "close", name, "--yes")
    with pytest.raises(pika.exceptions.AMQPError):
        wait_until(lambda: connection.process_data_events(0.1), "it is closed")
    cli("connections", "close", "nobody", "--yes", code=NOT_FOUND)


def send(broker, queue, *bodies, **more):
    connection = broker.connect()
    channel = connection.channel()
    channel.confirm_delivery()
    for body in bodies:
        channel.basic_publish("", queue, body, pika.BasicProperties(delivery_mode=2, **more))
    connection.close()


def test_peek_shows_and_takes_nothing(cli, http_broker, queue):
    send(http_broker, queue, *(f"order {i}" for i in range(8)), headers={"customer": "ada"})
    shown = cli("peek", queue, "--count", "3")
    assert "order 0" in shown.out and "order 2" in shown.out and "order 3" not in shown.out
    assert "--after 3" in shown.err
    assert "order 3" in cli("peek", queue, "--count", "1", "--after", "3").out
    found = cli("peek", queue, "--search", "order 5", "--header", "customer:ada", "--json").json
    assert [m["payload"] for m in found["messages"]] == ["order 5"]
    assert cli("peek", queue, "--header", "customer:bob").out == ""
    assert cli("peek", queue, "--json").json["scanned"] == 8
    assert "there is no queue" in cli("peek", "absent", code=NOT_FOUND).err


def test_peek_cannot_write_to_the_terminal(cli, http_broker, queue):
    send(http_broker, queue, "\x1b[2Jgone", headers={"\x1b]0;x\x07": "\x1b[0m"})
    assert "\x1b" not in cli("peek", queue).out


def test_messages_are_moved(cli, http_broker, queue):
    other = f"{queue}-other"
    cli("queues", "declare", other)
    send(http_broker, queue, *(f"order {i}" for i in range(6)))
    dry = cli("move", queue, "--to", other, "--search", "order 1", "--dry-run")
    assert [other, queue, "1"] in dry.rows()  # to, (the default exchange), key, messages
    cli("move", queue, "--to", other, "--limit", "4", code=USAGE)  # nobody to ask
    moved = cli("move", queue, "--to", other, "--limit", "4", "--yes")
    assert "moved 4 messages" in moved.out + moved.err
    moved = cli("move", queue, "--to-exchange", "amq.default", "--routing-key", other, "--yes")
    assert "moved 2 messages" in moved.out + moved.err
    assert len(cli("peek", other, "--json").json["messages"]) == 6
    cli("move", queue, "--yes", code=USAGE)
    cli("move", queue, "--to", "absent", "--yes", code=NOT_FOUND)
    job = cli("move", other, "--to", queue, "--rate", "1", "--detach", "--yes").out.strip()
    assert job in [row[0] for row in cli("jobs", "list").rows()]
    cli("jobs", "cancel", job)
    cli("jobs", "wait", job, code=CANCELLED)
    cli("jobs", "wait", "0", code=NOT_FOUND)
    cli("queues", "delete", other, "--yes")


def test_dead_letters_are_redriven(cli, http_broker, queue):
    dead = f"{queue}-dead"
    work = f"{queue}-work"
    cli("queues", "declare", dead)
    cli("queues", "declare", work, "--argument", "x-dead-letter-exchange=", "--argument",
        f"x-dead-letter-routing-key={dead}")
    send(http_broker, work, "a", "b")
    connection = http_broker.connect()
    channel = connection.channel()
    for _ in range(2):
        method, _, _ = channel.basic_get(work)
        channel.basic_reject(method.delivery_tag, requeue=False)
    connection.close()
    wait_until(lambda: len(cli("peek", dead, "--json").json["messages"]) == 2, "they are dead")
    assert "moved 0 messages" in cli("redrive", dead, "--reason", "expired", "--yes").out
    done = cli("redrive", dead, "--reason", "rejected", "--origin", work, "--yes")
    assert "moved 2 messages" in done.out
    assert len(cli("peek", work, "--json").json["messages"]) == 2
    for name in [dead, work]:
        cli("queues", "delete", name, "--yes")


def test_users_and_permissions(cli, api):
    cli("users", "add", "ada", "--tag", "management", stdin="first\n")
    assert "exists already" in cli("users", "add", "ada", stdin="other\n", code=FAILED).err
    assert api.as_user("ada", "first").json("/api/whoami")["tags"] == ["management"]
    cli("users", "set-password", "ada", stdin="second\n")
    assert api.as_user("ada", "first").get("/api/whoami").status == 401
    assert api.as_user("ada", "second").json("/api/whoami")["tags"] == ["management"]
    cli("users", "set-tags", "ada", "monitoring", "policymaker")
    assert set(api.as_user("ada", "second").json("/api/whoami")["tags"]) == {"monitoring",
                                                                             "policymaker"}
    cli("users", "set-permissions", "ada", "^ada", ".*", "")
    assert cli("permissions", "list", "ada", "--json").json == [
        {"user": "ada", "vhost": "/", "configure": "^ada", "write": ".*", "read": ""}]
    cli("permissions", "set", "ada", "", "", ".*")
    assert ["/", "ada", ".*"] in cli("permissions", "list").rows()
    cli("permissions", "clear", "ada", "--yes")
    assert cli("permissions", "list", "ada", "--json").json == []
    users = {each["name"]: each for each in cli("users", "list", "--json").json}
    assert users["ada"]["has_password"] and "password_hash" not in users["ada"]
    cli("users", "delete", "ada", "--yes")
    cli("users", "delete", "ada", "--yes", code=NOT_FOUND)


def test_policies(cli, queue):
    cli("policies", "set", "short", f"^{queue}$", "max-length=7", "overflow=drop-head",
        "--apply-to", "queues", "--priority", "3")
    assert cli("queues", "show", queue, "--json").json["effective_policy_definition"] == {
        "max-length": 7, "overflow": "drop-head"}
    assert "short" in [row[1] for row in cli("policies", "list").rows()]
    assert cli("policies", "list", "--operator", "--json").json == []
    assert cli("policies", "set", "wrong", ".*", "nonsense=1", code=FAILED).err
    cli("policies", "delete", "short", "--yes")
    cli("policies", "delete", "short", "--yes", code=NOT_FOUND)


def test_logins(cli, directory):
    cli("users", "add", "bob", "--tag", "management", stdin="s3cret\n")
    file = directory / "password"
    file.write_text("s3cret\n")
    file.chmod(0o600)
    assert cli("status", "--user", "bob", "--password-file", str(file)).err == ""
    file.chmod(0o644)
    assert "others may read" in cli("status", "--user", "bob", "--password-file", str(file)).err
    assert "--password-file" in cli("status", "--user", "bob", code=USAGE).err
    cli.environment = {"LANDFALL_USER": "bob", "LANDFALL_PASSWORD": "s3cret"}
    cli("status")
    cli("users", "list", code=REFUSED)
    cli.environment["LANDFALL_PASSWORD"] = "wrong"
    refused = cli("status", code=REFUSED)
    assert "wrong" not in refused.out + refused.err
    cli.environment = {}
    cli("users", "delete", "bob", "--yes")


def test_a_broker_that_does_not_answer(cli):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        assert "does not answer" in cli("status", "--url", url, code=UNREACHABLE).err
    for wrong in ("127.0.0.1", "ftp://127.0.0.1", "http://a:b@127.0.0.1", "http://127.0.0.1:x"):
        said = cli("status", "--url", wrong, code=USAGE)
        assert "a:b" not in said.err
    cli("status", "--url", cli.url.replace("http", "HTTP"))


def complete(words):
    """What bash would offer for the last of the words."""
    script = subprocess.run([program("landfall"), "completion", "bash"], capture_output=True,
                            text=True, check=True, timeout=60).stdout
    quoted = " ".join(f"'{word}'" for word in words)
    done = subprocess.run(
        ["bash", "-c", f"{script}\nCOMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _landfall; "
                       'printf "%s\\n" "${COMPREPLY[@]}"'],
        capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return set(done.stdout.split())


def test_bash_completes_commands_and_flags():
    assert {"status", "queues", "send", "journal"} <= complete(["landfall", ""])
    assert complete(["landfall", "que"]) == {"queues"}
    assert {"list", "show", "declare", "delete"} <= complete(["landfall", "queues", ""])
    assert complete(["landfall", "queues", "list", "--so"]) == {"--sort"}
    assert complete(["landfall", "queues", "delete", "--if-"]) == {"--if-empty", "--if-unused"}
