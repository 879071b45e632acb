"""AMQP over TLS: what is offered, whom certificates let in, and how they are renewed."""

import socket
import ssl
import subprocess
import time

import pika
import pytest
from broker import program, wait_until
from pika_extras import close, connection_closed_with, get, publish_confirmed
from tls_broker import Authority, TlsBroker
from wire import Wire


@pytest.fixture
def tls(workers, tmp_path):
    with TlsBroker(workers, tmp_path) as broker:
        yield broker


@pytest.fixture
def mutual(workers, tmp_path):
    with TlsBroker(workers, tmp_path, "--tls-verify", "optional", "--tls-ca",
                   tmp_path / "authority.pem") as broker:
        yield broker


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_messages_of_every_size_go_through(tls, version, name):
    connection = tls.connect_tls(tls.authority.client(version=version))
    channel = connection.channel()
    channel.queue_declare(name, durable=True)
    bodies = [bytes([size % 251]) * size for size in (0, 1, 16_383, 16_384, 100_000, 5_000_000)]
    publish_confirmed(channel, name, bodies)
    for body in bodies:
        assert get(channel, name)[2] == body
    connection.close()


# Both directions are full at the same time, and reading rests while the broker is busy.
def test_a_flood_in_both_directions_arrives_whole(tls, name):
    connection = tls.connect_tls(tls.authority.client())
    consumer = connection.channel()
    consumer.queue_declare(name)
    received = []
    consumer.basic_consume(name, lambda *a: received.append(a[3]), auto_ack=True)
    publisher = connection.channel()
    for number in range(20_000):
        publisher.basic_publish("", name, b"%d" % number + b"x" * 1000)
        if number % 500 == 0:
            connection.process_data_events(0)
    deadline = time.monotonic() + 60
    while len(received) < 20_000 and time.monotonic() < deadline:
        connection.process_data_events(0.1)
    assert [int(body.rstrip(b"x")) for body in received] == list(range(20_000))
    connection.close()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_nothing_older_than_tls_1_2_is_spoken(tls):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(tls.authority.path("authority", "pem"))
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", tls.tls_port)) as raw:
        with pytest.raises(ssl.SSLError):
            context.wrap_socket(raw, server_hostname="localhost")


def test_both_ports_serve_the_same_queues(tls, name):
    plain, encrypted = tls.connect(), tls.connect_tls(tls.authority.client())
    plain.channel().queue_declare(name)
    publish_confirmed(encrypted.channel(), name, [b"across"])
    assert get(plain.channel(), name)[2] == b"across"
    close(plain)
    close(encrypted)


def test_a_client_that_speaks_plain_amqp_to_the_tls_port_is_refused(tls):
    with socket.create_connection(("127.0.0.1", tls.tls_port), timeout=20) as raw:
        raw.sendall(b"AMQP\0\0\x09\x01")
        try:
            while raw.recv(100):
                pass
        except ConnectionResetError:
            pass
    wait_until(lambda: "TLS handshake failed" in tls.log(), "the failure is logged")


@pytest.mark.seconds(60)
def test_a_client_that_says_nothing_is_not_waited_for_long(tls):
    with socket.create_connection(("127.0.0.1", tls.tls_port), timeout=30) as raw:
        assert raw.recv(1) == b""
    wait_until(lambda: "it took too long" in tls.log(), "the time-out is logged")


def test_a_broker_stops_while_a_client_has_not_finished_its_handshake(tls):
    with socket.create_connection(("127.0.0.1", tls.tls_port), timeout=20):
        started = time.monotonic()
        tls.shut_down()
        assert time.monotonic() - started < 8


def test_a_certificate_logs_its_user_in(mutual):
    mutual.authority.issue("shop")
    mutual.user("add", "shop", "--no-password")
    parameters = mutual.tls_parameters(mutual.authority.client("shop"))
    parameters.credentials = pika.credentials.ExternalCredentials()
    connection = pika.BlockingConnection(parameters)
    channel = connection.channel()
    channel.queue_declare("q")
    channel.basic_publish("", "q", b"", pika.BasicProperties(user_id="shop"))
    assert get(channel, "q")[1].user_id == "shop"
    connection.close()


