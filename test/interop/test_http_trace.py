"""Where is my message? What /api/landfall/trace and `landfall trace` tell of it."""

import json
import os
import subprocess
import urllib.parse
from decimal import Decimal

import pika
import pytest
from broker import Broker, program, wait_until
from http_api import HttpApi, quote
from pika_extras import Consumer, close, get

VHOST = quote("/")
TRACED = {"x-trace": True}
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"


def persistent(**properties):
    return pika.BasicProperties(delivery_mode=2, **properties)


def find(api, **query):
    return api.json("/api/landfall/trace?" + urllib.parse.urlencode(query))


def only_story(api, **query):
    found = find(api, **query)
    assert len(found["stories"]) == 1, found
    return found["stories"][0]


def kinds(story):
    return [event["kind"] for event in story["events"]]


def story_that_is(api, wanted, **query):
    """Once its events are these."""
    return wait_until(lambda: (s := find(api, **query)["stories"]) and kinds(s[0]) == wanted and s[0],
                      f"the story is {wanted}")


@pytest.fixture
def broker(http_broker):
    http_broker.check()
    yield http_broker
    http_broker.check()


@pytest.fixture
def api(broker):
    return HttpApi(broker)


@pytest.fixture
def kept_broker(workers):
    """One that may be killed, and writes checkpoints all the time."""
    broker = Broker(workers, ["--journal-window", "1MiB", "--segment-size", "1MiB"], http=True)
    yield broker
    broker.stop()


def publish(channel, queue, body=b"hello", exchange="", **properties):
    channel.confirm_delivery()
    channel.basic_publish(exchange, queue, body, persistent(**properties), mandatory=True)


def test_a_message_is_followed_from_its_sender_to_its_ack(api, connect, channel, name):
    channel.exchange_declare(name, "topic", auto_delete=True)
    channel.queue_declare(name, durable=True,
                          arguments=TRACED | {"x-delayed-retry-min": 50, "x-delayed-retry-jitter": 0})
    channel.queue_bind(name, name, "orders.*")
    publish(channel, "orders.new", exchange=name, message_id="m-1", correlation_id="c-1",
            headers={"tenant": "acme", "traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01"})
    consumer = Consumer(connect().channel(), name, consumer_tag="worker-1")
    consumer.wait_for(1)
    consumer.channel.basic_nack(1, requeue=True)
    consumer.wait_for(2)
    consumer.ack(1)
    story = story_that_is(api, ["received", "landed", "delivered", "returned", "delivered", "acked"],
                          message_id="m-1", queue=name)
    assert (story["message_id"], story["correlation_id"]) == ("m-1", "c-1")
    assert story["traceparent"].split("-")[1] == TRACE_ID
    assert (story["exchange"], story["routing_key"], story["user"]) == (name, "orders.new", "guest")
    assert story["body_bytes"] == 5
    received, landed, first, returned, second, acked = story["events"]
    assert "->" in received["connection"]
    assert received["route"] == "bound by 'orders.*'"
    assert landed["shard_seq"] > 0
    assert landed["lsn"] > 0
    assert (first["consumer"], first["user"], first["attempt"]) == ("worker-1", "guest", 1)
    assert first["connection"] != received["connection"]
    assert returned["until"] == pytest.approx(returned["time"] + 50, abs=1)
    assert second["attempt"] == 2 and second["time"] >= returned["until"]
    assert {event["queue"] for event in story["events"]} == {name}
    times = [event["time"] for event in story["events"]]
    assert times == sorted(times) and acked["time"] == times[-1]
    for query in ({"correlation_id": "c-1"}, {"header": "tenant:acme"}, {"queue": name},
                  {"header": f"traceparent:{TRACE_ID}"}):
        assert only_story(api, **(query | {"queue": name})) == story
    channel.queue_delete(name)


def test_a_message_to_several_queues_is_one_story(api, channel, name):
    channel.exchange_declare(name, "fanout", auto_delete=True)
    queues = [f"{name}-{n}" for n in range(6)]  # of several shards
    for queue in queues:
        channel.queue_declare(queue, durable=True, arguments=TRACED)
        channel.queue_bind(queue, name)
    publish(channel, "", exchange=name, message_id=name)
    for queue in queues:
        get(channel, queue)

    def told_by_all():
        story = only_story(api, message_id=name)
        return {e["queue"] for e in story["events"] if e["kind"] == "acked"} == set(queues) and story

    story = wait_until(told_by_all, "all have told")
    assert kinds(story).count("received") == 6
    for queue in queues:
        channel.queue_delete(queue)


