"""What is going on, as a stream of events: what is in it, who sees what, and what it may cost."""

import http.client

import pytest
from broker import Broker, wait_until
from http_api import quote
from http_events import Events, watched

VHOST = quote("/")
EVENTS = "/api/landfall/events"
KIB = 1 << 10


@pytest.fixture
def user(api, name, vhost):
    """One who may see the vhost of the test only."""
    user = f"u-{name}"
    assert api.put(f"/api/users/{user}", {"password": "pw", "tags": "management"}).status == 201
    permit(api, vhost, user)
    yield user
    api.delete(f"/api/users/{user}")


def permit(api, vhost, user):
    answer = api.put(f"/api/permissions/{quote(vhost)}/{user}",
                     {"configure": ".*", "write": ".*", "read": ".*"})
    assert answer.status in (201, 204), answer


def declare(api, name, vhost="/", **more):
    answer = api.put(f"/api/queues/{quote(vhost)}/{quote(name)}", {"durable": True} | more)
    assert answer.status == 201, answer


def publish(api, name, count=1, vhost="/"):
    for _ in range(count):
        answer = api.post(f"/api/exchanges/{quote(vhost)}/amq.default/publish", {
            "routing_key": name, "payload": "x", "payload_encoding": "string", "properties": {}})
        assert answer.json == {"routed": True}


# -------------------------------------------------------------------------------------- what is in it


def test_ticks_come_one_after_the_other(api):
    with Events(api.broker) as events:
        assert events.status == 200
        assert events.answer.getheader("Content-Type") == "text/event-stream"
        assert events.answer.getheader("Cache-Control") == "no-store"
        times = [tick["time"] for tick, _ in zip(events.ticks(), range(3))]
    assert times == sorted(set(times))


def test_a_tick_says_what_the_overview_says(api, name):
    declare(api, name)
    publish(api, name, 3)
    with Events(api.broker) as events:
        tick = events.until(lambda t: t["overview"]["queue_totals"]["messages"] >= 3)
    overview = api.json("/api/overview")
    for part in ("queue_totals", "message_stats", "object_totals"):
        assert tick["overview"][part].keys() == overview[part].keys()
    assert "rate" in tick["overview"]["message_stats"]["publish_details"]
    own = tick["overview"]["landfall"]
    assert own["ledger"]["balances"] is True and own["memory_alarm"] is False
    assert own["memory_used"] > 0 and own["disk_free"] > 0
    assert isinstance(tick["problems"], list) and tick["queues"] == []


def test_queues_that_are_watched_are_as_in_their_list(api, name):
    strange = f"{name}/a b+c%ä&d"
    declare(api, name)
    declare(api, strange, arguments={"x-max-length": 10})
    publish(api, strange, 2)
    query = watched(name, strange, f"none-{name}")
    with Events(api.broker, query) as events:
        tick = events.until(lambda t: [q["messages"] for q in t["queues"]] == [0, 2])
    assert [q["name"] for q in tick["queues"]] == [name, strange]
    listed = {q["name"]: q for q in api.json(f"/api/queues/{VHOST}")}
    assert tick["queues"][1] == listed[strange]


@pytest.mark.parametrize("query,status", [
    ("?queue=noslash", 400), ("?queue=%252/x", 400), ("?queue=%2F", 200),
    (watched(*"123456789"), 400), (watched(*"12345678"), 200)])
def test_what_to_watch_is_checked(api, query, status):
    with Events(api.broker, query) as events:
        assert events.status == status


def test_head_has_no_events(api):
    answer = api.ask("HEAD", EVENTS)
    assert answer.status == 200 and answer.body == b""


# --------------------------------------------------------------------------------------------- rights


def test_nobody_sees_what_is_in_vhosts_of_others(api, name, user, vhost):
    declare(api, name)
    publish(api, name, 3)
    permit(api, vhost, "guest")
    declare(api, name, vhost)
    publish(api, name, 1, vhost)
    with Events(api.broker, watched((vhost, name)), user, "pw") as events:
        tick = events.until(lambda t: t["overview"]["queue_totals"]["messages"] == 1)
    assert [q["vhost"] for q in tick["queues"]] == [vhost]
    assert tick["overview"]["object_totals"]["queues"] == 1
    assert tick["overview"]["object_totals"]["connections"] == 0
    assert not {"memory_used", "disk_free", "ledger"} & tick["overview"]["landfall"].keys()
    assert {p.get("vhost", vhost) for p in tick["problems"]} <= {vhost}
    with Events(api.broker, watched(name), user, "pw") as refused:
        assert refused.status == 401


