"""Sessions of the console: how they begin and end, and who cannot use or guess them."""

import socket

import pytest
from broker import Broker, wait_until
from http_api import HttpApi, quote

VHOST = quote("/")
SESSION = "/api/landfall/session"
CONSOLE = {"X-Landfall-Console": "1"}


class Browser:
    """Asks with the cookie that it was given."""

    def __init__(self, broker, headers=None):
        self.api = HttpApi(broker, None)
        self.cookie = None
        self.headers = CONSOLE if headers is None else headers

    def ask(self, method, path, body=None, headers=None):
        sent = dict(self.headers if headers is None else headers)
        if self.cookie:
            sent["Cookie"] = f"theme=dark; landfall_session={self.cookie}"
        return self.api.ask(method, path, body, headers=sent)

    def log_in(self, user="guest", password="guest"):
        answer = self.ask("POST", SESSION, {"username": user, "password": password})
        if answer.status == 200:
            self.cookie = answer.headers["Set-Cookie"].split(";")[0].split("=", 1)[1]
        return answer

    def get(self, path, **more):
        return self.ask("GET", path, **more)


@pytest.fixture
def api(http_broker):
    return HttpApi(http_broker)


@pytest.fixture
def browser(http_broker):
    browser = Browser(http_broker)
    assert browser.log_in().status == 200
    return browser


@pytest.fixture
def user(api, name):
    """One who may use the API and everything in the vhost /."""
    assert api.put(f"/api/users/{name}", {"password": "pw", "tags": "management"}).status == 201
    permit(api, name)
    yield name
    api.delete(f"/api/users/{name}")


def permit(api, user, configure=".*"):
    answer = api.put(f"/api/permissions/{VHOST}/{user}",
                     {"configure": configure, "write": ".*", "read": ".*"})
    assert answer.status in (201, 204), answer


def test_a_session_says_who_it_is(http_broker, api):
    browser = Browser(http_broker)
    assert browser.get(SESSION).status == 401
    answer = browser.log_in()
    assert answer.status == 200, answer
    who = answer.json
    assert who["name"] == "guest" and who["tags"] == ["administrator"] and "/" in who["vhosts"]
    assert who["node"] == api.json("/api/overview")["node"] and who["version"]
    assert answer.headers["Cache-Control"] == "no-store"
    assert browser.get(SESSION).json == who


def test_the_cookie_is_for_this_page_only_and_cannot_be_guessed(http_broker):
    seen = set()
    for _ in range(3):
        [cookie] = Browser(http_broker).log_in().headers.get_all("Set-Cookie")
        value, *attributes = cookie.split("; ")
        assert set(attributes) == {"Path=/", "HttpOnly", "SameSite=Strict"}
        assert len(value.split("=", 1)[1]) == 43  # 256 bits in base64
        seen.add(value)
    assert len(seen) == 3


def test_a_session_opens_the_api(browser, name):
    path = f"/api/queues/{VHOST}/{quote(name)}"
    assert browser.ask("PUT", path, {"durable": True}).status == 201
    assert browser.get(path).json["name"] == name
    assert browser.get("/metrics").status == 200
    assert browser.ask("DELETE", path).status == 204


@pytest.mark.parametrize("cookie", ["", "x", "a" * 43, "a" * 5000])
def test_a_cookie_that_is_none_opens_nothing(http_broker, cookie):
    browser = Browser(http_broker)
    browser.cookie = cookie or "=;"
    assert browser.get("/api/overview").status == 401
    assert browser.get(SESSION).status == 401


def test_what_changes_something_needs_the_pages_header(browser, name):
    path = f"/api/queues/{VHOST}/{quote(name)}"
    for headers in ({}, {"X-Landfall-Console": "0"}):
        for method, where in (("PUT", path), ("DELETE", path), ("DELETE", SESSION),
                              ("POST", SESSION)):
            answer = browser.ask(method, where, {"username": "guest", "password": "guest"}, headers)
            assert answer.status == 403, (method, where, answer)
        assert browser.get(path, headers=headers).status == 404
    # And the origin is still looked at.
    foreign = CONSOLE | {"Origin": "http://evil.example"}
    assert browser.ask("PUT", path, {}, foreign).status == 403
    assert browser.get(SESSION).status == 200


def test_a_page_of_another_origin_cannot_log_a_person_in(http_broker):
    browser = Browser(http_broker, {"Origin": "http://evil.example"})
    assert browser.log_in().status == 403


def test_the_console_is_not_asked_for_a_password_by_the_browser(http_broker):
    for headers, asked in ((CONSOLE, False), ({}, True)):
        browser = Browser(http_broker, headers)
        for answer in (browser.get("/api/overview"), browser.get(SESSION)):
            assert answer.status == 401
            assert ("WWW-Authenticate" in answer.headers) == asked


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{", b'{"username": "guest"}',
                                  b'{"username": 1, "password": 2}'])
def test_a_login_that_is_none_is_refused(http_broker, body):
    answer = Browser(http_broker).ask("POST", SESSION, body)
    assert answer.status == 400, answer


def test_a_login_is_small(http_broker):
    answer = Browser(http_broker).log_in("guest", "x" * 5000)
    assert answer.status == 413, answer


def test_a_wrong_login_opens_no_session_and_is_not_told_what_was_wrong(http_broker, user):
    reasons = set()
    for who, password in ((user, "wrong"), ("nobody", "pw"), (user, "")):
        answer = Browser(http_broker).log_in(who, password)
        assert answer.status == 401 and "Set-Cookie" not in answer.headers
        reasons.add(answer.json["reason"])
    assert reasons == {"Login failed"}