def test_dead_letters_go_on_with_their_story(api, channel, name):
    channel.queue_declare(f"{name}-dead", durable=True, arguments={"x-trace": Decimal("0.000001")})
    channel.queue_declare(name, durable=True, arguments=TRACED | {
        "x-dead-letter-exchange": "", "x-dead-letter-routing-key": f"{name}-dead"})
    publish(channel, name, message_id=name)
    method, _, _ = get(channel, name, auto_ack=False)
    channel.basic_reject(method.delivery_tag, requeue=False)
    get(channel, f"{name}-dead")
    story = story_that_is(api, ["received", "landed", "delivered", "rejected", "dead_lettered",
                                "arrived", "landed", "delivered", "acked"], message_id=name)
    dead_lettered, arrived = story["events"][4:6]
    assert (dead_lettered["queue"], dead_lettered["reason"]) == (name, "rejected")
    assert dead_lettered["to"] == arrived["queue"] == f"{name}-dead"
    for queue in (name, f"{name}-dead"):
        channel.queue_delete(queue)


def test_what_expires_tells_so(api, channel, name):
    channel.queue_declare(name, durable=True, arguments=TRACED)
    publish(channel, name, message_id=name, expiration="20")
    story = story_that_is(api, ["received", "landed", "dropped"], message_id=name)
    assert story["events"][-1]["reason"] == "expired"
    channel.queue_delete(name)


def test_a_policy_switches_it_on_and_off(api, channel, name):
    channel.queue_declare(name, durable=True)
    publish(channel, name, message_id="before")
    policy = f"/api/policies/{VHOST}/{quote(name)}"
    assert api.put(policy, {"pattern": f"^{name}$", "definition": {"trace": 2}}).status == 400
    assert api.put(policy, {"pattern": f"^{name}$", "definition": {"trace": 1}}).status == 201
    publish(channel, name, message_id="traced")
    assert api.delete(policy).status == 204
    publish(channel, name, message_id="after")
    stories = find(api, queue=name)["stories"]
    assert [story["message_id"] for story in stories] == ["traced"]
    channel.queue_delete(name)


def test_a_share_of_messages_is_traced(api, channel, name):
    channel.queue_declare(name, durable=True, arguments={"x-trace": Decimal("0.5")})
    for n in range(100):
        publish(channel, name, message_id=f"{name}-{n}")
    traced = {story["message_id"] for story in find(api, queue=name, limit=200)["stories"]}
    assert 10 < len(traced) < 90
    # The same ones when they are sent again.
    for n in range(100):
        publish(channel, name, message_id=f"{name}-{n}")
    again = [story["message_id"] for story in find(api, queue=name, limit=200)["stories"]]
    assert sorted(again) == sorted([*traced, *traced])
    channel.queue_delete(name)


def test_the_newest_come_first_and_no_more_than_wanted(api, channel, name):
    channel.queue_declare(name, durable=True, arguments=TRACED)
    for n in range(5):
        publish(channel, name, message_id=f"{n}")
    stories = find(api, queue=name, limit=2)["stories"]
    assert [story["message_id"] for story in stories] == ["4", "3"]
    channel.queue_delete(name)


# -------------------------------------------------------------------------------------- durability


def test_stories_survive_kill_9(kept_broker, name):
    api = HttpApi(kept_broker)
    connection = kept_broker.connect()
    channel = connection.channel()
    channel.queue_declare(name, durable=True, arguments=TRACED)
    publish(channel, name, message_id="m-1")
    get(channel, name, auto_ack=False)
    story_that_is(api, ["received", "landed", "delivered"], message_id="m-1")
    # What is confirmed takes what was told before with it.
    publish(channel, name, message_id="m-2")
    kept_broker.kill()
    kept_broker.start()
    close(connection)
    assert kinds(only_story(api, message_id="m-1"))[:3] == ["received", "landed", "delivered"]
    connection = kept_broker.connect()
    get(connection.channel(), name)
    story_that_is(api, ["received", "landed", "delivered", "delivered", "acked"], message_id="m-1")
    close(connection)


