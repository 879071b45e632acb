"""Whom the HTTP API lets in, and what each may see and do."""

import pika
import pytest
from http_api import HttpApi, quote

VHOST = quote("/")


def test_a_request_without_a_login_is_asked_for_one(api):
    answer = HttpApi(api.broker, None).get("/api/overview")
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic realm=")
    assert answer.json == {"error": "not_authorised", "reason": "Login failed"}


@pytest.mark.parametrize("user,password", [("guest", "wrong"), ("nobody", "guest"), ("", ""),
                                           ("guest", "x" * 2000)])
def test_a_wrong_login_is_refused_and_not_told_what_was_wrong(api, user, password):
    answer = api.as_user(user, password).get("/api/whoami")
    assert answer.status == 401
    assert answer.json["reason"] == "Login failed"


@pytest.mark.parametrize("header", ["Basic", "Basic !!!", "Basic Z3Vlc3Q=", "Bearer abc", "x" * 500])
def test_an_authorization_that_is_none_is_refused(api, header):
    answer = HttpApi(api.broker, None).get("/api/whoami", headers={"Authorization": header})
    assert answer.status == 401


def test_passwords_do_not_reach_the_log(api):
    api.as_user("guest", "s3cret-in-the-log").get("/api/whoami")
    api.put("/api/users/logged", {"password": "s3cret-in-the-log", "tags": ""})
    api.delete("/api/users/logged")
    assert "s3cret-in-the-log" not in api.broker.log()


def test_whoami(api):
    assert api.json("/api/whoami") == {"name": "guest", "tags": ["administrator"]}


# A path of each kind, and which tags open it.
READS = {
    "/api/overview": "management policymaker monitoring administrator",
    "/api/queues": "management policymaker monitoring administrator",
    "/api/connections": "management policymaker monitoring administrator",
    "/api/nodes": "monitoring administrator",
    "/metrics": "monitoring administrator",
    "/metrics/per-object": "monitoring administrator",
    "/api/landfall/ledger": "monitoring administrator",
    "/api/users": "administrator",
    "/api/permissions": "administrator",
    "/api/definitions": "administrator",
}


@pytest.mark.parametrize("tag", ["", "management", "policymaker", "monitoring", "administrator"])
def test_each_tag_opens_what_it_should(api, tag, name):
    user = f"tagged-{tag}"
    assert api.put(f"/api/users/{user}", {"password": "pw", "tags": tag}).status in (201, 204)
    assert api.put(f"/api/permissions/{VHOST}/{user}",
                   {"configure": ".*", "write": ".*", "read": ".*"}).status in (201, 204)
    theirs = api.as_user(user, "pw")
    for path, tags in READS.items():
        answer = theirs.get(path)
        assert answer.status == (200 if tag and tag in tags.split() else 401), (path, answer)
        if answer.status == 401:
            assert answer.json["error"] == "not_authorised"
    policy = f"/api/policies/{VHOST}/{quote(name)}"
    answer = theirs.put(policy, {"pattern": "^none$", "definition": {"max-length": 1}})
    assert (answer.status == 201) == (tag in ("policymaker", "administrator")), answer
    api.delete(policy)
    assert (theirs.put(f"/api/vhosts/{quote(name)}").status == 201) == (tag == "administrator")
    api.delete(f"/api/users/{user}")


def test_a_vhost_goes_with_all_that_is_in_it(api, vhost, name):
    path = f"/api/vhosts/{quote(vhost)}"
    api.put("/api/users/inmate", {"password": "pw", "tags": "management"})
    api.put(f"/api/permissions/{quote(vhost)}/inmate",
            {"configure": ".*", "write": ".*", "read": ".*"})
    api.put(f"/api/topic-permissions/{quote(vhost)}/inmate",
            {"exchange": "amq.topic", "write": ".*", "read": ".*"})
    # Also of one who may do everything in every vhost, and has been given less here.
    api.put(f"/api/permissions/{quote(vhost)}/guest",
            {"configure": ".*", "write": ".*", "read": ""})
    connection = api.broker.connect(vhost=vhost)
    channel = connection.channel()
    channel.confirm_delivery()
    for i in range(20):
        channel.queue_declare(f"{name}-{i}", durable=True)
        channel.basic_publish("", f"{name}-{i}", "x", pika.BasicProperties(delivery_mode=2))
    channel.queue_declare("", exclusive=True)
    assert api.as_user("inmate", "pw").delete(path).status == 401
    assert api.delete(path).status == 204
    with pytest.raises(pika.exceptions.ConnectionClosed) as closed:
        while True:
            connection.process_data_events(1)
    assert closed.value.reply_code == 320
    assert closed.value.reply_text == f"CONNECTION_FORCED - vhost '{vhost}' was deleted"
    assert api.get(path).status == 404
    assert api.delete(path).status == 404
    assert not [q for q in api.json("/api/queues") if q["vhost"] == vhost]
    # One of that name is another one, to which nobody has rights any more.
    assert api.put(path).status == 201
    assert api.json(f"/api/queues/{quote(vhost)}") == []
    assert [(p["user"], p["read"]) for p in api.json(f"{path}/permissions")] in ([], [("guest", ".*")])
    assert api.as_user("inmate", "pw").get(f"/api/queues/{quote(vhost)}").status == 401
    assert not [p for p in api.json("/api/topic-permissions") if p["vhost"] == vhost]
    api.delete("/api/users/inmate")


