"""The HTTP API: what it answers about each kind of thing."""

import base64
import shutil
import subprocess

import pika
import pytest
from broker import wait_until
from http_api import quote

VHOST = quote("/")


@pytest.fixture
def queue(api, name):
    path = f"/api/queues/{VHOST}/{quote(name)}"
    assert api.put(path).status == 201
    yield path
    api.delete(path)


# ------------------------------------------------------------------------------------------- overview


def test_the_overview_counts_and_says_what_this_is(api, queue):
    # Its sums may be from shortly before the queue was there.
    overview = wait_until(
        lambda: (o := api.json("/api/overview"))["object_totals"]["queues"] >= 1 and o,
        "the queue is counted")
    assert overview["product_name"] == "Landfall"
    assert {"connections", "channels", "exchanges", "queues", "consumers"} == set(
        overview["object_totals"])
    assert {"messages", "messages_ready", "messages_unacknowledged"} <= set(
        overview["queue_totals"])
    assert {"amqp", "http"} <= {listener["protocol"] for listener in overview["listeners"]}
    [node] = api.json("/api/nodes")
    assert node["running"] and node["name"] == overview["node"]
    assert node["mem_used"] > 0 and node["disk_free"] > 0
    assert api.json(f"/api/nodes/{quote(node['name'])}")["name"] == node["name"]
    assert api.get("/api/nodes/rabbit@elsewhere").status == 404


def test_vhosts_are_listed_and_made(api, vhost):
    assert vhost in [v["name"] for v in api.json("/api/vhosts")]
    assert api.json(f"/api/vhosts/{quote(vhost)}")["name"] == vhost
    assert api.put(f"/api/vhosts/{quote(vhost)}").status == 204
    assert api.get("/api/vhosts/none").status == 404


def test_who_makes_a_vhost_may_use_it(api, name):
    api.put("/api/users/maker", {"password": "pw", "tags": "administrator"})
    maker = api.as_user("maker", "pw")
    assert maker.put(f"/api/vhosts/{quote(name)}").status == 201
    assert maker.put(f"/api/queues/{quote(name)}/theirs").status == 201
    api.delete("/api/users/maker")


# --------------------------------------------------------------------------------------------- queues


def test_a_queue_is_declared_read_and_deleted(api, name):
    path = f"/api/queues/{VHOST}/{quote(name)}"
    assert api.get(path).status == 404
    arguments = {"x-max-length": 10, "x-dead-letter-exchange": ""}
    assert api.put(path, {"durable": True, "arguments": arguments}).status == 201
    assert api.put(path, {"durable": True, "arguments": arguments}).status == 204
    # As something else than it is.
    answer = api.put(path, {"durable": True, "arguments": arguments | {"x-max-length": 11}})
    assert answer.status == 400 and "x-max-length" in answer.json["reason"], answer
    form = api.json(path)
    assert form["name"] == name and form["vhost"] == "/" and form["durable"]
    assert form["arguments"] == arguments
    assert form["messages"] == form["messages_ready"] == form["messages_unacknowledged"] == 0
    assert form["consumers"] == 0 and form["consumer_details"] == [] and form["state"] == "running"
    assert api.delete(path).status == 204
    assert api.delete(path).status == 404


@pytest.mark.parametrize("body,what", [
    ({"durable": "yes"}, "durable"), ({"arguments": {"x-max-length": "ten"}}, "x-max-length"),
    ({"arguments": 5}, "arguments"), ([1], "object"), (b"{", "JSON"),
    ({"arguments": {"n" * 300: 1}}, "255")])
def test_a_declaration_that_makes_no_sense_is_refused(api, name, body, what):
    answer = api.put(f"/api/queues/{VHOST}/{quote(name)}", body)
    assert answer.status == 400
    assert what in answer.json["reason"]