def test_a_user_without_a_tag_opens_no_session(http_broker, api, user):
    assert api.put(f"/api/users/{user}", {"password": "pw", "tags": ""}).status == 204
    answer = Browser(http_broker).log_in(user, "pw")
    assert answer.status == 401 and answer.json["reason"] == "Not management user"
    assert "Set-Cookie" not in answer.headers


def test_logging_out_ends_the_session_and_no_other(http_broker, browser):
    other = Browser(http_broker)
    assert other.log_in().status == 200
    answer = browser.ask("DELETE", SESSION)
    assert answer.status == 204
    assert "Max-Age=0" in answer.headers["Set-Cookie"]
    assert browser.get(SESSION).status == 401
    assert browser.ask("DELETE", SESSION).status == 401
    assert other.get(SESSION).status == 200


def test_logging_in_again_ends_the_session_before(browser):
    before = browser.cookie
    assert browser.log_in().status == 200
    assert browser.cookie != before
    browser.cookie = before
    assert browser.get(SESSION).status == 401


def test_a_session_ends_with_its_user(http_broker, api, user):
    browser = Browser(http_broker)
    assert browser.log_in(user, "pw").status == 200
    assert api.delete(f"/api/users/{user}").status == 204
    assert browser.get("/api/overview").status == 401
    # Somebody new of the same name is not let into it.
    api.put(f"/api/users/{user}", {"password": "pw", "tags": "management"})
    assert browser.get("/api/overview").status == 401


def test_a_session_ends_with_its_password(http_broker, api, user):
    browser = Browser(http_broker)
    other = Browser(http_broker)
    assert browser.log_in(user, "pw").status == 200 and other.log_in().status == 200
    assert api.put(f"/api/users/{user}", {"password": "new", "tags": "management"}).status == 204
    assert browser.get("/api/overview").status == 401
    assert other.get("/api/overview").status == 200


def test_a_session_has_the_rights_of_now(http_broker, api, user, name):
    browser = Browser(http_broker)
    assert browser.log_in(user, "pw").status == 200
    path = f"/api/queues/{VHOST}/{quote(name)}"
    assert browser.ask("PUT", path, {}).status == 201
    permit(api, user, configure="^nothing$")
    assert browser.ask("DELETE", path).status == 401
    assert api.delete(f"/api/permissions/{VHOST}/{user}").status == 204
    assert browser.get(path).status == 401
    assert browser.get(SESSION).json["vhosts"] == []
    assert browser.get("/api/users").status == 401
    api.delete(path)


def test_tokens_and_passwords_do_not_reach_the_log(http_broker):
    browser = Browser(http_broker)
    browser.log_in("guest", "s3cret-for-a-session")
    browser.log_in()
    assert browser.cookie not in http_broker.log()
    assert "s3cret-for-a-session" not in http_broker.log()


# ------------------------------------------------------------------------------------------- attacks


@pytest.fixture
def own_http_broker():
    with Broker(http=True) as broker:
        yield broker


def guess_until_refused(broker, user, log_in):
    for attempt in range(60):
        answer = log_in(user, f"guess-{attempt}")
        if answer.status == 429:
            return answer
        assert answer.status == 401, answer
    raise AssertionError(f"{attempt} guesses and no end")


@pytest.mark.parametrize("way", ["session", "basic"])
def test_guessing_a_password_is_slowed_down_and_locks_nobody_out(own_http_broker, way):
    broker = own_http_broker
    api = HttpApi(broker)
    for user in ("here-before", "never-here"):
        assert api.put(f"/api/users/{user}", {"password": "pw", "tags": "management"}).status == 201
    person = Browser(broker)
    assert person.log_in("here-before", "pw").status == 200

    def log_in(user, password):
        if way == "session":
            return Browser(broker).log_in(user, password)
        return api.as_user(user, password).get("/api/whoami")

    answer = guess_until_refused(broker, "never-here", log_in)
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert "too many" in answer.json["reason"]
    # The right password is a guess as well, until it is known to be right.
    assert log_in("never-here", "pw").status == 429
    # Whoever is logged in, and programs that have been right all the time, go on.
    assert person.get("/api/overview").status == 200
    assert api.get("/api/whoami").status == 200
    assert Browser(broker).log_in("here-before", "pw").status == 200


def test_made_up_users_do_not_help_to_guess(own_http_broker):
    def log_in(_, password):
        return Browser(own_http_broker).log_in(f"user-of-{password}", password)

    guess_until_refused(own_http_broker, "", log_in)


def slots(broker, what, count=128):
    """Connections that have begun something and do not go on."""
    opened = []
    for _ in range(count):
        opened.append(socket.create_connection((broker.host, broker.http_port), timeout=20))
        opened[-1].sendall(what)
    return opened


@pytest.mark.parametrize("what", [
    b"GET /api/overview HTTP/1.1\r\nHost: x\r\nX-Slow: ",
    b"POST /api/landfall/session HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
    b"POST /api/definitions HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{",
], ids=["slow header", "slow login", "refused body"])
def test_slow_strangers_do_not_keep_others_out(own_http_broker, what):
    strangers = slots(own_http_broker, what)
    api = HttpApi(own_http_broker)
    for _ in range(10):
        assert api.get("/api/overview", seconds=20).status == 200
    # It was them who had to make room, the first ones first.
    strangers[0].settimeout(20)
    try:
        while strangers[0].recv(65536):
            pass
    except ConnectionResetError:
        pass
    for stranger in strangers:
        stranger.close()


def test_idle_sessions_do_not_keep_others_out(own_http_broker):
    strangers = slots(own_http_broker, b"")
    wait_until(lambda: HttpApi(own_http_broker).get("/api/overview").status == 200, "an answer")
    for stranger in strangers:
        stranger.close()
