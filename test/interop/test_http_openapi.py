"""docs/openapi.yaml against the broker: the same routes, for the same users, with these answers."""

import re

import jsonschema
import pika
import pytest
import yaml
from broker import ROOT, wait_until
from http_api import HttpApi, quote

VHOST = quote("/")
MAY_BE_EMPTY = {"/api/exchanges/{vhost}/{exchange}/bindings/destination", "/api/landfall/problems",
                "/api/extensions"}
TEXT = {"/metrics", "/metrics/per-object"}
# Answered with a stream, or to a cookie only: in test_http_events.py and test_http_session.py.
NOT_ASKED = {"/api/landfall/events", "/api/landfall/session"}


def closed_schema(value):
    """The same, in which an object has the fields that are written down and no others."""
    if isinstance(value, list):
        return [closed_schema(each) for each in value]
    if not isinstance(value, dict):
        return value
    closed = {name: closed_schema(each) for name, each in value.items()}
    if value.get("type") == "object" and "properties" in value:
        closed.setdefault("additionalProperties", False)
    return closed


@pytest.fixture(scope="module")
def spec():
    with open(ROOT / "docs" / "openapi.yaml", encoding="utf-8") as file:
        return closed_schema(yaml.safe_load(file))


@pytest.fixture(scope="module")
def api(http_broker):
    """With something of every kind, so that no list is empty."""
    api = HttpApi(http_broker)
    api.put("/api/users/clerk", {"password": "pw", "tags": "management"})
    api.put(f"/api/permissions/{VHOST}/clerk", {"configure": "^a", "write": ".*", "read": ".*"})
    api.put(f"/api/topic-permissions/{VHOST}/clerk",
            {"exchange": "amq.topic", "write": ".*", "read": ".*"})
    for kind in ("policies", "operator-policies"):
        api.put(f"/api/{kind}/{VHOST}/short",
                {"pattern": "^orders$", "definition": {"max-length": 1000}})
    api.put("/api/user-limits/clerk/max-channels", {"value": 9})
    api.put(f"/api/vhost-limits/{VHOST}/max-connections", {"value": 9})
    connection = http_broker.connect()
    channel = connection.channel()
    channel.confirm_delivery()
    channel.queue_declare("dead", durable=True)
    channel.queue_declare("own", exclusive=True)
    channel.queue_declare("orders", durable=True, arguments={
        "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead", "x-trace": True,
        "x-delayed-retry-type": "all", "x-delayed-retry-min": 60000})
    channel.exchange_declare("shop", "topic", durable=True)
    channel.exchange_declare("audit", "fanout", durable=True)
    channel.queue_bind("orders", "shop", "order.#", arguments={"n": 1})
    channel.exchange_bind("audit", "shop", "#")
    channel.queue_bind("dead", "audit", "")
    for n in range(8):
        channel.basic_publish("shop", "order.new", f"body {n}", pika.BasicProperties(
            delivery_mode=2, message_id=f"m-{n}", correlation_id="c", headers={
                "a": 1, "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}))
    channel.basic_publish("", "orders", b"\xff", pika.BasicProperties(delivery_mode=2))
    for settle in ("reject", "ack", "nack", "reject"):
        method, _, _ = channel.basic_get("orders")
        if settle == "ack":
            channel.basic_ack(method.delivery_tag)
        else:
            channel.basic_nack(method.delivery_tag, requeue=settle == "nack")
    consuming = connection.channel()
    consuming.basic_qos(prefetch_count=2)
    consuming.basic_consume("orders", lambda *_: None, consumer_tag="consumer")
    wait_until(lambda: api.json("/api/connections") and len(api.json("/api/channels")) == 2,
               "the connection is listed")
    yield api
    connection.close()


@pytest.fixture(scope="module")
def names(api):
    """What stands in place of {…}."""
    job = api.post(f"/api/landfall/queues/{VHOST}/dead/move", {"to": "origin", "limit": 1})
    connection = api.json("/api/connections")[0]["name"]
    bindings = [api.json(f"/api/bindings/{VHOST}/e/shop/{end}")[0]["properties_key"]
                for end in ("q/orders", "e/audit")]
    return {"vhost": "/", "queue": "orders", "exchange": "shop", "source": "shop",
            "destination": "audit", "policy": "short", "user": "clerk", "password": "pw",
            "port": str(api.broker.port), "protocol": "amqp",
            "node": api.json("/api/overview")["node"], "id": job.json["id"],
            "connection": connection, "channel": f"{connection} (1)",
            "key": bindings[0], "exchange_key": bindings[1], "component": "operator_policy",
            "parameter": "short", "limit": "max-connections"}


def fill(path, names):
    if path.endswith("/e/{destination}/{key}"):
        names = names | {"key": names["exchange_key"]}
    return re.sub(r"\{(\w+)\}", lambda name: quote(names[name[1]]), path)


def validate(value, schema, spec):
    jsonschema.Draft202012Validator(
        schema | {"components": spec["components"]}).validate(value)


def operations(spec):
    return [(method.upper(), path, operation) for path, item in spec["paths"].items()
            for method, operation in item.items()]


def answer_schema(operation, status):
    answer = operation["responses"][str(status)]
    return answer.get("content", {}).get("application/json", {}).get("schema")


def test_it_has_the_routes_of_the_broker_and_no_others(api, spec):
    ours = {(method, path, operation["x-need"]) for method, path, operation in operations(spec)}
    theirs = {(r["method"], r["path"], r["need"]) for r in api.json("/api/landfall/routes")}
    assert ours - theirs == set(), "documented, but not served"
    assert theirs - ours == set(), "served, but not documented"


def test_it_is_sound(spec):
    """Every reference leads somewhere, every name in a path is a parameter, every schema is one."""
    assert spec["openapi"].startswith("3.1")

    def references(value):
        if isinstance(value, dict):
            if "$ref" in value:
                yield value["$ref"]
            for each in value.values():
                yield from references(each)
        elif isinstance(value, list):
            for each in value:
                yield from references(each)

    used = set(references(spec))
    for reference in used:
        target = spec
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]
    for kind in ("schemas", "parameters"):
        for name in spec["components"][kind]:
            assert f"#/components/{kind}/{name}" in used, f"nothing uses {name}"
    for name, schema in spec["components"]["schemas"].items():
        jsonschema.Draft202012Validator.check_schema(schema)
    for method, path, operation in operations(spec):
        given = {p["$ref"].rpartition("/")[2] for p in operation.get("parameters", [])
                 if "$ref" in p}
        assert given == set(re.findall(r"\{(\w+)\}", path)), (method, path)
        assert operation["summary"] and "default" in operation["responses"], (method, path)


def test_answers_are_what_it_says(api, spec, names):
    asked = 0
    for method, path, operation in operations(spec):
        if method != "GET" or path in NOT_ASKED:
            continue
        url = fill(path, names)
        if path.startswith("/api/global-parameters/"):
            url = "/api/global-parameters/cluster_name"
        if path == "/api/landfall/trace":
            url += "?queue=orders"
        if path.startswith("/api/landfall/history"):
            wait_until(lambda url=url: api.json(url)["samples"], "there is a history")
        answer = api.get(url)
        assert answer.status == 200, (path, answer)
        if path in TEXT:
            assert answer.headers["Content-Type"].startswith("text/plain")
            continue
        schema = answer_schema(operation, 200)
        assert schema, f"{path} has no schema"
        try:
            validate(answer.json, schema, spec)
        except jsonschema.ValidationError as error:
            raise AssertionError(f"{path}: {error.message}, at {list(error.absolute_path)}") from None
        if isinstance(answer.json, list):
            assert answer.json or path in MAY_BE_EMPTY, f"{path} is empty"
        asked += 1
    assert asked > 60


def test_pages_and_refusals_are_what_it_says(api, spec):
    validate(api.json("/api/queues?page=1&page_size=2"),
             {"$ref": "#/components/schemas/Page"}, spec)
    for path, status in [("/api/queues/%2F/absent", 404), ("/api/queues?page=x", 400),
                         ("/api/landfall/jobs/x", 404), ("/api/nothing", 404)]:
        answer = api.get(path)
        assert answer.status == status
        validate(answer.json, {"$ref": "#/components/schemas/Error"}, spec)
    answer = HttpApi(api.broker, None).get("/api/whoami")
    assert answer.status == 401
    validate(answer.json, {"$ref": "#/components/schemas/Error"}, spec)


def closed(connection):
    try:
        connection.process_data_events()
    except pika.exceptions.AMQPError:
        return True
    return connection.is_closed


def write(api, spec, method, path, body=None, cookie=None, **names):
    """Does it, checks what is sent and what comes back, and gives the answer."""
    operation = spec["paths"][path][method.lower()]
    schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get(
        "schema")
    if schema:
        validate(body, schema, spec)
    headers = {"Cookie": cookie, "X-Landfall-Console": "1"} if cookie else {}
    who = HttpApi(api.broker, None) if cookie else api
    answer = who.ask(method, fill(path, {"vhost": "/"} | names), body, headers)
    if answer.status >= 400:
        validate(answer.json, {"$ref": "#/components/schemas/Error"}, spec)
        return answer
    assert str(answer.status) in operation["responses"], (method, path, answer)
    schema = answer_schema(operation, answer.status)
    if schema:
        validate(answer.json, schema, spec)
    else:
        assert answer.body == b"", (method, path, answer)
    return answer


def test_what_is_sent_and_comes_back_is_what_it_says(api, spec):
    done = set()

    def does(method, path, status, body=None, **names):
        answer = write(api, spec, method, path, body, **names)
        assert answer.status == status, (method, path, answer)
        done.add((method, path, status))
        return answer

    queue, exchange = "/api/queues/{vhost}/{queue}", "/api/exchanges/{vhost}/{exchange}"
    does("PUT", "/api/vhosts/{vhost}", vhost="written", body={}, status=201)
    does("PUT", queue, queue="written", body={"arguments": {}}, status=201)
    does("PUT", queue, queue="written", body={"arguments": {}}, status=204)
    does("PUT", queue, queue="written-to", body={}, status=201)
    does("PUT", exchange, exchange="written", body={"type": "direct"}, status=201)
    for kind in ("q/{queue}", "e/{destination}"):
        does("POST", "/api/bindings/{vhost}/e/{source}/" + kind, source="written", queue="written",
             destination="audit", body={"routing_key": "k"}, status=201)
    message = {"properties": {}, "routing_key": "written", "payload": "x",
               "payload_encoding": "string"}
    for _ in range(3):
        does("POST", exchange + "/publish", exchange="amq.default", body=message, status=200)
    does("POST", queue + "/get", queue="written", status=200,
         body={"count": 1, "ackmode": "ack_requeue_true", "encoding": "auto"})
    move = "/api/landfall/queues/{vhost}/{queue}/move"
    to = {"to": {"queue": "written-to"}, "limit": 1}
    does("POST", move, queue="written", body=to | {"dry_run": True}, status=200)
    does("POST", move, queue="written", body=to, status=202)
    does("DELETE", queue + "/contents", queue="written", status=204)
    for what in ("pause", "resume"):
        does("PUT", f"{queue}/{what}", queue="written", status=204)
    ends = "/api/bindings/{vhost}/e/{source}/"
    for kind, end in (("q/{queue}", "written"), ("e/{destination}", "audit")):
        does("DELETE", f"{ends}{kind}/{{key}}", source="written", queue=end, destination=end,
             key="k", exchange_key="k", status=204)
    does("PUT", "/api/policies/{vhost}/{policy}", policy="written", status=201,
         body={"pattern": "^written$", "definition": {"max-length": 5}, "apply-to": "queues"})
    does("PUT", "/api/policies/{vhost}/{policy}", policy="written", status=204,
         body={"pattern": "^written$", "definition": {"max-length": 6}})
    does("DELETE", "/api/policies/{vhost}/{policy}", policy="written", status=204)
    for status in (201, 204):
        does("PUT", "/api/operator-policies/{vhost}/{policy}", policy="written", status=status,
             body={"pattern": "^written$", "definition": {"max-length": 4 + status}})
    does("DELETE", "/api/operator-policies/{vhost}/{policy}", policy="written", status=204)
    parameter = "/api/parameters/{component}/{vhost}/{parameter}"
    for method in ("PUT", "DELETE"):
        does(method, parameter, component="shovel", parameter="s", status=400)
    does("PUT", "/api/global-parameters/{parameter}", parameter="p", status=400)
    does("PUT", "/api/users/{user}", user="writer", status=201,
         body={"password": "pw", "tags": ["management"]})
    rights = {"configure": "", "write": "", "read": ".*"}
    does("PUT", "/api/permissions/{vhost}/{user}", user="writer", body=rights, status=201)
    does("PUT", "/api/topic-permissions/{vhost}/{user}", user="writer", status=201,
         body={"exchange": "amq.topic", "write": "", "read": ""})
    session = "/api/landfall/session"
    answer = does("POST", session, status=200, body={"username": "writer", "password": "pw"})
    cookie = answer.headers["Set-Cookie"].partition(";")[0]
    does("DELETE", session, status=204, cookie=cookie)
    for path, body in [("/api/users/{user}", {"password": "pw2", "tags": ["management"]}),
                       ("/api/permissions/{vhost}/{user}", rights),
                       ("/api/topic-permissions/{vhost}/{user}",
                        {"exchange": "amq.topic", "write": ".*", "read": ""})]:
        does("PUT", path, user="writer", body=body, status=204)
    for kind, names in [("user-limits/{user}", {"user": "writer"}), ("vhost-limits/{vhost}", {})]:
        path = f"/api/{kind}/{{limit}}"
        does("PUT", path, limit="max-connections", body={"value": 5}, status=204, **names)
        does("DELETE", path, limit="max-connections", status=204, **names)
    does("DELETE", "/api/topic-permissions/{vhost}/{user}", user="writer", status=204)
    does("DELETE", "/api/permissions/{vhost}/{user}", user="writer", status=204)
    does("DELETE", "/api/users/{user}", user="writer", status=204)
    does("POST", "/api/definitions", body={"queues": [
        {"name": "imported", "vhost": "/", "durable": True, "auto_delete": False,
         "arguments": {}}]}, status=204)
    does("POST", "/api/definitions/{vhost}", status=204, body={"queues": [
        {"name": "imported-too", "durable": True, "auto_delete": False, "arguments": {}}]})
    connection = api.broker.connect(client_properties={"connection_name": "closed"})
    listed = wait_until(lambda: [c for c in api.json("/api/connections")
                                 if c.get("user_provided_name") == "closed"], "it is listed")
    does("DELETE", "/api/connections/{connection}", connection=listed[0]["name"], status=204)
    wait_until(lambda: closed(connection), "it is closed")
    job = does("POST", move, queue="dead", body=to, status=202).json["id"]
    does("DELETE", "/api/landfall/jobs/{id}", id=job, status=204)
    does("PUT", exchange, exchange="written", body={"type": "direct"}, status=204)
    does("PUT", "/api/vhosts/{vhost}", vhost="written", body={}, status=204)
    for name in ("written", "written-to", "imported", "imported-too"):
        does("DELETE", queue, queue=name, status=204)
    does("DELETE", exchange, exchange="written", status=204)
    does("DELETE", "/api/vhosts/{vhost}", vhost="written", status=204)
    # Nothing that is written down was left out.
    answers = {(method, path, int(status)) for method, path, operation in operations(spec)
               if method != "GET" for status in operation["responses"] if status != "default"}
    assert answers - done == set()
    written = {(method, path) for method, path, _ in operations(spec) if method != "GET"}
    assert written - {(method, path) for method, path, _ in done} == set()
