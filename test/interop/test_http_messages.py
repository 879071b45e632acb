"""Messages that operators look at, and move: peek, dead letters, move, redrive, jobs."""

import base64
import json

import pika
import pytest
from broker import Broker, wait_until
from http_api import HttpApi, quote

VHOST = quote("/")
PERSISTENT = 2


@pytest.fixture
def channel(api_channel):
    return api_channel


def properties(**more):
    return pika.BasicProperties(delivery_mode=PERSISTENT, **more)


def send(channel, queue, *bodies, exchange="", **more):
    for body in bodies:
        channel.basic_publish(exchange, queue, body, properties(**more))


def messages_path(queue, query=""):
    return f"/api/landfall/queues/{VHOST}/{quote(queue)}/messages?{query}"


def peek(api, queue, query=""):
    """All of it, page by page."""
    found = []
    after = ""
    while True:
        page = api.json(messages_path(queue, f"{query}{after}"))
        found += page["messages"]
        if page["next"] is None:
            return found
        after = f"&after={page['next']}"


def payloads(messages):
    return [m["payload"] for m in messages]


def move(api, queue, **wish):
    return api.post(f"/api/landfall/queues/{VHOST}/{quote(queue)}/move", wish)


def finished(api, answer):
    assert answer.status == 202, answer
    path = f"/api/landfall/jobs/{answer.json['id']}"
    return wait_until(lambda: (job := api.json(path))["state"] != "running" and job,
                      "the job has ended")


def count(channel, queue):
    return channel.queue_declare(queue, passive=True).method.message_count


def declare(channel, queue, **arguments):
    channel.queue_declare(queue, durable=True,
                          arguments={k.replace("_", "-"): v for k, v in arguments.items()})


def with_dead_letters(channel, name, count):
    """`name` with a consumer that refuses all; what it refused is in `name`-dead."""
    declare(channel, f"{name}-dead")
    declare(channel, name, x_dead_letter_exchange="", x_dead_letter_routing_key=f"{name}-dead")
    for i in range(count):
        send(channel, name, f"m{i}")
    for _ in range(count):
        method, _, _ = channel.basic_get(name)
        channel.basic_reject(method.delivery_tag, requeue=False)
    wait_until(lambda: count_of(channel, f"{name}-dead") == count, "all are dead letters")
    return f"{name}-dead"


count_of = count


# ---------------------------------------------------------------------------------------------- peek


def test_who_peeks_sees_all_and_takes_nothing(api, channel, name):
    declare(channel, name)
    channel.basic_publish("", name, "first", properties(
        message_id="id-1", correlation_id="c", headers={"customer": "ada", "retries": 3}))
    channel.basic_publish("", name, b"\xff\x00", properties())
    [first, second] = peek(api, name)
    assert first["payload"] == "first"
    assert first["payload_bytes"] == 5
    assert first["properties"]["message_id"] == "id-1"
    assert first["properties"]["headers"] == {"customer": "ada", "retries": 3}
    assert (first["exchange"], first["routing_key"]) == ("", name)
    assert (first["state"], first["redelivered"], first["attempts"]) == ("ready", False, 0)
    assert second["payload_encoding"] == "base64"
    assert base64.b64decode(second["payload"]) == b"\xff\x00"
    method, _, body = channel.basic_get(name)
    assert (body, method.redelivered) == (b"first", False)


def test_peek_tells_the_state_of_each(api, channel, name):
    declare(channel, name, x_delayed_retry_type="all", x_delayed_retry_min=600_000)
    send(channel, name, "rests", "held", "ready")
    method, _, _ = channel.basic_get(name)
    channel.basic_get(name)
    channel.basic_nack(method.delivery_tag, requeue=True)
    wait_until(lambda: [m["state"] for m in peek(api, name)] == ["backoff", "unacked", "ready"],
               "each is told as it is")
    [rests, held, ready] = peek(api, name)
    assert rests["until"] > rests["received"]
    assert rests["failures"] == 1
    assert held["attempts"] == 1
    assert payloads([rests, held, ready]) == ["rests", "held", "ready"]


