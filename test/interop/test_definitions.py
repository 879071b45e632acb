"""landfalld --definitions, landfall definitions export, and policies that apply to living queues."""
import json
import pathlib
import signal
import subprocess

import pika
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


# As RabbitMQ exports them, but for what is of no interest here. The passwords are below.
RABBITMQ = {
    "rabbit_version": "4.1.0", "rabbitmq_version": "4.1.0", "product_name": "RabbitMQ",
    "product_version": "4.1.0", "rabbitmq_definition_format": "cluster",
    "original_cluster_name": "rabbit@shop", "explanation": "Definitions of cluster 'rabbit@shop'",
    "users": [
        {"name": "ada", "password_hash": "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR",
         "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": ["impersonator"],
         "limits": {"max-connections": 1}},
        {"name": "bob", "password_hash": "AQIDBPhTH2L5HGYB1LWOrn+YpvuQmVOXKGqgsuiJRIZTILRoEvblSJo/"
                                         "WAsym3IZTfuaIaK5KR2o5KwFfTv6KsxfMIE=",
         "hashing_algorithm": "rabbit_password_hashing_sha512", "tags": "monitoring,management",
         "limits": {}},
        {"name": "certified", "password_hash": "", "tags": [], "limits": {},
         "hashing_algorithm": "rabbit_password_hashing_sha256"},
        {"name": "clear", "password": "as it is", "tags": ""}],
    "vhosts": [{"name": "/", "limits": []}, {"name": "shop", "limits": {"max-connections": 3}}],
    "permissions": [
        {"user": "ada", "vhost": "shop", "configure": "^ada", "write": "^(ada|amq.topic$)",
         "read": "^ada"},
        {"user": "bob", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"},
        {"user": "clear", "vhost": "shop", "configure": ".*", "write": ".*", "read": ".*"}],
    "topic_permissions": [{"user": "ada", "vhost": "shop", "exchange": "amq.topic",
                           "write": "^{username}[.]", "read": ".*"}],
    "parameters": [{"vhost": "/", "component": "shovel", "name": "moves",
                    "value": {"src-uri": "amqp://u:p4ssw0rd@there"}},
                   {"vhost": "/", "component": "vhost-limits", "name": "limits",
                    "value": {"max-connections": 2, "max-topics": 9}}],
    "global_parameters": [{"name": "cluster_name", "value": "rabbit@shop"}],
    "policies": [], "exchanges": [], "bindings": [],
    "queues": [QUEUE | {"name": "ada.in", "vhost": "shop", "type": "classic"}]}
PASSWORDS = {"ada": ("test12", "shop"), "bob": ("secret", "/"), "clear": ("as it is", "shop")}


def check_users(broker):
    """All of them get in with their passwords, and with no others."""
    for user, (password, vhost) in PASSWORDS.items():
        broker.connect(user=user, password=password, vhost=vhost).close()
        with pytest.raises(pika.exceptions.ProbableAuthenticationError):
            broker.connect(user=user, password=password + "x", vhost=vhost)
    for user, password in (("certified", ""), ("guest", "guest")):
        with pytest.raises(pika.exceptions.ProbableAuthenticationError):
            broker.connect(user=user, password=password)


def test_users_of_rabbitmq_log_in_as_before(file, workers):
    with Broker(workers, ["--definitions", file(**RABBITMQ)]) as broker:
        check_users(broker)
        users = pathlib.Path(broker.data, "users.toml")
        assert users.stat().st_mode & 0o777 == 0o600
        before = users.read_text()
        assert "as it is" not in before
        broker.shut_down()
        broker.start()
        check_users(broker)
        assert users.read_text() == before
        for secret in ("test12", "secret", "as it is", "p4ssw0rd", "argon2", "kI3GCqW5"):
            assert secret not in broker.log()


def test_permissions_and_limits_of_rabbitmq_hold(file, workers):
    with Broker(workers, ["--definitions", file(**RABBITMQ)]) as broker:
        with pytest.raises(pika.exceptions.ProbableAccessDeniedError):
            broker.connect(user="ada", password="test12", vhost="/")
        ada = broker.connect(user="ada", password="test12", vhost="shop")
        with pytest.raises(pika.exceptions.ProbableAccessDeniedError, match="limit"):
            broker.connect(user="ada", password="test12", vhost="shop")
        ada.channel().queue_declare("ada.out")
        for refused in (lambda c: c.queue_declare("other"),
                        lambda c: c.queue_bind("ada.in", "amq.direct", "k"),
                        lambda c: c.basic_publish("amq.topic", "bob.x", b"")):
            channel = ada.channel()
            channel.confirm_delivery()
            with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="ACCESS_REFUSED"):
                refused(channel)
        channel = ada.channel()
        channel.confirm_delivery()
        channel.basic_publish("amq.topic", "ada.x", b"")
        bobs = [broker.connect(user="bob", password="secret") for _ in range(2)]
        with pytest.raises(pika.exceptions.ProbableAccessDeniedError, match="limit"):
            broker.connect(user="bob", password="secret")
        for connection in bobs + [ada]:
            connection.close()