def test_the_vhost_that_is_always_there_stays(api):
    answer = api.delete(f"/api/vhosts/{VHOST}")
    assert answer.status == 400
    assert "always there" in answer.json["reason"]


def test_a_deleted_vhost_is_not_there_after_a_restart(own_http_broker):
    broker = own_http_broker
    api = HttpApi(broker)
    for vhost in ["gone", "kept"]:
        api.put(f"/api/vhosts/{vhost}")
        api.put(f"/api/queues/{vhost}/q")
    assert api.delete("/api/vhosts/gone").status == 204
    broker.kill()
    broker.start()
    assert {v["name"] for v in api.json("/api/vhosts")} == {"/", "kept"}
    assert [(q["vhost"], q["name"]) for q in api.json("/api/queues")] == [("kept", "q")]


def test_what_is_in_another_vhost_is_not_seen(api, vhost, name):
    """A user with rights in one vhost only, whoever asks for what."""
    theirs = api.as_user("confined", "pw")
    api.put("/api/users/confined", {"password": "pw", "tags": "policymaker"})
    api.put(f"/api/permissions/{quote(vhost)}/confined",
            {"configure": "^mine", "write": "^(mine|amq.default)", "read": "^mine"})
    secret = f"/api/queues/{VHOST}/{quote(name)}"
    assert api.put(secret).status == 201
    mine = f"/api/queues/{quote(vhost)}/mine"
    assert theirs.put(mine).status == 201
    for path in ("/api/queues", "/api/exchanges", "/api/bindings", "/api/vhosts", "/api/consumers",
                 "/api/landfall/ledger/queues", "/api/policies"):
        for thing in theirs.json(path):
            assert thing.get("vhost", thing.get("name")) == vhost, (path, thing)
    body = {"count": 1, "ackmode": "ack_requeue_true", "encoding": "auto"}
    for method, path in [
            ("GET", secret), ("PUT", secret), ("DELETE", secret), ("DELETE", f"{secret}/contents"),
            ("GET", f"{secret}/bindings"), ("POST", f"{secret}/get"),
            ("GET", f"/api/queues/{VHOST}"), ("GET", f"/api/exchanges/{VHOST}"),
            ("GET", f"/api/exchanges/{VHOST}/amq.direct"), ("PUT", f"/api/exchanges/{VHOST}/new"),
            ("GET", f"/api/bindings/{VHOST}"), ("GET", f"/api/policies/{VHOST}"),
            ("GET", f"/api/vhosts/{VHOST}"), ("GET", f"/api/consumers/{VHOST}"),
            ("POST", f"/api/bindings/{VHOST}/e/amq.direct/q/{quote(name)}"),
            ("PUT", f"/api/policies/{VHOST}/new"),
            ("GET", f"/api/landfall/ledger/queues/{VHOST}/{quote(name)}")]:
        answer = theirs.ask(method, path, None if method == "GET" else body)
        assert answer.status == 401, (method, path, answer)
    # In their own vhost what they may do is what their permissions say.
    assert theirs.put(f"/api/queues/{quote(vhost)}/other").status == 401
    assert theirs.delete(mine).status == 204
    api.delete(secret)
    api.delete("/api/users/confined")


def test_an_administrator_without_permissions_sees_and_may_not_touch(api, name):
    api.put("/api/users/boss", {"password": "pw", "tags": "administrator"})
    boss = api.as_user("boss", "pw")
    assert any(q["vhost"] == "/" for q in boss.json("/api/exchanges"))
    answer = boss.put(f"/api/queues/{VHOST}/{quote(name)}")
    assert answer.status == 401, answer
    api.delete("/api/users/boss")


def test_a_page_of_another_origin_changes_nothing(api, name):
    path = f"/api/queues/{VHOST}/{quote(name)}"
    for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"},
                    {"Sec-Fetch-Site": "cross-site"}):
        answer = api.ask("PUT", path, {}, headers=headers)
        assert answer.status == 403, (headers, answer)
    assert api.get(path).status == 404
    own = f"http://{api.broker.host}:{api.broker.http_port}"
    assert api.ask("PUT", path, {}, headers={"Origin": own}).status == 201
    assert api.delete(path).status == 204
