"""Our own client and command line over TLS: whom they trust, how they log in, and that nothing is lost
when the broker goes and comes back."""

import json
import subprocess
import urllib.parse

import pika
import pytest
from broker import die_with_parent, program, wait_until
from client_driver import ReceiveDriver, SendDriver
from pika_extras import close, drain, message_count
from tls_broker import Authority, TlsBroker

SOON = 15  # seconds in which a command has to give up, far below the minutes of the client's timers


@pytest.fixture
def tls(workers, tmp_path):
    with TlsBroker(workers, tmp_path) as broker:
        yield broker


@pytest.fixture
def mutual(workers, tmp_path):
    with TlsBroker(workers, tmp_path, "--tls-verify", "required", "--tls-ca",
                   tmp_path / "authority.pem") as broker:
        broker.authority.issue("shop")
        broker.user("add", "shop", "--no-password")
        yield broker


def url(broker, host="localhost", login="guest:guest@", **parameters):
    parameters.setdefault("cacertfile", broker.authority.path("authority", "pem"))
    query = urllib.parse.urlencode({k: v for k, v in parameters.items() if v}, safe="/")
    return f"amqps://{login}{host}:{broker.tls_port}/?{query}"


def own(broker, name, **parameters):
    """The parameters that show a certificate."""
    return {"certfile": broker.authority.path(name, "pem"),
            "keyfile": broker.authority.path(name, "key"), **parameters}


def landfall(*arguments, **more):
    environment = more.pop("env", None)
    return subprocess.run([program("landfall"), *map(str, arguments)], capture_output=True,
                          text=True, timeout=SOON, preexec_fn=die_with_parent, env=environment,
                          **more)


def send(broker_url, *arguments, **more):
    return landfall("send", "--broker", broker_url, "--queue", "q", "--declare", *arguments, **more)


def refused(broker_url, *says):
    """Both halves say it at once, once, and end."""
    for command in (["send", "--queue", "q", "--declare", "message"], ["recv", "--queue", "q"]):
        ran = landfall(command[0], "--broker", broker_url, *command[1:])
        assert ran.returncode == 1
        complaint, = ran.stderr.splitlines()
        for each in says:
            assert each in complaint
        assert "guest:" not in complaint


def test_both_halves_work_over_tls(tls):
    for host in ("localhost", "127.0.0.1"):
        ran = send(url(tls, host), "one", "two")
        assert (ran.returncode, ran.stderr) == (0, "")
        assert ran.stdout.startswith("2 landed")
        ran = landfall("recv", "--broker", url(tls, host), "--queue", "q", "-n", 2)
        assert (ran.returncode, ran.stderr, ran.stdout) == (0, "", "one\ntwo\n")


def test_the_systems_authorities_are_trusted_without_a_file(tls):
    """OpenSSL reads from its own variable where the system has them."""
    authorities = str(tls.authority.path("authority", "pem"))
    ran = send(url(tls, cacertfile=None), "message", env={"SSL_CERT_FILE": authorities})
    assert (ran.returncode, ran.stderr) == (0, "")


def test_large_messages_go_through_in_both_directions(tls, directory):
    receiver = ReceiveDriver(directory, url(tls), "q", "--declare", "durable")
    sender = SendDriver(directory, url(tls), 3, "--queue", "q", "--declare", "durable", "--size",
                        16 << 20, "--resend", 30000)
    try:
        assert sender.outcomes() == {"landed"}
        wait_until(lambda: len(receiver.told("acked")) == 3, "every ack has landed", 60)
        assert [a.size for a in receiver.arrivals()] == [16 << 20] * 3
        receiver.terminate()
    finally:
        sender.kill()
        receiver.kill()


def test_a_broker_that_no_authority_vouches_for_is_refused(tls, tmp_path):
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other", "stranger")
    refused(url(tls, cacertfile=other.path("stranger", "pem")),
            "cannot trust the broker's certificate", "stranger.pem")
    refused(url(tls, cacertfile=None), "cannot trust the broker's certificate",
            "the system's authorities")
    assert "login" not in tls.log()


def test_a_broker_with_another_name_is_refused(tls):
    refused(url(tls, server_name_indication="elsewhere.example"),
            "the broker's certificate is not for 'elsewhere.example'")
    refused(url(tls, "127.0.0.1", server_name_indication="127.0.0.2"),
            "the broker's certificate is not for '127.0.0.2'")


def test_the_name_may_be_another_than_the_host(tls):
    tls.authority.issue("broker", names="DNS:broker.example")
    tls.reload()
    refused(url(tls), "the broker's certificate is not for 'localhost'")
    ran = send(url(tls, server_name_indication="broker.example"), "message")
    assert (ran.returncode, ran.stderr) == (0, "")


def test_verification_can_be_turned_off_by_its_name(tls):
    broker_url = url(tls, cacertfile=None, verify="verify_none",
                     server_name_indication="elsewhere.example")
    ran = send(broker_url, "message")
    assert (ran.returncode, ran.stderr) == (0, "")


def test_plain_amqp_does_not_pass_for_tls(tls):
    """The password must not go out in clear because somebody has typed the wrong port."""
    wrong_port = url(tls).replace(str(tls.tls_port), str(tls.port))
    ran = send(wrong_port, "--timeout", "2", "message")
    assert ran.returncode == 1
    assert "does not speak TLS" in ran.stderr


def test_a_file_that_cannot_be_read_is_named_before_anything_is_tried(tls):
    ran = send(url(tls, cacertfile="/nowhere/ca.pem"), "message")
    assert ran.returncode != 0
    assert "/nowhere/ca.pem" in ran.stderr
    assert "cacertfile" in ran.stderr


