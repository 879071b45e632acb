"""Lists of the HTTP API: what stands in them for whom, and what they cost."""

import pytest
from broker import wait_until
from http_api import quote

VHOST = quote("/")


@pytest.fixture
def other(api):
    """A user with the tag management, who may do everything in the vhost."""
    api.put("/api/users/other", {"password": "pw", "tags": "management"})
    api.put(f"/api/permissions/{VHOST}/other", {"configure": ".*", "write": ".*", "read": ".*"})
    yield api.as_user("other", "pw")
    api.delete("/api/users/other")


@pytest.fixture
def connection(api):
    connection = api.broker.connect()
    yield connection
    connection.close()


# ----------------------------------------------------------------------------------------- consumers


def consumers(api, queue, count, query=""):
    path = f"/api/consumers/{VHOST}?{query}"
    return wait_until(lambda: (all_ := [c for c in api.json(path) if c["queue"]["name"] == queue
                                        and c["consumer_tag"]]) and len(all_) == count and all_,
                      f"{count} consumers are listed")


def test_each_of_many_consumers_has_its_own_tag(api, connection, name):
    channels = [connection.channel() for _ in range(3)]
    channels[0].queue_declare(name, auto_delete=True)
    wanted = set()
    for channel in channels:
        for i in range(60):
            wanted.add((channel.channel_number, f"c{channel.channel_number}-{i}"))
            channel.basic_consume(name, lambda *_: None,
                                  consumer_tag=f"c{channel.channel_number}-{i}")
    listed = consumers(api, name, len(wanted))
    assert {(c["channel_details"]["number"], c["consumer_tag"]) for c in listed} == wanted


def test_consumers_come_in_pages(api, connection, name):
    channel = connection.channel()
    for i in range(5):
        channel.queue_declare(f"{name}-{i}", auto_delete=True)
        channel.basic_consume(f"{name}-{i}", lambda *_: None, consumer_tag=f"tag-{i}")
    consumers(api, f"{name}-4", 1)
    page = api.json(f"/api/consumers/{VHOST}?page=2&page_size=2&name={name}&columns=queue.name")
    assert (page["filtered_count"], page["page_count"]) == (5, 3)
    assert page["items"] == [{"queue": {"name": f"{name}-{i}"}} for i in (2, 3)]


def test_where_others_come_from_is_not_told(api, other, connection, name):
    channel = connection.channel()
    channel.queue_declare(f"{name}-own", exclusive=True)
    channel.queue_declare(name, auto_delete=True)
    channel.basic_consume(name, lambda *_: None, consumer_tag="tagged")
    consumers(api, name, 1)
    [seen] = consumers(other, name, 1)
    assert seen["channel_details"] == {}
    [seen] = other.json(f"/api/queues/{VHOST}/{quote(name)}")["consumer_details"]
    assert seen["channel_details"] == {}
    exclusive = f"/api/queues/{VHOST}/{quote(name)}-own"
    assert "owner_pid_details" not in other.json(exclusive)
    assert "->" in wait_until(lambda: api.json(exclusive).get("owner_pid_details"),
                              "its owner is told")["name"]
    peer = str(connection._impl._transport._sock.getsockname()[1])  # pylint: disable=protected-access
    for path in ("/api/queues", f"/api/queues/{VHOST}", "/api/consumers", "/api/connections"):
        body = other.get(path).body.decode()
        assert f"127.0.0.1:{peer}" not in body and f'"peer_port":{peer}' not in body, path


def test_where_one_comes_from_oneself_is_told(api, other, name):
    connection = api.broker.connect(user="other", password="pw")
    channel = connection.channel()
    channel.queue_declare(name, auto_delete=True)
    channel.basic_consume(name, lambda *_: None, consumer_tag="own")
    [seen] = consumers(other, name, 1)
    assert seen["channel_details"]["user"] == "other"
    connection.close()


# ------------------------------------------------------------------------------------------ bindings


def test_bindings_come_in_pages_by_source_and_destination(api, connection, name):
    channel = connection.channel()
    for i in range(3):
        channel.queue_declare(f"{name}-q{i}", auto_delete=True, exclusive=True)
        channel.exchange_declare(f"{name}-x", auto_delete=True)
        channel.queue_bind(f"{name}-q{i}", f"{name}-x", f"key-{i}")
    page = api.json(f"/api/bindings/{VHOST}?page=1&page_size=2&name={name}&sort_reverse=true")
    assert page["filtered_count"] == 6  # with the implied ones
    assert [(b["source"], b["destination"], b["routing_key"]) for b in page["items"]] == [
        (f"{name}-x", f"{name}-q{i}", f"key-{i}") for i in (2, 1)]
