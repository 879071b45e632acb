"""The HTTP server: what it bears, and how it treats strangers, giants and dawdlers."""

import time

import pytest
from broker import Broker, wait_until
from http_api import HttpApi, quote

VHOST = quote("/")


def test_what_is_not_there_says_so(api):
    for path in ("/api/nonsense", "/", "/api/queues/%2F/q/nonsense", "/etc/passwd",
                 "/api/../../etc/passwd"):
        answer = api.get(path)
        assert answer.status == 404 and answer.json["reason"], path
    answer = api.ask("PATCH", f"/api/queues/{VHOST}/q", {})
    assert answer.status == 405 and "PUT" in answer.headers["Allow"]
    assert api.get("/api/queues/%zz").status == 400


def test_a_head_is_a_get_without_a_body(api):
    answer = api.ask("HEAD", "/api/overview")
    assert answer.status == 200 and answer.body == b""
    assert int(answer.headers["Content-Length"]) > 100


def test_answers_tell_browsers_to_trust_nothing(api):
    answer = api.get("/api/overview")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-cache"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


def exchange(api, request, seconds=30):
    """Sends bytes and gives all that comes back until the broker closes or answers."""
    with api.socket(seconds) as s:
        s.sendall(request)
        received = b""
        while True:
            try:
                data = s.recv(65536)
            except ConnectionError:
                return received
            if not data:
                return received
            received += data


AUTHORIZATION = b"Authorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n"


def test_a_body_beyond_the_bound_is_refused_before_it_is_sent(api):
    head = (b"POST /api/definitions HTTP/1.1\r\nHost: x\r\n" + AUTHORIZATION +
            b"Content-Length: 999999999999\r\n\r\n")
    assert exchange(api, head).startswith(b"HTTP/1.1 413 ")


def test_a_chunked_body_beyond_the_bound_is_refused(api):
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    with api.socket() as s:
        s.sendall(b"POST /api/definitions HTTP/1.1\r\nHost: x\r\n" + AUTHORIZATION +
                  b"Transfer-Encoding: chunked\r\n\r\n")
        try:
            for _ in range(64):
                s.sendall(chunk)
        except OSError:
            pass
        try:
            assert s.recv(100).startswith(b"HTTP/1.1 413 ")
        except ConnectionError:
            pass  # it closed while we were still sending


def test_a_stranger_is_refused_before_the_body_is_read(api):
    head = b"POST /api/definitions HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n"
    assert exchange(api, head).startswith(b"HTTP/1.1 401 ")


def test_a_header_beyond_the_bound_is_refused(api):
    head = b"GET /api/overview HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 100_000 + b"\r\n\r\n"
    assert exchange(api, head)[:13] in (b"HTTP/1.1 431 ", b"")


@pytest.mark.parametrize("request_bytes", [b"nonsense\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01",
                                           b"AMQP\x00\x00\x09\x01", b"GET  HTTP/1.1\r\n\r\n",
                                           b"GET /api/overview HTTP/9.9\r\n\r\n", b"\r\n" * 10_000])
def test_bytes_that_are_no_request_do_no_harm(api, request_bytes):
    with api.socket() as s:
        s.sendall(request_bytes)
        s.shutdown(1)
        while True:
            try:
                if not s.recv(65536):
                    break
            except ConnectionError:
                break
    assert api.get("/api/whoami").status == 200


def test_during_an_alarm_nothing_waits_for_its_end(workers):
    """A publisher would be blocked, and with it a connection of the API."""
    with Broker(workers, ["--memory-limit", "16MiB"], http=True) as broker:
        api = HttpApi(broker)
        broker.connect().channel().queue_declare("q")
        message = {"routing_key": "q", "payload": "A" * (1 << 20), "payload_encoding": "base64",
                   "properties": {}}

        def refusal():
            answer = api.post(f"/api/exchanges/{VHOST}/amq.default/publish", message)
            return answer if answer.status != 200 else None

        # From the first one where a sanitizer's memory alone is beyond the limit.
        refused = wait_until(refusal, "publishing is refused")
        assert refused.status == 503
        assert b"blocked" in refused.body
        assert api.get("/api/health/checks/alarms").status == 503
        assert api.get(f"/api/aliveness-test/{VHOST}").status == 503


@pytest.mark.seconds(60)
def test_a_request_that_comes_byte_by_byte_is_cut_off(api):
    with api.socket() as s:
        started = time.monotonic()
        request = b"GET /api/whoami HTTP/1.1\r\nHost: x\r\nX-Slow: " + b"x" * 1000
        with pytest.raises(OSError):
            for byte in request:
                s.sendall(bytes([byte]))
                time.sleep(0.2)  # the slowness is what is tested
            raise AssertionError("it was served for all of its bytes")
        assert time.monotonic() - started < 30


def test_connections_are_bounded_and_idle_ones_make_room(api):
    idle = [api.socket() for _ in range(200)]
    try:
        assert api.get("/api/whoami").status == 200
    finally:
        for s in idle:
            s.close()
    wait_until(lambda: api.get("/api/whoami").status == 200, "it serves")


def test_a_connection_serves_many_requests(api):
    request = b"GET /api/whoami HTTP/1.1\r\nHost: x\r\n" + AUTHORIZATION + b"\r\n"
    last = request.replace(b"Host", b"Connection: close\r\nHost")
    assert exchange(api, request * 5 + last).count(b"HTTP/1.1 200 OK") == 6


def test_it_can_be_turned_off(workers):
    with Broker(workers, arguments=["--http-listen", "none"]) as broker:
        assert "http=none" in broker.log()


def test_an_address_that_is_taken_is_said(http_broker, workers):
    with pytest.raises(AssertionError, match="http_listen"):
        Broker(workers, arguments=["--http-listen", f"127.0.0.1:{http_broker.http_port}"])


def test_it_survives_a_restart_with_everything_in_it(workers):
    with Broker(workers, http=True) as broker:
        api = HttpApi(broker)
        path = f"/api/queues/{VHOST}/kept"
        assert api.put(path).status == 201
        api.publish("kept", properties={"delivery_mode": 2})
        broker.restart()
        assert api.json(path)["messages_ready"] == 1
        assert api.json(f"/api/landfall/ledger/queues/{VHOST}/kept")["accepted"] == 1