def test_peek_goes_on_where_it_has_ended(api, channel, name):
    declare(channel, name)
    send(channel, name, *(f"m{i}" for i in range(25)))
    page = api.json(messages_path(name, "count=10"))
    assert payloads(page["messages"]) == [f"m{i}" for i in range(10)]
    page = api.json(messages_path(name, f"count=10&after={page['next']}"))
    assert payloads(page["messages"]) == [f"m{i}" for i in range(10, 20)]
    assert payloads(peek(api, name, "count=7")) == [f"m{i}" for i in range(25)]
    assert api.json(messages_path(name, "after=25"))["messages"] == []


def test_peek_finds(api, channel, name):
    declare(channel, name)
    for i in range(30):
        channel.basic_publish("", name, f"order {i}", properties(headers={"customer": f"c{i % 3}"}))
    assert payloads(peek(api, name, "search=order%2017")) == ["order 17"]
    assert len(peek(api, name, "header=customer:c1")) == 10
    assert len(peek(api, name, "header=customer")) == 30
    assert peek(api, name, "header=nothing") == []
    assert payloads(peek(api, name, "search=order%202&header=customer:c2")) == [
        "order 2", "order 20", "order 23", "order 26", "order 29"]


def test_a_long_payload_is_cut_between_characters(api, channel, name):
    declare(channel, name)
    send(channel, name, "ä" * 100)
    [cut] = peek(api, name, "truncate=51")
    assert cut["payload"] == "ä" * 25
    assert cut["payload_bytes"] == 200


def test_peek_says_what_is_wrong_with_a_question(api, channel, name):
    declare(channel, name)
    for query in ["count=x", "count=501", "truncate=-1", "after=1e3", "header=:x", "header=",
                  "count=0", f"search={'x' * 1025}", f"header=h:{'x' * 1025}"]:
        answer = api.get(messages_path(name, query))
        assert answer.status == 400, (query, answer)
    assert api.get(messages_path("absent")).status == 404


def test_what_rests_on_disk_is_seen_and_moved_like_the_rest(workers, name):
    broker = Broker(workers, ["--queue-memory", "1MiB"], http=True)
    try:
        api = HttpApi(broker)
        connection = broker.connect()
        channel = connection.channel()
        channel.confirm_delivery()
        declare(channel, name)
        declare(channel, f"{name}-to")
        total = 3000
        for i in range(total):
            send(channel, name, f"{i} " + "x" * 8000)
        path = f"/api/queues/{VHOST}/{quote(name)}"
        wait_until(lambda: (q := api.json(path))["messages"] - q["messages_ram"] > 500,
                   "messages rest on disk")
        seen = peek(api, name, "count=500&truncate=6")
        assert [int(m["payload"].split()[0]) for m in seen] == list(range(total))
        assert payloads(peek(api, name, "search=1234%20&truncate=4")) == ["1234"]
        connection.close()
        answer = move(api, name, to={"queue": f"{name}-to"}, filter={"search": "7 x"})
        job = finished(api, answer)
        assert (job["state"], job["moved"], job["scanned"]) == ("done", total / 10, total), job
        # After a restart as well.
        broker.kill()
        broker.start()
        left = [int(m["payload"].split()[0]) for m in peek(api, name, "count=500&truncate=6")]
        assert left == [i for i in range(total) if i % 10 != 7]
        moved = [int(m["payload"].split()[0])
                 for m in peek(api, f"{name}-to", "count=500&truncate=6")]
        assert moved == [i for i in range(total) if i % 10 == 7]
    finally:
        broker.stop()


# -------------------------------------------------------------------------------------- dead letters


def test_what_can_only_be_found_slowly_is_found_soon(api, channel, name):
    declare(channel, name)
    almost = "a" * 511 + "b"
    send(channel, name, *["a" * (1 << 20)] * 4, "a" * (1 << 20) + almost, almost)
    # Of a body a MiB is searched.
    assert payloads(peek(api, name, f"search={almost}")) == [almost]