def test_names_may_hold_anything(api):
    for name in ("a/b c", "ümläut", "100%", "<script>alert(1)</script>", "..", "q?x=1&y#z", "a+b"):
        path = f"/api/queues/{VHOST}/{quote(name)}"
        assert api.put(path).status == 201, name
        assert api.json(path)["name"] == name
        assert api.publish(name).json == {"routed": True}
        assert [m["routing_key"] for m in api.get_messages(path)] == [name]
        assert api.delete(path).status == 204
    assert api.put(f"/api/queues/{VHOST}/{'n' * 256}").status == 404
    assert api.put(f"/api/queues/{VHOST}/{'n' * 255}").status == 201
    assert api.delete(f"/api/queues/{VHOST}/{'n' * 255}").status == 204


def test_one_reads_what_one_has_written(api, queue, name):
    for count in range(1, 20):
        assert api.publish(name).json == {"routed": True}
        assert api.json(queue)["messages_ready"] == count


def test_a_delete_with_a_condition(api, queue, name):
    api.publish(name)
    answer = api.delete(f"{queue}?if-empty=true")
    assert answer.status == 400 and "not empty" in answer.json["reason"]
    assert api.delete(f"{queue}/contents").status == 204
    connection = api.broker.connect()
    connection.channel().basic_consume(name, lambda *_: None)
    answer = api.delete(f"{queue}?if-unused=true")
    assert answer.status == 400 and "in use" in answer.json["reason"]
    connection.close()
    assert api.delete(f"{queue}?if-empty=true&if-unused=true").status == 204


def test_lists_come_in_pages_sorted_filtered_and_with_columns(api, vhost):
    base = f"/api/queues/{quote(vhost)}"
    api.put(f"/api/permissions/{quote(vhost)}/guest",
            {"configure": ".*", "write": ".*", "read": ".*"})
    for i in range(12):
        assert api.put(f"{base}/q{i:02}").status == 201
    assert [q["name"] for q in api.json(base)] == [f"q{i:02}" for i in range(12)]
    page = api.json(f"{base}?page=2&page_size=5&columns=name,message_stats.publish")
    assert {key: page[key] for key in page if key != "items"} == {
        "total_count": 12, "item_count": 5, "filtered_count": 12, "page": 2, "page_size": 5,
        "page_count": 3}
    assert page["items"][0] == {"name": "q05", "message_stats": {"publish": 0}}
    page = api.json(f"{base}?page=1&name=Q1")
    assert [q["name"] for q in page["items"]] == ["q10", "q11"] and page["total_count"] == 12
    page = api.json(f"{base}?page=1&use_regex=true&name={quote('q0[13]')}")
    assert [q["name"] for q in page["items"]] == ["q01", "q03"]
    body = {"properties": {}, "routing_key": "q07", "payload": "x", "payload_encoding": "string"}
    assert api.post(f"/api/exchanges/{quote(vhost)}/amq.default/publish", body).json["routed"]
    busiest = f"{base}?page=1&page_size=1&sort=messages&sort_reverse=true"
    wait_until(lambda: api.json(busiest)["items"][0]["name"] == "q07", "the statistics are new")
    assert [q["name"] for q in api.json(f"{base}?sort=name&sort_reverse=true")][0] == "q11"
    for wrong in ("page=0", "page=x", "page=1&page_size=501", "page=1&page_size=0", "page=4&page_size=5",
                  "page=99999999999999999999", "page=1&use_regex=true&name=%28"):
        answer = api.get(f"{base}?{wrong}")
        assert answer.status == 400, (wrong, answer)


def test_every_queue_is_in_the_list_at_once(api, queue, name):
    assert name in [q["name"] for q in api.json("/api/queues?columns=name")]


