"""Limits of vhosts and users over the HTTP API, and RabbitMQ's parameters as far as they are here."""

import pika
import pytest
from broker import wait_until
from http_api import quote

VHOST = quote("/")


@pytest.fixture
def user(api, vhost):
    assert api.put("/api/users/limited", {"password": "pw", "tags": "policymaker"}).status == 201
    api.put(f"/api/permissions/{quote(vhost)}/limited",
            {"configure": ".*", "write": ".*", "read": ".*"})
    yield "limited"
    api.delete("/api/users/limited")


def test_a_vhost_takes_so_many_connections(api, vhost):
    path = f"/api/vhost-limits/{quote(vhost)}"
    assert api.json(path) == []
    assert api.put(f"{path}/max-connections", {"value": 1}).status == 204
    assert api.json(path) == [{"vhost": vhost, "value": {"max-connections": 1}}]
    assert api.json(path)[0] in api.json("/api/vhost-limits")
    connection = api.broker.connect(vhost=vhost)
    with pytest.raises(pika.exceptions.AMQPConnectionError):
        api.broker.connect(vhost=vhost)
    assert api.put(f"{path}/max-connections", {"value": -1}).status == 204
    assert api.json(path) == []
    api.broker.connect(vhost=vhost).close()
    connection.close()
    api.put(f"{path}/max-connections", {"value": 0})
    assert api.delete(f"{path}/max-connections").status == 204
    assert api.json(path) == []


def test_a_vhost_takes_so_many_queues(api, vhost):
    path = f"/api/vhost-limits/{quote(vhost)}"
    connection = api.broker.connect(vhost=vhost)
    connection.channel().queue_declare("first", durable=True)
    assert api.put(f"{path}/max-queues", {"value": 1}).status == 204
    assert api.put(f"{path}/max-connections", {"value": 5}).status == 204
    assert api.json(path) == [{"vhost": vhost, "value": {"max-connections": 5, "max-queues": 1}}]
    connection.channel().queue_declare("first", durable=True)  # is there
    message = f"cannot declare queue 'second': queue limit in vhost '{vhost}' (1) is reached"
    with pytest.raises(pika.exceptions.ChannelClosedByBroker) as refused:
        connection.channel().queue_declare("second")
    assert refused.value.reply_code == 406 and message in refused.value.reply_text
    answer = api.put(f"/api/queues/{quote(vhost)}/second")
    assert answer.status == 400 and message in answer.json["reason"]
    queue = {"name": "second", "durable": True, "auto_delete": False, "arguments": {}}
    answer = api.post(f"/api/definitions/{quote(vhost)}", {"queues": [queue]})
    assert answer.status == 400 and message in answer.json["reason"]
    assert api.delete(f"{path}/max-queues").status == 204
    assert api.json(path) == [{"vhost": vhost, "value": {"max-connections": 5}}]
    connection.channel().queue_declare("second")
    connection.close()


def test_a_user_has_so_many_connections_and_channels(api, vhost, user):
    path = "/api/user-limits/limited"
    assert api.json(path) == []
    assert api.put(f"{path}/max-connections", {"value": 1}).status == 204
    assert api.put(f"{path}/max-channels", {"value": 2}).status == 204
    assert api.json(path) == [
        {"user": "limited", "value": {"max-connections": 1, "max-channels": 2}}]
    assert api.json(path)[0] in api.json("/api/user-limits")
    connection = api.broker.connect(user=user, password="pw", vhost=vhost)
    with pytest.raises(pika.exceptions.AMQPConnectionError):
        api.broker.connect(user=user, password="pw", vhost=vhost)
    connection.close()
    assert api.delete(f"{path}/max-connections").status == 204
    assert api.json(path) == [{"user": "limited", "value": {"max-channels": 2}}]
    # The password and the rest have stayed.
    wait_until(lambda: api.as_user(user, "pw").get("/api/whoami").status == 200, "they log in")


def test_a_limit_that_cannot_be_is_refused(api, vhost, user):
    for path, body, status in [
            (f"/api/vhost-limits/{quote(vhost)}/max-topics", {"value": 1}, 400),
            (f"/api/vhost-limits/{quote(vhost)}/max-connections", {"value": "1"}, 400),
            (f"/api/vhost-limits/{quote(vhost)}/max-connections", {}, 400),
            (f"/api/vhost-limits/{quote(vhost)}/max-connections", {"value": 2**32}, 400),
            ("/api/vhost-limits/absent/max-connections", {"value": 1}, 404),
            ("/api/user-limits/limited/max-queues", {"value": 1}, 400),
            ("/api/user-limits/absent/max-channels", {"value": 1}, 404)]:
        answer = api.put(path, body)
        assert answer.status == status, (path, body, answer)
    assert api.get("/api/user-limits/absent").status == 404


def test_a_limit_goes_with_its_vhost(api, vhost):
    path = f"/api/vhost-limits/{quote(vhost)}/max-connections"
    assert api.put(path, {"value": 0}).status == 204
    assert api.delete(f"/api/vhosts/{quote(vhost)}").status == 204
    assert api.put(f"/api/vhosts/{quote(vhost)}").status == 201
    assert api.json(f"/api/vhost-limits/{quote(vhost)}") == []
    api.broker.connect(vhost=vhost).close()


def test_parameters_are_operator_policies_and_limits(api, vhost, user):
    api.put(f"/api/operator-policies/{quote(vhost)}/short",
            {"pattern": "^q", "definition": {"max-length": 10}})
    api.put(f"/api/vhost-limits/{quote(vhost)}/max-connections", {"value": 9})
    theirs = api.as_user(user, "pw")
    [policy, limits] = theirs.json("/api/parameters")
    assert (policy["component"], policy["name"], policy["vhost"]) == (
        "operator_policy", "short", vhost)
    assert policy["value"]["definition"] == {"max-length": 10}
    assert limits == {"vhost": vhost, "component": "vhost-limits", "name": "limits",
                      "value": {"max-connections": 9}}
    assert theirs.json("/api/parameters/vhost-limits") == [limits]
    assert theirs.json(f"/api/parameters/vhost-limits/{quote(vhost)}") == [limits]
    path = f"/api/parameters/vhost-limits/{quote(vhost)}/limits"
    assert theirs.json(path) == limits
    assert theirs.get(f"{path}x").status == 404
    assert theirs.json("/api/parameters/shovel") == []
    # Nobody gets at limits this way, which are for administrators.
    assert theirs.put(path, {"value": {"max-connections": 100}}).status == 400
    assert theirs.delete(path).status == 400
    assert theirs.get(f"/api/parameters/vhost-limits/{VHOST}").status == 401
    assert theirs.put(f"/api/vhost-limits/{quote(vhost)}/max-connections", {"value": 1}).status == 401


def test_what_is_said_of_all_of_it(api):
    assert api.json("/api/cluster-name") == {"name": "landfall"}
    assert api.json("/api/global-parameters") == [{"name": "cluster_name", "value": "landfall"}]
    assert api.json("/api/global-parameters/cluster_name")["value"] == "landfall"
    assert api.get("/api/global-parameters/other").status == 404
    assert api.put("/api/global-parameters/mqtt_port_to_vhost_mapping", {"value": {}}).status == 400
    assert api.json("/api/extensions") == []