def test_a_certificate_of_an_unknown_user_is_refused_and_logged(mutual):
    mutual.authority.issue("ghost")
    parameters = mutual.tls_parameters(mutual.authority.client("ghost"))
    parameters.credentials = pika.credentials.ExternalCredentials()
    with connection_closed_with(403):
        pika.BlockingConnection(parameters)
    assert "login failed user=ghost" in mutual.log()


def test_a_password_still_counts_beside_a_certificate(mutual):
    mutual.authority.issue("shop")
    mutual.connect_tls(mutual.authority.client("shop")).close()
    with connection_closed_with(403):
        mutual.connect_tls(mutual.authority.client("shop"), password="wrong")


def mechanisms(start):
    text = start.mechanisms
    return (text.decode() if isinstance(text, bytes) else text).split()


def test_external_is_offered_only_to_whom_a_certificate_names(mutual):
    mutual.authority.issue("shop")
    for context, offered in ((mutual.authority.client("shop"), True),
                             (mutual.authority.client(), False)):
        parameters = mutual.tls_parameters(context)
        seen = []

        class Spy(pika.PlainCredentials):
            def response_for(self, start):
                seen.append("EXTERNAL" in mechanisms(start))
                return super().response_for(start)

        pika.credentials.VALID_TYPES.append(Spy)
        parameters.credentials = Spy("guest", "guest")
        pika.BlockingConnection(parameters).close()
        assert seen == [offered]
    with Wire(mutual) as wire:
        assert "EXTERNAL" not in mechanisms(wire.start())


def test_a_certificate_of_another_authority_is_refused(mutual, tmp_path):
    (tmp_path / "other").mkdir()
    other = Authority(tmp_path / "other", "impostor")
    certificate, key = other.issue("shop")
    context = mutual.authority.client()
    context.load_cert_chain(certificate, key)
    with pytest.raises((pika.exceptions.AMQPError, OSError)):
        mutual.connect_tls(context)
    wait_until(lambda: "certificate verify failed" in mutual.log(), "the reason is logged")


def test_a_client_has_to_show_a_certificate_if_that_is_required(workers, tmp_path):
    with TlsBroker(workers, tmp_path, "--tls-verify", "required", "--tls-ca",
                   tmp_path / "authority.pem") as broker:
        with pytest.raises((pika.exceptions.AMQPError, OSError)):
            broker.connect_tls(broker.authority.client())
        broker.authority.issue("shop")
        broker.connect_tls(broker.authority.client("shop")).close()


def serial(broker):
    with socket.create_connection(("127.0.0.1", broker.tls_port)) as raw:
        with broker.authority.client().wrap_socket(raw, server_hostname="localhost") as wrapped:
            return wrapped.getpeercert()["serialNumber"]


def test_a_renewed_certificate_is_taken_up_without_dropping_anybody(tls, name):
    connection = tls.connect_tls(tls.authority.client())
    channel = connection.channel()
    channel.queue_declare(name)
    old = serial(tls)
    certificate, _ = tls.authority.issue("broker")
    tls.reload()
    assert serial(tls) != old
    publish_confirmed(channel, name, [b"still here"])
    certificate.write_text("no certificate")
    tls.reload()
    assert "certificates not read again" in tls.log()
    assert serial(tls) != old
    assert get(channel, name)[2] == b"still here"
    connection.close()


@pytest.mark.parametrize("arguments, complaint", [
    (["--amqps-listen", "127.0.0.1:0"], "tls_certificate"),
    (["--amqps-listen", "127.0.0.1:0", "--tls-certificate", "none.pem", "--tls-key", "none.key"],
     "none.pem"),
])
def test_a_broker_without_a_certificate_says_so(tmp_path, arguments, complaint):
    ended = subprocess.run([program("landfalld"), "--data-dir", tmp_path, *arguments],
                           capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert complaint in ended.stderr