def test_consumers_are_listed(api, queue, name):
    connection = api.broker.connect()
    channel = connection.channel()
    channel.basic_qos(prefetch_count=7)
    channel.basic_consume(name, lambda *_: None, consumer_tag="tagged", exclusive=True)
    [consumer] = wait_until(lambda: [
        c for c in api.json(f"/api/consumers/{VHOST}")
        if c["queue"]["name"] == name and c["consumer_tag"]], "the consumer is listed")
    assert consumer["consumer_tag"] == "tagged" and consumer["prefetch_count"] == 7
    assert consumer["ack_required"] and consumer["exclusive"] and consumer["active"]
    assert consumer["channel_details"]["number"] == channel.channel_number
    assert api.json(queue)["consumers"] == 1
    [detail] = api.json(queue)["consumer_details"]
    assert detail["prefetch_count"] == 7
    connection.close()


# ------------------------------------------------------------------------------------------- messages


def test_messages_are_published_and_got(api, queue, name):
    properties = {"delivery_mode": 2, "message_id": "m1", "headers": {"n": 5, "t": [1, "x"]},
                  "content_type": "text/plain", "priority": 3, "timestamp": 12345}
    assert api.publish(name, "grüße", properties=properties).json == {"routed": True}
    [message] = api.get_messages(queue, ackmode="ack_requeue_true")
    assert message["payload"] == "grüße" and message["payload_encoding"] == "string"
    assert message["payload_bytes"] == len("grüße".encode())
    assert message["properties"] == properties
    assert message["routing_key"] == name and message["exchange"] == ""
    assert message["message_count"] == 0 and not message["redelivered"]
    [message] = api.get_messages(queue, truncate=2)
    assert message["payload"] == "gr" and message["payload_bytes"] == len("grüße".encode())
    assert api.get_messages(queue) == []


def test_bytes_that_are_no_text_go_as_base64(api, queue, name):
    payload = bytes(range(256))
    assert api.publish(name, base64.b64encode(payload).decode(), payload_encoding="base64").json[
        "routed"]
    [message] = api.get_messages(queue)
    assert message["payload_encoding"] == "base64"
    assert base64.b64decode(message["payload"]) == payload
    api.publish(name, "text")
    [message] = api.get_messages(queue, encoding="base64")
    assert base64.b64decode(message["payload"]) == b"text"


def test_a_message_that_goes_nowhere_is_not_routed(api):
    assert api.publish("no-such-queue").json == {"routed": False}


def test_looking_at_messages_is_no_failed_delivery(api, name):
    """A limit of one delivery, and a person who looks three times."""
    path = f"/api/queues/{VHOST}/{quote(name)}"
    api.put(path, {"arguments": {"x-delivery-limit": 1}})
    api.publish(name)
    for _ in range(3):
        assert api.json(path)["messages_ready"] == 1
        assert len(api.get_messages(path, ackmode="ack_requeue_true")) == 1
    api.delete(path)