def test_names_in_dead_letters_are_cut(api, channel, name):
    declare(channel, name)
    for n in range(2):
        death = {"reason": "r" * 9999, "queue": "ä" * 4000 + str(n), "exchange": "x" * 9999,
                 "routing-keys": ["k" * 9999], "count": 1}
        send(channel, name, "x", headers={"x-death": [death]})
    answer = api.json(f"/api/landfall/dead-letters/{VHOST}/{quote(name)}")
    [group] = answer["groups"]
    assert group["count"] == 2
    assert (group["reason"], group["exchange"]) == ("r" * 255, "x" * 255)
    assert group["queue"].startswith("ä" * 127) and len(group["queue"]) <= 128


def test_dead_letters_are_grouped_by_cause_and_origin(api, channel, name):
    dead = with_dead_letters(channel, name, 3)
    declare(channel, f"{name}-ttl", x_dead_letter_exchange="", x_dead_letter_routing_key=dead,
            x_message_ttl=1)
    send(channel, f"{name}-ttl", "old")
    send(channel, dead, "by hand")
    wait_until(lambda: count(channel, dead) == 5, "all are there")
    answer = api.json(f"/api/landfall/dead-letters/{VHOST}/{quote(dead)}")
    assert (answer["scanned"], answer["complete"]) == (5, True)
    groups = {(g["reason"], g["queue"], g["exchange"], g["routing_key"]): g["count"]
              for g in answer["groups"]}
    assert groups == {("rejected", name, "", name): 3,
                      ("expired", f"{name}-ttl", "", f"{name}-ttl"): 1,
                      ("", "", "", ""): 1}
    for group in answer["groups"]:
        assert 0 < group["oldest"] <= group["newest"]


# -------------------------------------------------------------------------------------------- moving


def test_dead_letters_go_back_to_where_they_came_from(api, channel, name):
    dead = with_dead_letters(channel, name, 4)
    send(channel, dead, "has never been elsewhere")
    plan = move(api, dead, to="origin", dry_run=True)
    assert plan.status == 200
    assert plan.json == {
        "matched": 4, "unroutable": 1, "scanned": 5, "complete": True,
        "destinations": [{"queues": name, "exchange": "", "routing_key": name, "count": 4}]}
    assert count(channel, dead) == 5
    job = finished(api, move(api, dead, to="origin"))
    assert (job["kind"], job["state"], job["moved"], job["unroutable"]) == ("redrive", "done", 4, 1)
    assert count(channel, name) == 4
    assert payloads(peek(api, dead)) == ["has never been elsewhere"]
    _, got, body = channel.basic_get(name)
    assert body == b"m0"
    assert got.headers["x-death"][0]["queue"] == name
    ledger = api.json(f"/api/landfall/ledger/queues/{VHOST}/{quote(dead)}")
    assert (ledger["left"]["moved"], ledger["balances"]) == (4, True)


def test_some_of_them_by_what_they_are(api, channel, name):
    declare(channel, name)
    declare(channel, f"{name}-to")
    for i in range(20):
        channel.basic_publish("", name, f"m{i}", properties(headers={"kind": "ab"[i % 2]}))
    job = finished(api, move(api, name, to={"queue": f"{name}-to"}, filter={"header": "kind:b"},
                             limit=3))
    assert job["moved"] == 3
    assert payloads(peek(api, f"{name}-to")) == ["m1", "m3", "m5"]
    assert count(channel, name) == 17


def test_through_an_exchange(api, channel, name):
    exchange = f"{name}-topic"
    channel.exchange_declare(exchange, "topic", durable=True)
    declare(channel, name)
    for key in ["a", "b"]:
        declare(channel, f"{name}-{key}")
        channel.queue_bind(f"{name}-{key}", exchange, f"{key}.#")
    send(channel, name, "1", "2")
    job = finished(api, move(api, name, to={"exchange": exchange, "routing_key": "a.x"}, limit=1))
    assert job["moved"] == 1
    [moved] = peek(api, f"{name}-a")
    assert (moved["exchange"], moved["routing_key"]) == (exchange, "a.x")
    # Its own key leads nowhere there: it stays.
    job = finished(api, move(api, name, to={"exchange": exchange}))
    assert (job["moved"], job["unroutable"]) == (0, 1)
    assert payloads(peek(api, name)) == ["2"]