def test_each_thing_of_the_file_that_is_left_out_is_named(file, workers):
    with Broker(workers, ["--definitions", file(**RABBITMQ, streams=[])]) as broker:
        for what in ("parameters[0] (moves in /): there is no shovel here",
                     "parameters[1] (limits in /): the limit max-topics does not exist here",
                     "global_parameters[0] (cluster_name): global parameters do not exist here",
                     "streams: not a section of definitions that is known here"):
            assert what in broker.log()


def with_user(**fields):
    return {"users": [{"name": "ada", "password": "x"}, {"name": "old"} | fields]}


def permission(**fields):
    return {"permissions": [{"user": "guest", "vhost": "/", "configure": "", "write": "",
                             "read": ""} | fields]}


def topic_permission(**fields):
    return {"topic_permissions": [{"user": "guest", "vhost": "/", "exchange": "amq.topic",
                                   "write": "", "read": ""} | fields]}


@pytest.mark.parametrize("mistake, error", [
    (with_user(password_hash="ytUIm8s3AnKsXQjptplKFytfVxI=",
               hashing_algorithm="rabbit_password_hashing_md5"),
     "users[1] (old): the password is hashed with MD5"),
    (permission(read="a("), "permissions[0] (guest in /): read: 'a(' is not"),
    (permission(user="ghost"), "permissions[0] (ghost in /): there is no user ghost"),
    (permission(vhost="nowhere"),
     "permissions[0] (guest in nowhere): user guest has permissions in vhost nowhere"),
    (topic_permission(vhost="nowhere"),
     "topic_permissions[0] (guest in nowhere): user guest has permissions in vhost nowhere"),
    (with_user(password_hash="$argon2id$v=19$m=1073741824,t=2,p=1$c2FsdHNhbHQ$"
                             "aGFzaGhhc2hoYXNoaGFzaA", hashing_algorithm="landfall_argon2id"),
     "users[1] (old): password_hash is an argon2id hash that costs too much"),
], ids=["md5", "pattern", "user", "vhost", "topic_vhost", "cost"])
def test_a_mistake_about_users_changes_nothing(own_broker, file, mistake, error):
    own_broker.shut_down()
    users = pathlib.Path(own_broker.data, "users.toml")
    before = users.read_text()
    path = file(queues=[QUEUE], **mistake)
    own_broker.arguments = ["--definitions", path]
    with pytest.raises(AssertionError, match="the broker ended with 2"):
        own_broker.start()
    assert f"{path}: {error}" in own_broker.log()
    assert users.read_text() == before
    own_broker.arguments = []
    own_broker.start()
    with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="NOT_FOUND"):
        own_broker.connect().channel().queue_declare("q", passive=True)


def landfall(*arguments, **more):
    return subprocess.run([program("landfall"), "definitions", *arguments], capture_output=True,
                          text=True, **more)


def test_exported_users_can_be_imported_and_are_the_same_again(file, directory, workers):
    again = directory / "again.json"
    with Broker(workers, ["--definitions", file(**RABBITMQ)]) as broker:
        broker.shut_down()
        assert landfall("export", broker.data, "--output", again).returncode == 0
        broker.start()
    assert again.stat().st_mode & 0o777 == 0o600
    exported = json.loads(again.read_text())
    assert {user["name"]: user["hashing_algorithm"] for user in exported["users"]} == {
        user: "landfall_argon2id" for user in ("ada", "bob", "certified", "clear")}
    with Broker(workers, ["--definitions", again]) as other:
        check_users(other)
        other.shut_down()
        assert export(other) == again.read_text()
        other.start()