def test_a_certificate_is_the_login(mutual):
    login = url(mutual, login="", **own(mutual, "shop", auth_mechanism="external"))
    ran = send(login, "message")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert landfall("recv", "--broker", login, "--queue", "q", "-n", 1).stdout == "message\n"


def test_a_password_may_be_the_login_beside_a_certificate(mutual):
    ran = send(url(mutual, **own(mutual, "shop")), "message")
    assert (ran.returncode, ran.stderr) == (0, "")


def test_a_certificate_of_an_unknown_user_is_no_login(mutual):
    mutual.authority.issue("ghost")
    refused(url(mutual, login="", **own(mutual, "ghost", auth_mechanism="external")),
            "403 ACCESS_REFUSED")


def test_a_broker_that_wants_a_certificate_says_so(mutual):
    refused(url(mutual), "the broker wants a client's certificate", "certfile")


def test_a_certificate_of_another_authority_is_refused(mutual, tmp_path):
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other", "stranger")
    certificate, key = other.issue("shop")
    refused(url(mutual, certfile=certificate, keyfile=key), "the broker refuses the certificate",
            str(certificate))


def test_external_needs_a_broker_that_offers_it(tls):
    tls.authority.issue("shop")
    refused(url(tls, **own(tls, "shop", auth_mechanism="external")),
            "does not offer SASL EXTERNAL")


@pytest.mark.seconds(180)
def test_nothing_is_lost_when_the_broker_restarts(mutual, directory):
    """Under load, killed and started again: everything lands once, and is received."""
    login = url(mutual, login="", **own(mutual, "shop", auth_mechanism="external"))
    count = 3000
    receiver = ReceiveDriver(directory, login, "q", "--declare", "durable", "--window", 100)
    sender = SendDriver(directory, login, count, "--queue", "q", "--declare", "durable", "--window",
                        50)
    try:
        for landed in (200, 1000, 2000):
            wait_until(lambda: len(sender.results()) >= landed, f"{landed} have landed", 60)
            mutual.kill_and_start()
        assert sender.outcomes() <= {"landed", "duplicate"}
        wait_until(lambda: len(receiver.received()) == count, "all are received", 60)
        connection = mutual.connect()
        channel = connection.channel()
        receiver.terminate()
        assert set(receiver.received()) == set(range(1, count + 1))
        # A settled message that comes again would be a repeat of what the sender sent twice.
        assert drain(channel, "q") == []
        close(connection)
    finally:
        sender.kill()
        receiver.kill()


def test_a_broker_with_a_renewed_authority_is_trusted_after_a_reconnect(tls, directory):
    """The files are read for each connection: a program need not be restarted for new ones."""
    authority = tls.authority.path("authority", "pem")
    known = directory / "known.pem"
    known.write_text(authority.read_text())
    sender = SendDriver(directory, url(tls, cacertfile=known), 100_000, "--queue", "q", "--declare",
                        "durable")
    try:
        wait_until(sender.results, "the first have landed")
        new = Authority(tls.authority.directory, "renewed")
        certificate, key = new.issue("broker")
        known.write_text(authority.read_text() + new.path("renewed", "pem").read_text())
        tls.kill_and_start()
        before = len(sender.results())
        wait_until(lambda: len(sender.results()) > before + 100, "more have landed")
    finally:
        sender.kill()


def test_perf_measures_over_tls(mutual):
    ran = landfall("perf", "--broker", url(mutual, **own(mutual, "shop")), "--messages", 20000,
                   "--size", 1000, "--consumers", 2, "--producers", 2, "--quiet")
    assert (ran.returncode, ran.stderr) == (0, "")
    refused_run = landfall("perf", "--broker", url(mutual), "--messages", 1)
    assert refused_run.returncode == 1
    assert "the broker wants a client's certificate" in refused_run.stdout + refused_run.stderr


def test_definitions_are_imported_over_tls(mutual, directory):
    """Queues by AMQP, as the user whom the certificate names; users beside it, into their file."""
    file = directory / "definitions.json"
    file.write_text(json.dumps({
        "queues": [{"name": "q", "vhost": "/", "durable": True, "auto_delete": False,
                    "arguments": {}}],
        "users": [{"name": "ada", "password": "secret", "tags": []}],
        "permissions": [{"user": "ada", "vhost": "/", "configure": "", "write": "", "read": ".*"}]}))
    file.chmod(0o600)
    login = url(mutual, login="", **own(mutual, "shop", auth_mechanism="external"))
    ran = landfall("definitions", "import", file, "--broker", login, "--data-dir", mutual.data)
    assert (ran.returncode, ran.stderr) == (0, "")
    there, taken = ran.stdout.splitlines()
    assert there == "1 exchanges, queues and bindings are there"
    assert taken.startswith("1 users, 1 permissions")
    mutual.reload()
    connection = mutual.connect(user="ada", password="secret")
    assert message_count(connection.channel(), "q") == 0
    close(connection)


def test_definitions_go_to_no_broker_that_is_not_trusted(tls, directory):
    file = directory / "definitions.json"
    file.write_text(json.dumps({"queues": [{"name": "q", "vhost": "/", "durable": True,
                                            "auto_delete": False, "arguments": {}}]}))
    for broker_url, says in ((url(tls, cacertfile=None), "cannot trust the broker's certificate"),
                             (url(tls, server_name_indication="elsewhere.example"),
                              "the broker's certificate is not for 'elsewhere.example'")):
        ran = landfall("definitions", "import", file, "--broker", broker_url)
        assert (ran.returncode, ran.stdout) == (1, "")
        assert says in ran.stderr
        assert "guest:" not in ran.stderr
    connection = tls.connect()
    with pytest.raises(pika.exceptions.ChannelClosedByBroker, match="NOT_FOUND"):
        connection.channel().queue_declare("q", passive=True)
    close(connection)