def test_what_a_consumer_has_stays_with_it(api, channel, name):
    declare(channel, name)
    declare(channel, f"{name}-to")
    send(channel, name, "1", "2")
    method, _, _ = channel.basic_get(name)
    job = finished(api, move(api, name, to={"queue": f"{name}-to"}))
    assert (job["moved"], job["unacked"]) == (1, 1)
    channel.basic_ack(method.delivery_tag)
    assert payloads(peek(api, f"{name}-to")) == ["2"]


def test_a_move_that_cannot_be_is_refused(api, channel, name):
    declare(channel, name)
    for wish, status in [({}, 400), ({"to": "nowhere"}, 400), ({"to": {"queue": name}}, 400),
                         ({"to": {"queue": "absent"}}, 404), ({"to": {"exchange": "absent"}}, 404),
                         ({"to": {"queue": 7}}, 400), ({"to": "origin", "limit": 0}, 400),
                         ({"to": "origin", "rate": "fast"}, 400),
                         ({"to": "origin", "rate": 1e-9}, 400),
                         ({"to": "origin", "filter": {"search": "x" * 1025}}, 400),
                         ({"to": "origin", "filter": {"reason": "x" * 1025}}, 400),
                         ({"to": "origin", "dry_run": "yes"}, 400),
                         ({"to": "origin", "filter": []}, 400),
                         ({"to": "origin", "filter": {"search": 1}}, 400),
                         ({"to": {"exchange": "x" * 300}}, 400)]:
        answer = move(api, name, **wish)
        assert answer.status == status, (wish, answer)
    assert move(api, "absent", to="origin").status == 404


def test_a_job_is_slow_if_it_is_to_be_and_ends_if_it_is_to_end(api, channel, name):
    declare(channel, name)
    declare(channel, f"{name}-to")
    send(channel, name, *(str(i) for i in range(50)))
    answer = move(api, name, to={"queue": f"{name}-to"}, rate=1)
    path = f"/api/landfall/jobs/{answer.json['id']}"
    job = wait_until(lambda: (job := api.json(path))["moved"] > 0 and job, "something has moved")
    assert (job["state"], job["total"], job["user"]) == ("running", 50, "guest")
    assert any(j["id"] == job["id"] for j in api.json("/api/landfall/jobs"))
    assert api.delete(path).status == 204
    job = finished(api, answer)
    assert job["state"] == "cancelled"
    assert 0 < job["moved"] < 50
    assert count(channel, name) + count(channel, f"{name}-to") == 50
    assert api.get("/api/landfall/jobs/0").status == 404
    assert api.get("/api/landfall/jobs/x").status == 404


def test_no_more_than_some_jobs_run_at_a_time(api, channel, name):
    declare(channel, name)
    declare(channel, f"{name}-to")
    send(channel, name, *(str(i) for i in range(20)))
    users = [api]
    for other in ("mover", "mover-too"):
        api.put(f"/api/users/{other}", {"password": "pw", "tags": "management"})
        api.put(f"/api/permissions/{VHOST}/{other}", {"configure": "", "write": ".*", "read": ".*"})
        users.append(api.as_user(other, "pw"))
    jobs = []
    for who, expected in zip(users, ([202, 202, 503], [202, 202, 503], [503])):
        asked = [move(who, name, to={"queue": f"{name}-to"}, rate=1) for _ in expected]
        assert [job.status for job in asked] == expected
        jobs += [job for job in asked if job.status == 202]
    # A user who is deleted has no jobs any more, however long these would have waited.
    api.delete("/api/users/mover")
    for job in jobs[2:]:
        assert finished(api, job)["error"] == "the user is no more"
    api.delete("/api/users/mover-too")
    for job in jobs[:2]:
        api.delete(f"/api/landfall/jobs/{job.json['id']}")
        finished(api, job)
    # Each message is moved by one of them.
    assert count(channel, name) + count(channel, f"{name}-to") == 20