def fill_journal(channel, name, messages):
    """So much that checkpoints come, while hardly anything is left in the queue."""
    channel.queue_declare(f"{name}-fill", durable=True, arguments={"x-max-length": 1})
    for _ in range(messages):
        channel.basic_publish("", f"{name}-fill", b"." * 10_000, persistent())


def test_stories_survive_checkpoints(kept_broker, name):
    api = HttpApi(kept_broker)
    connection = kept_broker.connect()
    channel = connection.channel()
    channel.queue_declare(name, durable=True, arguments=TRACED)
    publish(channel, name, message_id="first")
    for n in range(1500):
        publish(channel, name, message_id=f"{n}", headers={"fill": "." * 300})
    while channel.basic_get(name, auto_ack=True)[0] is not None:
        pass

    def in_files():
        fill_journal(channel, name, 50)
        return list((kept_broker.data / "backlog").glob("*.lfb"))

    wait_until(in_files, "a checkpoint writes stories to a file", 60)
    wanted = ["received", "landed", "delivered", "acked"]
    assert kinds(only_story(api, message_id="first")) == wanted
    for end in (kept_broker.kill, kept_broker.shut_down):
        fill_journal(channel, name, 150)
        if end == kept_broker.shut_down:
            close(connection)
        end()
        kept_broker.start()
        close(connection)
        found = find(api, message_id="first")
        assert [kinds(story) for story in found["stories"]] == [wanted]
        assert found["searched"]["complete"] and found["searched"]["unreadable"] == 0
        assert kinds(only_story(api, message_id="1499")) == wanted
        connection = kept_broker.connect()
        channel = connection.channel()
    close(connection)


def test_a_file_that_is_gone_is_no_error(kept_broker, name):
    api = HttpApi(kept_broker)
    connection = kept_broker.connect()
    channel = connection.channel()
    channel.queue_declare(name, durable=True, arguments=TRACED)
    for n in range(1500):
        publish(channel, name, message_id=f"{n}")
    channel.queue_purge(name)

    def files():
        fill_journal(channel, name, 50)
        return list((kept_broker.data / "backlog").glob("*.lfb"))

    for file in wait_until(files, "a checkpoint writes stories to a file", 60):
        file.unlink()
    publish(channel, name, message_id="last")
    found = find(api, queue=name)
    assert found["stories"][0]["message_id"] == "last"
    searched = find(api, message_id="0")["searched"]
    assert not searched["complete"] and searched["unreadable"] > 0
    close(connection)


# ------------------------------------------------------------------------------------------- rights


@pytest.fixture
def user(api):
    """Reads queues that begin with 'open', has the tag management."""
    api.put("/api/users/tracer", {"password": "pw", "tags": "management"})
    api.put(f"/api/permissions/{VHOST}/tracer", {"configure": "", "write": "", "read": "^open"})
    yield api.as_user("tracer", "pw")
    api.delete("/api/users/tracer")


def test_only_what_the_caller_may_read_is_told(api, user, channel, name):
    channel.queue_declare(f"open-{name}", durable=True, arguments=TRACED)
    channel.queue_declare(f"closed-{name}", durable=True, arguments=TRACED | {
        "x-dead-letter-exchange": "", "x-dead-letter-routing-key": f"open-{name}"})
    publish(channel, f"closed-{name}", message_id=name)
    assert find(user, message_id=name)["stories"] == []
    assert find(user, queue=f"closed-{name}")["stories"] == []
    method, _, _ = get(channel, f"closed-{name}", auto_ack=False)
    channel.basic_reject(method.delivery_tag, requeue=False)
    story_that_is(api, ["received", "landed", "delivered", "rejected", "dead_lettered", "arrived",
                        "landed"], message_id=name)
    seen = only_story(user, message_id=name)
    assert kinds(seen) == ["arrived", "landed"]
    get(channel, f"open-{name}")
    seen = story_that_is(user, ["arrived", "landed", "delivered", "acked"], message_id=name)
    # Who else is connected is not for everybody.
    assert "guest" not in json.dumps(seen) and "->" not in json.dumps(seen)
    for queue in (f"open-{name}", f"closed-{name}"):
        channel.queue_delete(queue)