def test_users_are_imported_while_the_broker_runs(own_broker, file):
    path = file(**RABBITMQ | {"vhosts": [{"name": "shop"}], "queues": [QUEUE]})
    url = f"amqp://guest:guest@{own_broker.host}:{own_broker.port}"
    done = landfall("import", path, "--broker", url)
    assert done.returncode == 0
    assert "not taken: 4 users, 3 permissions, 1 topic permissions, 1 limits" in done.stderr
    assert "left out: parameters[0] (moves in /): there is no shovel here" in done.stderr
    done = landfall("import", path, "--broker", url, "--data-dir", own_broker.data)
    assert (done.returncode, done.stdout.splitlines()[0]) == (
        0, "1 exchanges, queues and bindings are there")
    assert "4 users, 3 permissions" in done.stdout
    with pytest.raises(pika.exceptions.ProbableAuthenticationError):
        own_broker.connect(user="bob", password="secret")
    own_broker.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "users read again" in own_broker.log(), "the users were read again")
    own_broker.connect(user="bob", password="secret").close()
    own_broker.connect().close()  # guest is still there


def test_permissions_may_be_in_a_vhost_of_the_file_of_the_broker_or_of_its_settings(file, workers):
    given = [permission(vhost=vhost)["permissions"][0] for vhost in ("/", "file", "before", "set")]
    with Broker(workers, ["--definitions", file(vhosts=[{"name": "before"}])]) as broker:
        broker.shut_down()
        ada = {"name": "ada", "password": "x", "vhosts": ["/"]}
        broker.arguments = ["--vhosts", "/,set", "--definitions",
                            file(vhosts=[{"name": "file"}], users=[ada], permissions=given)]
        broker.start()
        path = file(permissions=given)
        # Of the others ada hears that she must not enter them, which says that they are there.
        for login in ("guest:guest", "ada:x"):
            done = landfall("import", path, "--data-dir", broker.data, "--broker",
                            f"amqp://{login}@{broker.host}:{broker.port}")
            assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("mistake, error", [
    (permission(user="ghost"), "permissions[0] (ghost in /): there is no user ghost"),
    (permission(vhost="nowhere"),
     "permissions[0] (guest in nowhere): user guest has permissions in vhost nowhere"),
    (topic_permission(vhost="nowhere"),
     "topic_permissions[0] (guest in nowhere): user guest has permissions in vhost nowhere"),
], ids=["user", "vhost", "topic_vhost"])
def test_nothing_is_made_where_the_users_cannot_be_taken(own_broker, file, mistake, error):
    users = pathlib.Path(own_broker.data, "users.toml")
    before = users.read_text()
    path = file(queues=[QUEUE], **mistake)
    done = landfall("import", path, "--data-dir", own_broker.data, "--broker",
                    f"amqp://guest:guest@{own_broker.host}:{own_broker.port}")
    assert done.returncode == 1
    assert f"{path}: {error}" in done.stderr
    assert users.read_text() == before
    with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="NOT_FOUND"):
        own_broker.connect().channel().queue_declare("q", passive=True)


def test_an_export_that_others_may_read_is_warned_of(own_broker, directory):
    own_broker.shut_down()
    path = directory / "export.json"
    for mode, warned in ((0o644, True), (0o600, False)):
        path.touch()
        path.chmod(mode)
        with path.open("w") as out:
            done = subprocess.run([program("landfall"), "definitions", "export", own_broker.data],
                                  stdout=out, stderr=subprocess.PIPE, text=True, check=True)
        assert ("chmod 600" in done.stderr) == warned
    own_broker.start()


def test_an_export_without_a_user_file_says_so(own_broker):
    own_broker.shut_down()
    users = pathlib.Path(own_broker.data, "users.toml")
    elsewhere = users.rename(users.with_name("elsewhere.toml"))
    done = landfall("export", own_broker.data)
    assert done.returncode == 0
    assert "without users" in done.stderr
    assert "users" not in json.loads(done.stdout)
    done = landfall("export", own_broker.data, "--users-file", elsewhere)
    assert [user["name"] for user in json.loads(done.stdout)["users"]] == ["guest"]
    assert landfall("export", own_broker.data, "--users-file", "/nowhere").returncode == 1
    own_broker.start()