def test_rejected_messages_are_dead_lettered(api, queue, name):
    dead = f"{name}-dead"
    path = f"/api/queues/{VHOST}/{quote(dead)}"
    api.put(path, {"arguments": {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": name}})
    api.publish(dead)
    assert len(api.get_messages(path, ackmode="reject_requeue_false")) == 1
    wait_until(lambda: api.json(queue)["messages_ready"] == 1, "it has arrived")
    [message] = api.get_messages(queue)
    assert message["properties"]["headers"]["x-death"][0]["reason"] == "rejected"
    api.delete(path)


def test_many_messages_are_got_in_order(api, queue, name):
    with_pika = api.broker.connect()
    channel = with_pika.channel()
    for i in range(300):
        channel.basic_publish("", name, str(i))
    with_pika.close()
    wait_until(lambda: api.json(queue)["messages_ready"] == 300, "all have landed")
    got = api.get_messages(queue, count=250)
    assert [m["payload"] for m in got] == [str(i) for i in range(250)]
    assert got[-1]["message_count"] == 50


def test_large_messages_pass(api, queue, name):
    payload = "x" * 3_000_000
    assert api.publish(name, payload).json["routed"]
    [message] = api.get_messages(queue)
    assert message["payload"] == payload


@pytest.mark.parametrize("change,what", [
    ({"routing_key": None}, "routing_key"), ({"routing_key": "k" * 256}, "255"),
    ({"payload": 5}, "payload"), ({"payload_encoding": "rot13"}, "payload_encoding"),
    ({"payload_encoding": "base64", "payload": "%%%"}, "base64"),
    ({"properties": 5}, "properties"), ({"properties": {"delivery_mode": "x"}}, "delivery_mode"),
    ({"properties": {"type": "t" * 256}}, "type"), ({"properties": {"headers": 1}}, "headers"),
    ({"properties": {"headers": {"h" * 256: 1}}}, "255")])
def test_a_publish_that_makes_no_sense_is_refused(api, change, what):
    body = {"properties": {}, "routing_key": "q", "payload": "x", "payload_encoding": "string"}
    answer = api.post(f"/api/exchanges/{VHOST}/amq.default/publish", body | change)
    assert answer.status == 400
    assert what in answer.json["reason"]


def test_a_publish_or_get_of_what_is_not_there(api):
    assert api.publish("q", exchange="none").status == 404
    answer = api.post(f"/api/queues/{VHOST}/none/get",
                      {"count": 1, "ackmode": "ack_requeue_true", "encoding": "auto"})
    assert answer.status == 404
    answer = api.post(f"/api/queues/{VHOST}/none/get", {"count": 1})
    assert answer.status == 400 and "ackmode" in answer.json["reason"]
    answer = api.post(f"/api/queues/{VHOST}/none/get",
                      {"count": 10**9, "ackmode": "ack_requeue_true", "encoding": "auto"})
    assert answer.status == 400


# ------------------------------------------------------------------------------ exchanges and bindings


def test_an_exchange_is_declared_read_and_deleted(api, name):
    path = f"/api/exchanges/{VHOST}/{quote(name)}"
    assert api.put(path, {"type": "topic", "durable": True}).status == 201
    assert api.put(path, {"type": "topic", "durable": True}).status == 204
    assert api.put(path, {"type": "fanout", "durable": True}).status == 400
    assert api.put(f"{path}-2", {"type": "nonsense"}).status == 400
    form = api.json(path)
    assert form["type"] == "topic" and form["durable"] and not form["internal"]
    assert name in [e["name"] for e in api.json(f"/api/exchanges/{VHOST}")]
    assert "" in [e["name"] for e in api.json(f"/api/exchanges/{VHOST}")]
    assert api.json(f"/api/exchanges/{VHOST}/amq.default")["name"] == ""
    assert api.delete(path).status == 204
    assert api.delete(path).status == 404
    assert api.delete(f"/api/exchanges/{VHOST}/amq.direct").status == 401


def test_bindings_are_made_found_and_taken_away(api, queue, name):
    base = f"/api/bindings/{VHOST}/e/amq.topic/q/{quote(name)}"
    answer = api.post(base, {"routing_key": "a.*/b c", "arguments": {}})
    assert answer.status == 201
    assert answer.headers["Location"].startswith(quote(name) + "/")
    assert api.post(base, {"routing_key": "", "arguments": {"x": 1}}).status == 201
    plain, with_arguments = sorted(api.json(base), key=lambda b: len(b["arguments"]))
    assert plain["routing_key"] == "a.*/b c" and plain["destination_type"] == "queue"
    assert plain["source"] == "amq.topic" and plain["destination"] == name
    assert with_arguments["arguments"] == {"x": 1}
    of_queue = api.json(f"{queue}/bindings")
    assert [b["source"] for b in of_queue].count("") == 1  # the default exchange's
    assert len(of_queue) == 3
    for path in (f"/api/bindings/{VHOST}", "/api/bindings",
                 f"/api/exchanges/{VHOST}/amq.topic/bindings/source"):
        assert plain in api.json(path)
    for binding in (plain, with_arguments):
        one = f"{base}/{quote(binding['properties_key'])}"
        assert api.json(one) == binding
        assert api.delete(one).status == 204
        assert api.delete(one).status == 404
    assert len(api.json(f"{queue}/bindings")) == 1
    assert api.get(f"/api/queues/{VHOST}/none/bindings").status == 404
    assert api.post(f"/api/bindings/{VHOST}/e/none/q/{quote(name)}").status == 404


def test_exchanges_are_bound_to_exchanges(api, name):
    path = f"/api/exchanges/{VHOST}/{quote(name)}"
    api.put(path, {"type": "fanout"})
    base = f"/api/bindings/{VHOST}/e/amq.direct/e/{quote(name)}"
    assert api.post(base, {"routing_key": "k"}).status == 201
    [binding] = api.json(base)
    assert binding["destination_type"] == "exchange"
    assert api.json(f"{path}/bindings/destination") == [binding]
    assert api.delete(f"{base}/{quote(binding['properties_key'])}").status == 204
    assert api.json(base) == []
    api.delete(path)


# ------------------------------------------------------------------------------ connections, channels


def test_connections_and_channels_are_listed_and_closed(api):
    properties = {"connection_name": "the shop"}
    connection = api.broker.connect(client_properties=properties)
    channel = connection.channel()
    channel.confirm_delivery()
    channel.basic_qos(prefetch_count=3)

    def ours():
        return [c for c in api.json("/api/connections") if c.get("user_provided_name") == "the shop"]

    [form] = wait_until(ours, "the connection is listed")
    assert form["user"] == "guest" and form["vhost"] == "/" and form["state"] == "running"
    assert form["protocol"] == "AMQP 0-9-1" and form["auth_mechanism"] == "PLAIN"
    assert form["port"] == api.broker.port and form["peer_host"] == "127.0.0.1"
    assert form["channels"] == 1 and form["recv_oct"] > 0 and form["send_oct"] > 0
    assert form["client_properties"]["product"] == "Pika Python Client Library"
    one = f"/api/connections/{quote(form['name'])}"
    [listed] = api.json(f"{one}/channels")
    assert listed["confirm"] and listed["prefetch_count"] == 3
    assert listed["name"] in [c["name"] for c in api.json("/api/channels")]
    assert api.json(f"/api/channels/{quote(listed['name'])}")["number"] == 1
    assert api.json(one)["name"] == form["name"]
    assert api.delete(one).status == 204
    with pytest.raises(pika.exceptions.ConnectionClosedByBroker) as closed:
        for _ in range(100):
            connection.process_data_events(0.1)
    assert closed.value.reply_code == 320
    assert "Closed via management plugin" in closed.value.reply_text
    wait_until(lambda: api.get(one).status == 404, "it is gone")
    assert api.delete(one).status == 404


def test_users_see_and_close_their_own_connections_only(api):
    api.put("/api/users/other", {"password": "pw", "tags": "management"})
    api.put(f"/api/permissions/{VHOST}/other", {"configure": "", "write": "", "read": ""})
    guests = api.broker.connect()
    other = api.as_user("other", "pw")
    [form] = wait_until(lambda: api.json("/api/connections"), "it is listed")
    assert other.json("/api/connections") == []
    assert other.json("/api/channels") == []
    assert other.delete(f"/api/connections/{quote(form['name'])}").status == 401
    guests.close()
    api.delete("/api/users/other")


# --------------------------------------------------------------------------- users, policies, definitions


def test_users_and_permissions(api):
    assert api.put("/api/users/ada", {"password": "first", "tags": "management"}).status == 201
    assert api.as_user("ada", "first").json("/api/whoami")["tags"] == ["management"]
    assert api.put("/api/users/ada", {"password": "second", "tags": ""}).status == 204
    assert api.as_user("ada", "first").get("/api/whoami").status == 401
    form = api.json("/api/users/ada")
    assert form["name"] == "ada" and form["tags"] == []
    hashed = api.json("/api/auth/hash_password/third")["ok"]
    assert api.put("/api/users/ada", {"password_hash": hashed, "tags": "management"}).status == 204
    assert api.as_user("ada", "third").json("/api/whoami")["name"] == "ada"
    permission = f"/api/permissions/{VHOST}/ada"
    assert api.get(permission).status == 404
    patterns = {"configure": "^a", "write": "^b", "read": "^c"}
    assert api.put(permission, patterns).status == 201
    assert api.json(permission) == {"user": "ada", "vhost": "/"} | patterns
    assert api.json(permission) in api.json("/api/permissions")
    assert api.json("/api/users/ada/permissions") == [api.json(permission)]
    assert api.put(permission, {"configure": "(", "write": "", "read": ""}).status == 400
    assert api.put("/api/permissions/none/ada", patterns).status == 400
    assert api.put(f"/api/permissions/{VHOST}/nobody", patterns).status == 400
    topic = f"/api/topic-permissions/{VHOST}/ada"
    assert api.put(topic, {"exchange": "amq.topic", "write": "^w", "read": "^r"}).status == 201
    assert api.json(topic) == [{"user": "ada", "vhost": "/", "exchange": "amq.topic", "write": "^w",
                                "read": "^r"}]
    assert api.delete(topic).status == 204
    assert api.delete(permission).status == 204
    assert api.delete("/api/users/ada").status == 204
    assert api.delete("/api/users/ada").status == 404
    assert api.put("/api/users/ada", {"password": "x"}).status == 400  # no tags


def test_policies_hold_for_queues(api, queue, name):
    policy = f"/api/policies/{VHOST}/{quote(name)}"
    body = {"pattern": f"^{name}$", "definition": {"max-length": 1}, "priority": 5,
            "apply-to": "queues"}
    assert api.put(policy, body).status == 201
    assert api.put(policy, body).status == 204
    assert api.json(policy) == body | {"vhost": "/", "name": name}
    assert api.json(policy) in api.json("/api/policies")
    form = api.json(queue)
    assert form["policy"] == name
    assert form["effective_policy_definition"] == {"max-length": 1}
    api.publish(name)
    api.publish(name)
    wait_until(lambda: api.json(queue)["messages_ready"] == 1, "the policy holds")
    operator = f"/api/operator-policies/{VHOST}/{quote(name)}"
    assert api.put(operator, {"pattern": f"^{name}$", "definition": {"expires": 100000}}).status == 201
    assert api.json(queue)["operator_policy"] == name
    for path in (policy, operator):
        assert api.delete(path).status == 204
        assert api.delete(path).status == 404
    for wrong in ({"pattern": "("}, {"definition": {"no-such-key": 1}}, {"apply-to": "x"},
                  {"definition": 5}):
        assert api.put(policy, body | wrong).status == 400, wrong


def test_definitions_go_out_and_in(api, name):
    queue = {"name": name, "vhost": "/", "durable": True, "auto_delete": False, "arguments": {}}
    exchange = {"name": name, "vhost": "/", "type": "topic", "durable": True, "auto_delete": False,
                "internal": False, "arguments": {}}
    binding = {"source": name, "vhost": "/", "destination": name, "destination_type": "queue",
               "routing_key": "#", "arguments": {}}
    definitions = {"queues": [queue], "exchanges": [exchange], "bindings": [binding]}
    assert api.post("/api/definitions", definitions).status == 204
    out = api.json("/api/definitions")
    for section, [entry] in definitions.items():
        assert entry in out[section]
    assert "guest" in [u["name"] for u in out["users"]]
    assert api.post("/api/definitions", out).status == 204
    of_vhost = api.json(f"/api/definitions/{VHOST}")
    assert {key: value for key, value in queue.items() if key != "vhost"} in of_vhost["queues"]
    assert api.post(f"/api/definitions/{VHOST}", of_vhost).status == 204
    for wrong in (b"no json", {"queues": 5}, {"queues": [queue | {"vhost": "none"}]},
                  {"queues": [queue | {"name": "n" * 256}]},
                  {"permissions": [{"user": "nobody", "vhost": "/", "configure": "", "write": "",
                                    "read": ""}]}, b"[" * 100_000):
        answer = api.post("/api/definitions", wrong)
        assert answer.status == 400, (wrong, answer)
    api.delete(f"/api/queues/{VHOST}/{quote(name)}")
    api.delete(f"/api/exchanges/{VHOST}/{quote(name)}")


# ----------------------------------------------------------------------- health, the ledger, the metrics


def test_health_checks(api):
    for check in ("alarms", "local-alarms", "virtual-hosts", "node-is-mirror-sync-critical",
                  "node-is-quorum-critical", f"port-listener/{api.broker.port}",
                  "protocol-listener/amqp"):
        assert api.json(f"/api/health/checks/{check}")["status"] == "ok"
    answer = api.get("/api/health/checks/port-listener/1")
    assert answer.status == 503 and answer.json["status"] == "failed"
    assert api.json(f"/api/aliveness-test/{VHOST}") == {"status": "ok"}
    assert api.json(f"/api/aliveness-test/{VHOST}") == {"status": "ok"}
    api.delete(f"/api/queues/{VHOST}/aliveness-test")


def test_the_ledger_tells_where_messages_went(api, queue, name):
    path = f"/api/landfall/ledger/queues/{VHOST}/{quote(name)}"
    for _ in range(5):
        api.publish(name)
    api.get_messages(queue, count=2)
    ledger = api.json(path)
    assert ledger["accepted"] == 5 and ledger["left"]["acked"] == 2 and ledger["held"] == 3
    assert ledger["balances"] and ledger["imbalance"] == 0
    api.delete(f"{queue}/contents")
    ledger = api.json(path)
    assert ledger["left"]["purged"] == 3 and ledger["held"] == 0 and ledger["balances"]
    total = wait_until(lambda: (found := api.json("/api/landfall/ledger"))["accepted"] >= 5 and found,
                       "the statistics are new")
    assert total["balances"] and total["queues_unbalanced"] == 0
    assert name in [entry["name"] for entry in api.json("/api/landfall/ledger/queues")]


def samples(text):
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            key, value = line.rsplit(" ", 1)
            found[key] = float(value)
    return found


def test_metrics_tell_the_numbers_of_queues(api, queue, name):
    for _ in range(4):
        api.publish(name)
    api.get_messages(queue, count=1)
    label = f'vhost="/",queue="{name}"'

    def per_object():
        return samples(api.get("/metrics/per-object").body.decode())

    wait_until(lambda: per_object().get(f"rabbitmq_queue_messages_ready{{{label}}}") == 3,
               "the statistics are new")
    found = per_object()
    assert found[f"landfall_queue_accepted_total{{{label}}}"] == 4
    assert found[f'landfall_queue_left_total{{{label},reason="acked"}}'] == 1
    answer = api.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    total = samples(answer.body.decode())
    assert total["rabbitmq_queue_messages_ready"] >= 3
    assert total["landfall_ledger_unbalanced_queues"] == 0
    assert total['landfall_ledger_left_total{reason="acked"}'] >= 1
    assert total["rabbitmq_queues"] >= 1


def test_promtool_accepts_the_metrics(api):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not there: script/setup interop installs it, with prometheus")
    # Names that a label has to escape.
    odd = 'q"uo\\te\nd'
    assert api.put(f"/api/queues/{VHOST}/{quote(odd)}").status == 201
    for path in ("/metrics", "/metrics/per-object"):
        done = subprocess.run([promtool, "check", "metrics"], input=api.get(path).body,
                              capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr.decode()
