"""The HTTP API over TLS: the same as in the clear, with certificates that can be renewed."""

import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess

import pytest
from broker import Broker, program, wait_until
from http_api import HttpApi
from tls_broker import Authority

LOGIN = json.dumps({"username": "guest", "password": "guest"})
AUTHORIZATION = {"Authorization": "Basic Z3Vlc3Q6Z3Vlc3Q="}


class HttpsBroker(Broker):
    def __init__(self, workers, directory, *arguments, http=True, **certificate_of):
        self.authority = Authority(directory)
        certificate, key = self.authority.issue("broker", **certificate_of)
        super().__init__(workers, ["--https-listen", "127.0.0.1:0", "--tls-certificate",
                                   certificate, "--tls-key", key, *arguments], http=http)
        self.https_port = int(re.search(r"\bhttps=[^\s]*?:(\d+)", self.log())[1])

    def ask(self, method, path, body=None, headers=None, context=None):
        connection = http.client.HTTPSConnection("localhost", self.https_port, timeout=30,
                                                 context=context or self.authority.client())
        connection.request(method, path, body=body, headers=headers or {})
        return connection.getresponse()


@pytest.fixture
def https(workers, tmp_path):
    with HttpsBroker(workers, tmp_path) as broker:
        yield broker


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_addresses_serve_the_same(https, version):
    answer = https.ask("GET", "/api/overview", headers=AUTHORIZATION,
                       context=https.authority.client(version=version))
    assert answer.status == 200
    listeners = {one["protocol"]: one["port"] for one in json.load(answer)["listeners"]}
    assert listeners["http"] == https.http_port and listeners["https"] == https.https_port
    api = HttpApi(https)
    assert api.json("/api/whoami")["name"] == "guest"
    assert api.get("/api/health/checks/protocol-listener/https").status == 200


def cli(https, *arguments, **environment):
    return subprocess.run(
        [program("landfall"), *arguments],
        env=os.environ | {"LANDFALL_URL": f"https://localhost:{https.https_port}"} | environment,
        capture_output=True, text=True, timeout=60, check=False)


def test_the_command_line_asks_whom_it_can_trust(https, workers, tmp_path):
    (tmp_path / "other").mkdir()
    ca = str(https.authority.path("authority", "pem"))
    done = cli(https, "queues", "declare", "secret", LANDFALL_CA=ca)
    assert done.returncode == 0, done.stderr
    shown = cli(https, "queues", "show", "secret", "--json", "--ca", ca)
    assert json.loads(shown.stdout)["name"] == "secret"
    with HttpsBroker(workers, tmp_path / "other", names="DNS:other.example") as other:
        other_ca = str(other.authority.path("authority", "pem"))
        wrong_name = cli(other, "status", LANDFALL_CA=other_ca)
    for wrong in (cli(https, "status"), wrong_name):  # the first: of no authority of the system's
        assert wrong.returncode == 5 and "certificate verify failed" in wrong.stderr, wrong
    wrong = cli(https, "status", "--ca", "/nowhere")
    assert wrong.returncode == 2 and "/nowhere" in wrong.stderr, wrong
    # In the clear there is nobody to trust.
    done = cli(https, "status", LANDFALL_CA=ca, LANDFALL_URL=f"http://localhost:{https.http_port}")
    assert done.returncode == 0, done.stderr


def test_the_cookie_is_sent_over_tls_only(https):
    answer = https.ask("POST", "/api/landfall/session", LOGIN)
    assert answer.status == 200
    assert "Secure" in answer.getheader("Set-Cookie").split("; ")
    cookie = {"Cookie": answer.getheader("Set-Cookie").split(";")[0]}
    assert https.ask("GET", "/api/landfall/session", headers=cookie).status == 200


def test_large_bodies_go_through_in_both_directions(https):
    text = "x" * 3_000_000
    answer = https.ask("PUT", "/api/queues/%2F/large", "{}", AUTHORIZATION)
    assert answer.status == 201
    answer = https.ask("POST", "/api/exchanges/%2F/amq.default/publish", json.dumps({
        "routing_key": "large", "payload": text, "payload_encoding": "string",
        "properties": {}}), AUTHORIZATION)
    assert json.load(answer) == {"routed": True}
    answer = https.ask("POST", "/api/queues/%2F/large/get", json.dumps({
        "count": 1, "ackmode": "ack_requeue_false", "encoding": "auto"}), AUTHORIZATION)
    assert json.load(answer)[0]["payload"] == text


def test_a_connection_is_used_again_and_ends_in_order(https):
    context = https.authority.client()
    with socket.create_connection(("127.0.0.1", https.https_port), timeout=30) as raw:
        with context.wrap_socket(raw, server_hostname="localhost",
                                 suppress_ragged_eofs=False) as s:
            request = "GET /api/whoami HTTP/1.1\r\nHost: localhost\r\n" + "".join(
                f"{name}: {value}\r\n" for name, value in AUTHORIZATION.items())
            s.sendall(request.encode() + b"\r\n")
            assert s.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
            s.sendall(request.encode() + b"Connection: close\r\n\r\n")
            received = b""
            while data := s.recv(1 << 16):  # an end that was cut would be an SSLEOFError
                received += data
    assert received.startswith(b"HTTP/1.1 200 ")


def test_events_come_over_tls(https):
    answer = https.ask("GET", "/api/landfall/events", headers=AUTHORIZATION)
    assert answer.status == 200
    lines = [answer.readline() for _ in range(6)]
    assert [line for line in lines if line == b"event: tick\n"] == [b"event: tick\n"] * 2


def test_who_speaks_no_tls_gets_nothing_and_keeps_nobody_out(https):
    strangers = []
    for _ in range(150):
        strangers.append(socket.create_connection(("127.0.0.1", https.https_port), timeout=30))
    strangers[-1].sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert b"HTTP/1.1 2" not in strangers[-1].recv(1000)
    assert https.ask("GET", "/api/whoami", headers=AUTHORIZATION).status == 200
    for stranger in strangers:
        stranger.close()


def test_certificates_of_clients_are_not_asked_for(workers, tmp_path):
    with HttpsBroker(workers, tmp_path, "--amqps-listen", "127.0.0.1:0", "--tls-verify", "required",
                     "--tls-ca", tmp_path / "authority.pem") as broker:
        assert broker.ask("GET", "/api/whoami", headers=AUTHORIZATION).status == 200


def test_it_can_be_the_only_one_and_certificates_are_read_again(workers, tmp_path):
    with HttpsBroker(workers, tmp_path, http=False) as https:
        answer = https.ask("GET", "/api/overview", headers=AUTHORIZATION)
        protocols = [one["protocol"] for one in json.load(answer)["listeners"]]
        assert protocols == ["amqp", "https"]
        other = Authority(tmp_path, "other")
        other.issue("broker")
        https.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "certificates read again" in https.log(), "they are read")
        assert https.ask("GET", "/api/whoami", headers=AUTHORIZATION,
                         context=other.client()).status == 200
        with pytest.raises(ssl.SSLCertVerificationError):
            https.ask("GET", "/api/whoami", headers=AUTHORIZATION)


def test_it_needs_a_certificate(tmp_path):
    done = subprocess.run([program("landfalld"), "--data-dir", tmp_path / "data", "--https-listen",
                           "127.0.0.1:0"], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 2 and "https_listen needs tls_certificate" in done.stderr