@pytest.mark.parametrize("deleted", ["from", "to"])
def test_a_job_fails_if_one_of_its_queues_goes(api, channel, name, deleted):
    for queue in (f"{name}-from", f"{name}-to"):
        declare(channel, queue)
    send(channel, f"{name}-from", *(str(i) for i in range(20)))
    answer = move(api, f"{name}-from", to={"queue": f"{name}-to"}, rate=1)
    channel.queue_delete(f"{name}-{deleted}")
    job = finished(api, answer)
    assert (job["state"], job["error"]) == ("failed", f"queue '{name}-{deleted}' was deleted")


def test_what_is_exclusive_is_left_to_its_connection(api, channel, name):
    channel.queue_declare(f"{name}-own", exclusive=True)
    declare(channel, name)
    for source, to in ((f"{name}-own", name), (name, f"{name}-own")):
        answer = move(api, source, to={"queue": to})
        assert answer.status == 401 and "exclusive" in answer.json["reason"], answer
    for path in (messages_path(f"{name}-own"),
                 f"/api/landfall/dead-letters/{VHOST}/{quote(name)}-own"):
        answer = api.get(path)
        assert answer.status == 401 and "exclusive" in answer.json["reason"], answer


def test_a_dead_letter_does_not_go_back_to_an_exclusive_queue(api, channel, name):
    declare(channel, name)
    channel.queue_declare(f"{name}-own", exclusive=True, arguments={
        "x-dead-letter-exchange": "", "x-dead-letter-routing-key": name})
    channel.basic_publish("", f"{name}-own", "x")
    method, _, _ = channel.basic_get(f"{name}-own")
    channel.basic_reject(method.delivery_tag, requeue=False)
    wait_until(lambda: count(channel, name) == 1, "it is a dead letter")
    job = finished(api, move(api, name, to="origin"))
    assert (job["moved"], job["unroutable"]) == (0, 1)


def test_a_dry_run_searches_only_so_much(api, channel, name):
    channel.queue_declare(name)
    channel.queue_declare(f"{name}-to")
    for _ in range(400):
        channel.basic_publish("", name, b"x" * (1 << 20))
    plan = move(api, name, to={"queue": f"{name}-to"}, filter={"search": "nowhere"},
                dry_run=True).json
    assert not plan["complete"] and 256 <= plan["scanned"] < 400, plan
    channel.queue_delete(name)


def test_a_dry_run_names_some_of_many_queues(api, channel, name):
    declare(channel, name)
    send(channel, name, "x")
    channel.exchange_declare(name, "fanout")
    for n in range(12):
        declare(channel, f"{name}-{n:02}")
        channel.queue_bind(f"{name}-{n:02}", name)
    plan = move(api, name, to={"exchange": name}, dry_run=True).json
    [to] = plan["destinations"]
    assert to["count"] == 1
    assert to["queues"].startswith(f"{name}-") and to["queues"].endswith(" and 2 more")
    assert to["queues"].count(",") == 9


def test_large_messages_are_moved_a_few_at_a_time(api, channel, name):
    declare(channel, name)
    declare(channel, f"{name}-to")
    send(channel, name, *["x" * (1 << 20)] * 20)
    job = finished(api, move(api, name, to={"queue": f"{name}-to"}))
    assert (job["state"], job["moved"]) == ("done", 20)
    assert count(channel, f"{name}-to") == 20