def test_who_may_not_ask_is_refused(api, user):
    path = "/api/landfall/trace?message_id=a"
    assert HttpApi(api.broker, None).get(path).status == 401
    api.put("/api/users/untagged", {"password": "pw", "tags": ""})
    api.put(f"/api/permissions/{VHOST}/untagged", {"configure": ".*", "write": ".*", "read": ".*"})
    assert api.as_user("untagged", "pw").get(path).status == 401
    api.delete("/api/users/untagged")
    api.delete(f"/api/permissions/{VHOST}/tracer")
    assert user.get(path).status == 401
    assert api.get(path + "&vhost=nowhere").status == 404
    assert api.post("/api/landfall/trace").status == 405


@pytest.mark.parametrize("query", [
    "", "vhost=/", "limit=5", "message_id=a&limit=0", "message_id=a&limit=201",
    "message_id=a&limit=x", "message_id=a&limit=", "header=", "header=a", "header=:b",
    "message_id=a&limit=99999999999999999999"])
def test_questions_that_make_no_sense_are_refused(api, query):
    answer = api.get("/api/landfall/trace?" + query)
    assert answer.status == 400 and answer.json["reason"]


@pytest.mark.parametrize("query", [
    "message_id=%00%ff%fe", "header=%ff:%00", "queue=" + "q" * 5000, "correlation_id=",
    "message_id='%20OR%201=1", "header=a:b:c:d", "message_id=a&message_id=b"])
def test_strange_questions_find_nothing(api, query):
    assert api.json("/api/landfall/trace?" + query)["stories"] == []


def test_strange_messages_are_told_of(api, channel, name):
    channel.queue_declare(name, durable=True, arguments=TRACED)
    deep = {"deeper": {}}
    for _ in range(30):
        deep = {"deeper": deep}
    publish(channel, name, message_id="\u202e\x1b[31m", headers=deep)
    publish(channel, name, message_id="large", headers={"fill": "." * 100_000,
                                                        "traceparent": f"00-{TRACE_ID}-1-01"})
    publish(channel, name, message_id="x" * 255, headers={"traceparent": 5, "": "empty"})
    stories = find(api, queue=name)["stories"]
    assert [story["message_id"] for story in stories] == ["x" * 255, "large", "\u202e\x1b[31m"]
    assert stories[1]["traceparent"] == f"00-{TRACE_ID}-1-01"
    assert find(api, queue=name, header="fill:" + "." * 100)["stories"] == []
    channel.queue_delete(name)


def test_names_that_are_no_text_are_told_of(api, channel, name):
    channel.queue_declare(name, durable=True, arguments=TRACED)
    channel.exchange_declare(name, "fanout", auto_delete=True)
    channel.queue_bind(name, name)
    # Half a character at the end of what a story keeps of a text must not break the answer.
    publish(channel, "é" * 127, exchange=name, message_id=name)
    assert only_story(api, message_id=name)["routing_key"] == "é" * 127
    channel.queue_delete(name)


# ------------------------------------------------------------------------------------- command line


def command(broker, *words):
    environment = {key: value for key, value in os.environ.items()
                   if not key.startswith("LANDFALL_")}
    url = f"http://{broker.host}:{broker.http_port}"
    return subprocess.run([program("landfall"), "trace", "--url", url, *words], capture_output=True,
                          text=True, timeout=60, env=environment)


def test_the_command_shows_stories(broker, api, channel, name):
    channel.queue_declare(name, durable=True, arguments=TRACED | {"x-delayed-retry-min": 60_000})
    publish(channel, name, message_id=f"{name}\x1b[31m", correlation_id="c-1")
    method, _, _ = get(channel, name, auto_ack=False)
    channel.basic_nack(method.delivery_tag)
    story_that_is(api, ["received", "landed", "delivered", "returned"], queue=name)
    done = command(broker, "--queue", name)
    assert done.returncode == 0, done.stderr
    assert f"message_id {name}\\x1b[31m" in done.stdout and "\x1b" not in done.stdout
    for word in ("received", "landed", "delivered", "returned", "until 20", "correlation_id c-1",
                 "named by its routing key"):
        assert word in done.stdout, (word, done.stdout)
    done = command(broker, "--correlation-id", "c-1", "--json")
    assert json.loads(done.stdout)["stories"][0]["correlation_id"] == "c-1"
    channel.queue_delete(name)


def test_the_command_says_when_there_is_none(broker):
    done = command(broker, "--message-id", "nobody's")
    assert done.returncode == 3 and "x-trace" in done.stderr
    assert command(broker).returncode == 2
    assert command(broker, "--message-id", "a", "--queue", "b").returncode == 2
    assert command(broker, "--header", "nonsense").returncode == 1
