"""The files of the console: served to anybody, kept apart from everything else."""

import os
import subprocess

import pytest
from broker import Broker, program
from http_api import HttpApi

FILES = {
    "index.html": "<!doctype html><title>console</title>",
    "favicon.svg": "<svg/>",
    "assets/index-1a2b3c4d.js": "console.log(1)",
    "assets/index-1a2b3c4d.css": "body {}",
}
SECRET = "not to be read"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    outside = tmp_path_factory.mktemp("site")
    (outside / "secret.txt").write_text(SECRET)
    directory = outside / "console"
    for path, text in FILES.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_text(text)
    (directory / "link.txt").symlink_to(outside / "secret.txt")
    (directory / "linked").symlink_to(outside)
    return directory


@pytest.fixture(scope="module")
def console(site):
    with Broker(http=True, arguments=["--console-directory", site]) as broker:
        yield HttpApi(broker, None)


@pytest.mark.parametrize("path,kind", [
    ("/index.html", "text/html"), ("/favicon.svg", "image/svg+xml"),
    ("/assets/index-1a2b3c4d.js", "text/javascript"), ("/assets/index-1a2b3c4d.css", "text/css")])
def test_a_file_is_served_without_a_login(console, path, kind):
    answer = console.get(path)
    assert answer.status == 200, answer
    assert answer.body.decode() == FILES[path[1:]]
    assert answer.headers["Content-Type"].startswith(kind)
    head = console.ask("HEAD", path)
    assert head.status == 200 and head.body == b""
    assert int(head.headers["Content-Length"]) == len(answer.body)


@pytest.mark.parametrize("path", ["/", "/queues", "/queues/%2F/orders", "/users/",
                                  "/index"])
def test_a_page_of_the_console_is_the_index(console, path):
    answer = console.get(path)
    assert answer.status == 200 and answer.body.decode() == FILES["index.html"], answer


def test_a_page_may_be_called_like_a_file_when_a_person_goes_there(console):
    path = "/queues/%2F/orders.new"
    assert console.get(path).status == 404
    assert console.get(path, headers={"Accept": "text/html,*/*;q=0.8"}).status == 200
    assert console.get("/assets/gone.js", headers={"Accept": "text/html"}).status == 404


@pytest.mark.parametrize("path", ["/", "/favicon.svg", "/assets/index-1a2b3c4d.js"])
def test_a_page_runs_only_what_we_serve_and_is_in_no_frame(console, path):
    headers = console.get(path).headers
    policy = dict(rule.split(" ", 1) for rule in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'" and policy["script-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'" and policy["base-uri"] == "'none'"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_what_has_a_hash_in_its_name_is_kept_and_the_rest_is_asked_for_again(console):
    assert "immutable" in console.get("/assets/index-1a2b3c4d.js").headers["Cache-Control"]
    first = console.get("/")
    assert first.headers["Cache-Control"] == "no-cache"
    again = console.get("/", headers={"If-None-Match": f'"other", W/{first.headers["ETag"]}'})
    assert again.status == 304 and again.body == b""
    assert again.headers["ETag"] == first.headers["ETag"]
    assert console.get("/", headers={"If-None-Match": '"other"'}).status == 200
    assert console.get("/favicon.svg").headers["ETag"] != first.headers["ETag"]


def raw(console, target):
    """A path as it is, which libraries would tidy up."""
    with console.socket() as peer:
        peer.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while more := peer.recv(65536):
            answer += more
    return answer


@pytest.mark.parametrize("target", [
    "/../secret.txt", "/assets/../../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt",
    "/assets/..%2f..%2fsecret.txt", "/.%2e/.%2e/secret.txt", "//secret.txt", "/..\\secret.txt",
    "/..%5csecret.txt", "/%00/secret.txt", "/index.html%00.js", "/link.txt", "/linked/secret.txt",
    "/assets%2findex-1a2b3c4d.js", "/%252e%252e/secret.txt", "/./secret.txt"])
def test_no_path_leads_out(console, target):
    answer = raw(console, target)
    assert SECRET.encode() not in answer
    assert answer.startswith(b"HTTP/1.1 404 ") or b"<title>console</title>" in answer, answer


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_files_are_only_read(console, method):
    answer = console.ask(method, "/index.html", {})
    assert answer.status == 405 and answer.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/overview", "/api/none", "/metrics",
                                  "/metrics/per-object"])
def test_the_api_is_not_the_consoles(console, path):
    assert console.get(path).status == 401


def test_no_console_is_one_that_is_not_there(site):
    with Broker(http=True, arguments=["--console-directory", "none"]) as broker:
        assert HttpApi(broker).get("/").status == 404
        assert HttpApi(broker, None).get("/").status == 401


def test_a_directory_that_is_no_console_is_refused_at_the_start(tmp_path):
    for directory in (tmp_path, tmp_path / "none"):
        ended = subprocess.run(
            [program("landfalld"), "--data-dir", tmp_path / "data", "--amqp-listen", "127.0.0.1:0",
             "--http-listen", "127.0.0.1:0", "--console-directory", directory],
            capture_output=True, text=True, timeout=60, env=os.environ)
        assert ended.returncode == 2
        assert "console_directory" in ended.stderr and str(directory) in ended.stderr