@pytest.mark.seconds(120)
def test_whatever_happens_to_the_broker_each_is_in_one_place(own_http_broker, name):
    broker = own_http_broker
    api = HttpApi(broker)
    connection = broker.connect()
    channel = connection.channel()
    channel.confirm_delivery()
    declare(channel, name)
    # Of other shards among them.
    for i in range(4):
        declare(channel, f"{name}-{i}")
    total = 4000
    send(channel, name, *(str(i) for i in range(total)))
    connection.close()

    def everything():
        found = []
        for queue in [name] + [f"{name}-{i}" for i in range(4)]:
            found += payloads(peek(api, queue, "count=500"))
        return sorted(map(int, found))

    for i in range(4):
        answer = move(api, name, to={"queue": f"{name}-{i}"}, limit=800)
        assert answer.status == 202
        wait_until(lambda i=i: api.json(f"/api/landfall/jobs/{answer.json['id']}")["moved"] > 0,
                   "it moves")
        broker.kill()
        broker.start()
        wait_until(lambda: everything() == list(range(total)), "each is in one place")


# ------------------------------------------------------------------------------------------- rights


@pytest.fixture
def reader(api, name):
    """May read the queue `name`, and write to one exchange."""
    api.put("/api/users/reader", {"password": "pw", "tags": "management"})
    api.put(f"/api/permissions/{VHOST}/reader",
            {"configure": "^$", "write": f"^{name}-exchange$", "read": f"^{name}$"})
    yield api.as_user("reader", "pw")
    api.delete("/api/users/reader")


def test_who_may_not_read_a_queue_does_not_see_what_is_in_it(api, reader, channel, name):
    declare(channel, name)
    declare(channel, f"{name}-secret")
    send(channel, f"{name}-secret", "secret")
    assert reader.get(messages_path(name)).status == 200
    for queue in [f"{name}-secret", "absent"]:
        for answer in [reader.get(messages_path(queue)),
                       reader.get(f"/api/landfall/dead-letters/{VHOST}/{quote(queue)}"),
                       move(reader, queue, to="origin", dry_run=True),
                       move(reader, queue, to={"queue": name})]:
            assert answer.status == 401, answer
            assert "secret" not in json.dumps(answer.json).replace(f"{name}-secret", "")


def test_who_may_not_write_does_not_move(api, reader, channel, name):
    declare(channel, name)
    declare(channel, f"{name}-to")
    channel.exchange_declare(f"{name}-exchange", "fanout", durable=True)
    channel.exchange_declare(f"{name}-internal", "fanout", durable=True, internal=True)
    channel.queue_bind(f"{name}-to", f"{name}-exchange")
    send(channel, name, "1")
    assert move(reader, name, to={"queue": f"{name}-to"}).status == 401
    assert move(reader, name, to="origin").status == 401
    assert move(reader, name, to={"exchange": "amq.default"}).status == 401
    assert move(api, name, to={"exchange": f"{name}-internal"}).status == 401
    job = finished(reader, move(reader, name, to={"exchange": f"{name}-exchange"}))
    assert job["moved"] == 1


def test_a_job_ends_with_the_rights_of_its_user(api, reader, channel, name):
    declare(channel, name)
    declare(channel, f"{name}-to")
    channel.exchange_declare(f"{name}-exchange", "fanout", durable=True)
    channel.queue_bind(f"{name}-to", f"{name}-exchange")
    send(channel, name, *(str(i) for i in range(30)))
    answer = move(reader, name, to={"exchange": f"{name}-exchange"}, rate=5)
    api.put(f"/api/permissions/{VHOST}/reader",
            {"configure": "^$", "write": "^$", "read": f"^{name}$"})
    job = finished(api, answer)
    assert job["state"] == "failed"
    assert "refused" in job["error"]


def test_others_jobs_are_not_shown(api, reader, channel, name):
    declare(channel, name)
    declare(channel, f"{name}-to")
    send(channel, name, "1")
    answer = move(api, name, to={"queue": f"{name}-to"})
    finished(api, answer)
    path = f"/api/landfall/jobs/{answer.json['id']}"
    assert reader.get(path).status == 404
    assert reader.delete(path).status == 404
    assert all(j["user"] == "reader" for j in reader.json("/api/landfall/jobs"))
