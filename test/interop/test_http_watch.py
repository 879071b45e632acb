"""What is wrong, and what was: problems and histories."""

import pika
import pytest
from broker import Broker, wait_until
from http_api import HttpApi, quote

VHOST = quote("/")
PROBLEMS = "/api/landfall/problems"
HISTORY = "/api/landfall/history"


@pytest.fixture
def channel(api_channel):
    return api_channel


@pytest.fixture
def stranger(api, name):
    """One who may see a vhost of their own only."""
    user = f"u-{name}"
    assert api.put(f"/api/vhosts/{quote(name)}").status == 201
    assert api.put(f"/api/users/{user}", {"password": "pw", "tags": "management"}).status == 201
    assert api.put(f"/api/permissions/{quote(name)}/{user}",
                   {"configure": ".*", "write": ".*", "read": ".*"}).status == 201
    yield api.as_user(user, "pw")
    api.delete(f"/api/users/{user}")


def problem(api, kind, name=None):
    return next((p for p in api.json(PROBLEMS)
                 if p["kind"] == kind and (name is None or p.get("name") == name)), None)


def test_a_queue_that_nobody_consumes_from_is_named_to_those_who_may_see_it(
        api, channel, name, stranger):
    channel.queue_declare(name, durable=True)

    def found():
        channel.basic_publish("", name, b"x")
        return problem(api, "no_consumer", name)

    what = wait_until(found, "the queue is named")
    assert what["severity"] == "warning" and what["vhost"] == "/"
    assert name in what["summary"] and what["what_to_do"]
    assert all(p.get("name") != name for p in stranger.json(PROBLEMS))
    channel.basic_consume(name, lambda *_: None, auto_ack=True)
    channel.connection.process_data_events(0)
    wait_until(lambda: problem(api, "no_consumer", name) is None, "it is none any more")


def test_dead_letters_and_messages_that_are_dropped_are_problems(api, channel, name):
    channel.queue_declare(f"{name}-dead")
    channel.queue_declare(name, arguments={"x-dead-letter-exchange": "", "x-max-length": 1,
                                           "x-dead-letter-routing-key": f"{name}-dead"})
    channel.queue_declare(f"{name}-short", arguments={"x-max-length": 1})
    api.json(PROBLEMS)
    for _ in range(5):
        channel.basic_publish("", name, b"x")
        channel.basic_publish("", f"{name}-short", b"x")
    wait_until(lambda: problem(api, "dead_letters", name), "dead letters are said")
    wait_until(lambda: problem(api, "messages_dropped", f"{name}-short"), "drops are said")
    assert problem(api, "messages_dropped", name) is None
    assert problem(api, "dead_letters", f"{name}-short") is None


def test_consumers_that_do_nothing_are_a_problem(api, channel, name):
    channel.queue_declare(name)
    channel.basic_qos(prefetch_count=1)
    channel.basic_consume(name, lambda *_: None)
    for _ in range(3):
        channel.basic_publish("", name, b"x")

    def found():
        channel.connection.process_data_events(0)
        return problem(api, "consumers_stuck", name)

    assert "hold 1 messages" in wait_until(found, "it is said", 60)["summary"]


def test_a_memory_alarm_names_what_takes_the_memory(workers, name):
    with Broker(workers, ["--memory-limit", "16MiB"], http=True) as broker:
        api = HttpApi(broker)
        channel = broker.connect(blocked_connection_timeout=1).channel()
        channel.queue_declare(name)
        with pytest.raises(pika.exceptions.ConnectionBlockedTimeout):
            for _ in range(1000):
                channel.basic_publish("", name, b"x" * 1_000_000)
        alarm = wait_until(lambda: problem(api, "memory_alarm"), "the alarm is said")
        assert alarm["severity"] == "critical" and "name" not in alarm
        assert "16.0 MiB" in alarm["summary"]
        holder = wait_until(lambda: problem(api, "memory_alarm", name), "the queue is named")
        # A single message, where a sanitizer's memory alone is beyond the limit.
        assert "iB of memory" in holder["summary"]


def test_the_history_grows_and_is_the_users(api, channel, name, stranger):
    channel.queue_declare(name, durable=True)

    def published():
        channel.basic_publish("", name, b"x")
        history = api.json(HISTORY)
        assert history["interval_ms"] == 1000
        return any(s["publish"] > 0 and s["ready"] > 0 for s in history["samples"])

    wait_until(published, "it has come up in a sample")
    samples = api.json(HISTORY)["samples"]
    times = [s["time"] for s in samples]
    assert times == sorted(set(times)) and len(times) <= 600
    assert samples[-1].keys() == {"time", "publish", "deliver", "ack", "redeliver", "ready",
                                  "unacked", "sync_p50_us", "sync_p99_us"}
    assert any(s["sync_p99_us"] for s in samples)
    assert all(s["publish"] == s["ready"] == 0 for s in stranger.json(HISTORY)["samples"])


def test_the_history_of_a_queue_is_kept_once_somebody_has_asked(api, channel, name, stranger):
    path = f"{HISTORY}/queues/{VHOST}/{quote(name)}"
    assert api.get(path).status == 404
    channel.queue_declare(name)
    channel.basic_publish("", name, b"x")
    samples = wait_until(lambda: api.json(path)["samples"], "there is a sample")
    assert samples[-1].keys() == {"time", "publish", "deliver", "ack", "redeliver", "ready",
                                  "unacked"}
    wait_until(lambda: api.json(path)["samples"][-1]["ready"] == 1, "it has the message")
    assert stranger.get(path).status == 401


def test_storage_says_what_is_on_the_disk(api, channel, name, stranger):
    channel.queue_declare(name, durable=True)
    channel.confirm_delivery()
    before = api.json("/api/landfall/storage")
    channel.basic_publish("", name, b"x" * 1000, pika.BasicProperties(delivery_mode=2))

    def synced():
        storage = api.json("/api/landfall/storage")
        return storage["journal"]["synced_lsn"] > before["journal"]["synced_lsn"] and storage

    storage = wait_until(synced, "the message is in the journal")
    journal = storage["journal"]
    assert journal["segments"] >= 1 and journal["sync_us"]["count"] > 0
    assert 0 < journal["sync_us"]["p50"] <= journal["sync_us"]["p99"] <= journal["sync_us"]["max"]
    assert storage["disk"]["free"] <= storage["disk"]["total"] and not storage["disk"]["alarm"]
    assert storage["backlog"] == {"files": 0, "bytes": 0}
    assert stranger.get("/api/landfall/storage").status == 401


def test_storage_counts_checkpoints_and_backlog_files(workers, name):
    arguments = ["--journal-window", "1MiB", "--segment-size", "64KiB", "--queue-memory", "1MiB"]
    with Broker(workers, arguments, http=True) as broker:
        connection = broker.connect()
        channel = connection.channel()
        channel.queue_declare(name, durable=True)
        channel.confirm_delivery()

        def stored():
            for _ in range(100):
                channel.basic_publish("", name, b"x" * 20_000,
                                      pika.BasicProperties(delivery_mode=2))
            storage = HttpApi(broker).json("/api/landfall/storage")
            return storage["checkpoints"]["duration_ms"]["count"] and storage[
                "backlog"]["files"] and storage

        storage = wait_until(stored, "messages are in backlog files", 60)
        assert storage["checkpoints"]["files"] >= 1 and storage["checkpoints"]["last"] > 0
        assert storage["backlog"]["bytes"] > 0
        connection.close()