def test_rights_that_are_taken_away_hold_from_the_next_tick_on(api, name, user, vhost):
    permit(api, vhost, "guest")
    declare(api, name, vhost)
    cookie = log_in(api, user)
    with Events(api.broker, watched((vhost, name)), None, headers=cookie) as events:
        events.until(lambda t: t["queues"])
        assert api.delete(f"/api/permissions/{quote(vhost)}/{user}").status == 204
        tick = events.until(lambda t: not t["queues"])
        assert tick["overview"]["object_totals"]["queues"] == 0


def log_in(api, user, password="pw"):
    answer = api.as_user(None, None).post("/api/landfall/session",
                                          {"username": user, "password": password})
    assert answer.status == 200
    return {"Cookie": answer.headers["Set-Cookie"].split(";")[0], "X-Landfall-Console": "1"}


@pytest.mark.parametrize("how", ["log out", "delete", "password"])
def test_a_stream_ends_with_its_session(api, user, how):
    cookie = log_in(api, user)
    with Events(api.broker, "", None, headers=cookie) as events:
        ticks = iter(events)
        assert next(ticks)[0] == "tick"
        if how == "log out":
            api.as_user(None, None).ask("DELETE", "/api/landfall/session", headers=cookie)
        elif how == "delete":
            api.delete(f"/api/users/{user}")
        else:
            api.put(f"/api/users/{user}", {"password": "other", "tags": "management"})
        assert [event for event, _ in ticks][-1] == "end"


def test_a_stream_with_a_password_ends_when_the_password_does(api, user):
    with Events(api.broker, "", user, "pw") as events:
        ticks = iter(events)
        assert next(ticks)[0] == "tick"
        api.put(f"/api/users/{user}", {"password": "other", "tags": "management"})
        assert [event for event, _ in ticks][-1] == "end"


# --------------------------------------------------------------------------------------------- bounds


def test_streams_of_a_user_are_bounded(api, user):
    streams = [Events(api.broker, "", user, "pw") for _ in range(8)]
    try:
        assert [s.status for s in streams] == [200] * 8
        with Events(api.broker, "", user, "pw", wait=False) as refused:
            assert refused.status == 429 and refused.answer.getheader("Retry-After")
        with Events(api.broker) as other:
            assert other.status == 200
    finally:
        for stream in streams:
            stream.close()
    with Events(api.broker, "", user, "pw") as again:
        assert again.status == 200


def test_streams_leave_room_for_the_rest_and_strangers_end_none(api, name):
    streams = [Events(api.broker) for _ in range(8)]
    strangers = []
    try:
        assert all(s.status == 200 for s in streams)
        for _ in range(200):
            strangers.append(api.socket())
            strangers[-1].sendall(b"GET /api/overview HTTP/1.1\r\nHost:")
        assert api.get("/api/overview").status == 200
        for stream in streams:
            first = stream.tick()["time"]
            assert stream.until(lambda t, first=first: t["time"] > first)
    finally:
        for each in streams + strangers:
            each.close()


def test_a_reader_that_does_not_read_is_dropped_and_others_go_on(api, name):
    queues = [f"{name}-{i}" for i in range(4)]
    for queue in queues:
        declare(api, queue, arguments={"note": "x" * (60 * KIB)})
    slow = Events(api.broker, watched(*queues), receive_buffer=4 * KIB)
    assert slow.status == 200
    with Events(api.broker) as events:
        wait_until(lambda: events.tick() and "is not read" in api.broker.log(), "it is dropped", 60)
    received = 0
    try:
        while data := slow.answer.read1(1 << 20):
            received += len(data)
    except (ConnectionResetError, http.client.IncompleteRead):
        pass
    # One tick has 240 KiB; without a bound there would be one for each second.
    assert received < 1024 * KIB
    slow.close()
    for queue in queues:
        api.delete(f"/api/queues/{VHOST}/{quote(queue)}")


def test_a_stopping_broker_ends_streams(workers):
    broker = Broker(workers, http=True)
    try:
        streams = [Events(broker) for _ in range(3)]
        assert all(s.tick() for s in streams)
        broker.shut_down()
        for stream in streams:
            try:
                list(stream)
            except (ConnectionResetError, http.client.IncompleteRead):
                pass
            stream.close()
    finally:
        broker.stop()


def test_all_who_watch_share_one_look_a_second(api):
    def ticks():
        return next(float(line.split()[1]) for line in api.get("/metrics").body.decode().splitlines()
                    if line.startswith("landfall_statistics_ticks_total "))
    streams = [Events(api.broker) for _ in range(6)]
    try:
        before = ticks()
        seen = [len([t for t, _ in zip(s.ticks(), range(3))]) for s in streams]
        assert seen == [3] * 6
        assert ticks() - before < 10
    finally:
        for stream in streams:
            stream.close()
