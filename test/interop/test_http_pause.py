"""Queues whose deliveries are paused, and resumed."""

import pytest
from broker import wait_until
from http_api import HttpApi, quote

VHOST = quote("/")


def path_of(queue):
    return f"/api/queues/{VHOST}/{quote(queue)}"


@pytest.fixture
def channel(api_channel):
    return api_channel


def consume(channel, queue):
    got = []
    channel.basic_consume(queue, lambda _c, _m, _p, body: got.append(body), auto_ack=True)
    return got


def next_of(channel, got):
    def arrived():
        channel.connection.process_data_events(0.1)
        return got

    wait_until(arrived, "a message arrives")
    return got.pop(0)


def settled(channel):
    """Whatever was to be delivered has been: the broker has answered what came later."""
    channel.queue_declare("", exclusive=True)
    channel.connection.process_data_events(0)


def test_consumers_get_nothing_until_it_is_resumed(api, channel, name):
    channel.queue_declare(name, durable=True)
    got = consume(channel, name)
    channel.basic_publish("", name, b"1")
    assert next_of(channel, got) == b"1"
    assert api.put(f"{path_of(name)}/pause").status == 204
    assert api.put(f"{path_of(name)}/pause").status == 204  # the same again
    assert api.json(path_of(name))["state"] == "paused"
    channel.basic_publish("", name, b"2")
    settled(channel)
    assert channel.basic_get(name) == (None, None, None)
    assert got == []
    shown = api.json(path_of(name))
    assert (shown["messages_ready"], shown["consumers"]) == (1, 1)
    problem = wait_until(lambda: [p for p in api.json("/api/landfall/problems")
                                  if p.get("name") == name], "it is said")
    assert [p["kind"] for p in problem] == ["paused"]
    assert api.put(f"{path_of(name)}/resume").status == 204
    assert next_of(channel, got) == b"2"
    assert api.json(path_of(name))["state"] == "running"


def test_it_stays_paused_over_a_restart(own_http_broker, name):
    api = HttpApi(own_http_broker)
    channel = own_http_broker.connect().channel()
    channel.confirm_delivery()
    channel.queue_declare(name, durable=True)
    channel.basic_publish("", name, b"1")
    assert api.put(f"{path_of(name)}/pause").status == 204
    own_http_broker.kill()
    own_http_broker.start()
    assert api.json(path_of(name))["state"] == "paused"
    channel = own_http_broker.connect().channel()
    got = consume(channel, name)
    settled(channel)
    assert got == []
    api.put(f"{path_of(name)}/resume")
    own_http_broker.kill()
    own_http_broker.start()
    channel = own_http_broker.connect().channel()
    assert api.json(path_of(name))["state"] == "running"


def test_it_takes_the_right_to_configure_the_queue(api, channel, name):
    channel.queue_declare(name, durable=True)
    channel.queue_declare(f"{name}-own", exclusive=True)
    api.put("/api/users/pauser", {"password": "pw", "tags": "management"})
    api.put(f"/api/permissions/{VHOST}/pauser", {"configure": "", "write": ".*", "read": ".*"})
    who = api.as_user("pauser", "pw")
    for queue in (name, "absent"):
        answer = who.put(f"{path_of(queue)}/pause")
        assert answer.status == 401 and "configure access" in answer.json["reason"], answer
    assert api.json(path_of(name))["state"] == "running"
    assert api.put(f"{path_of('absent')}/pause").status == 404
    # Its connection's alone, as with everything else.
    answer = api.put(f"{path_of(f'{name}-own')}/pause")
    assert answer.status == 400 and "RESOURCE_LOCKED" in answer.json["reason"], answer
    api.delete("/api/users/pauser")
