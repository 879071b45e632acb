"""Every endpoint of the HTTP API, asked as every kind of user: nobody gets beyond their rights.

The endpoints are those that the broker says it has, so that a new one is asked as well.
"""

import re

import pika
import pytest
from broker import wait_until
from http_api import HttpApi, quote

OWN = "vhost-of-their-own"
OTHER = "vhost-of-others"
# Stands in the name of everything there; nobody who is confined to another vhost may read it.
MARK = "of-others"

TAGS = ["management", "policymaker", "monitoring", "administrator"]
MEETS = {  # the tags that a need is met by
    "nobody": {"none", *TAGS},
    "management": set(TAGS),
    "policymaker": {"policymaker", "administrator"},
    "monitoring": {"monitoring", "administrator"},
    "administrator": {"administrator"},
}
# What stands in place of {…}: something that is there, of others.
NAMES = {"vhost": OTHER, "queue": f"queue-{MARK}", "exchange": f"exchange-{MARK}",
         "source": f"exchange-{MARK}", "destination": f"to-{MARK}", "key": f"key-{MARK}",
         "policy": f"policy-{MARK}", "user": f"user-{MARK}", "password": "pw",
         "protocol": "amqp",
         "component": "operator_policy", "parameter": f"policy-{MARK}", "limit": "max-connections"}
EVERYTHING = {"configure": ".*", "write": ".*", "read": ".*"}
# Right for every endpoint that takes one.
BODY = {"count": 1, "ackmode": "ack_requeue_false", "encoding": "auto", "properties": {},
        "routing_key": NAMES["queue"], "payload": "x", "payload_encoding": "string", "pattern": ".*",
        "definition": {"max-length": 1}, "exchange": "amq.topic", "to": "origin", "password": "pw",
        "tags": "", "value": 5, "type": "direct", "arguments": {}, "username": "nobody-at-all"} | EVERYTHING
# Monitors see of all vhosts that they are there and what goes on in connections, as in RabbitMQ.
FOR_MONITORS = {"/api/vhosts/{vhost}", "/api/vhosts/{vhost}/connections",
                "/api/vhosts/{vhost}/channels"}


def user(api, name, tags, vhost=OWN):
    assert api.put(f"/api/users/{name}", {"password": "pw", "tags": tags}).status in (201, 204)
    if vhost:
        assert api.put(f"/api/permissions/{vhost}/{name}", EVERYTHING).status in (201, 204)
    return api.as_user(name, "pw")


@pytest.fixture(scope="module")
def api(http_broker):
    """With something of every kind in a vhost of others."""
    api = HttpApi(http_broker)
    for vhost in (OWN, OTHER):
        assert api.put(f"/api/vhosts/{vhost}").status == 201
    user(api, NAMES["user"], "", OTHER)
    api.put(f"/api/topic-permissions/{OTHER}/{NAMES['user']}",
            {"exchange": NAMES["exchange"], "write": ".*", "read": ".*"})
    for exchange in (NAMES["exchange"], NAMES["destination"]):
        assert api.put(f"/api/exchanges/{OTHER}/{exchange}", {"type": "topic"}).status == 201
    assert api.put(f"/api/queues/{OTHER}/{NAMES['queue']}", {"arguments": {"x-trace": True}}).status == 201
    for kind, to in (("q", NAMES["queue"]), ("e", NAMES["destination"])):
        assert api.post(f"/api/bindings/{OTHER}/e/{NAMES['exchange']}/{kind}/{to}",
                        {"routing_key": NAMES["key"]}).status == 201
    for kind in ("policies", "operator-policies"):
        assert api.put(f"/api/{kind}/{OTHER}/{NAMES['policy']}",
                       {"pattern": MARK, "definition": {"max-length": 1000}}).status == 201
    connection = http_broker.connect(
        vhost=OTHER, user=NAMES["user"], password="pw",
        client_properties={"connection_name": f"connection-{MARK}"})
    channel = connection.channel()
    channel.confirm_delivery()
    for _ in range(3):
        channel.basic_publish("", NAMES["queue"], f"body-{MARK}",
                              pika.BasicProperties(delivery_mode=2, message_id=f"id-{MARK}"))
    channel.basic_consume(NAMES["queue"], lambda *_: None, consumer_tag=f"tag-{MARK}")
    wait_until(lambda: [c for c in api.json("/api/connections") if c["vhost"] == OTHER],
               "the connection is listed")
    wait_until(lambda: api.json("/api/channels"), "its channel is listed")
    # Of a queue that stays empty, so that it does nothing.
    assert api.put(f"/api/queues/{OTHER}/empty-{MARK}").status == 201
    job = api.post(f"/api/landfall/queues/{OTHER}/empty-{MARK}/move",
                   {"to": {"queue": NAMES["queue"]}})
    assert job.status == 202
    NAMES["id"] = job.json["id"]
    NAMES["node"] = api.json("/api/overview")["node"]
    yield api
    connection.close()


@pytest.fixture(scope="module")
def routes(api):
    routes = api.json("/api/landfall/routes")
    assert len(routes) > 90
    return routes


def asked_for(api, route):
    """The route's path, with names of what others have."""
    names = NAMES | {"port": str(api.broker.port)}
    if "{connection}" in route["path"] or "{channel}" in route["path"]:
        own = [c for c in api.json("/api/connections") if c["vhost"] == OTHER]
        names["connection"] = own[0]["name"]
        names["channel"] = f"{own[0]['name']} (1)"
    return re.sub(r"\{(\w+)\}", lambda name: quote(names[name[1]]), route["path"])


def ask(api, who, route, query=""):
    body = BODY if route["method"] in ("PUT", "POST") else None
    return who.ask(route["method"], asked_for(api, route) + query, body)


def shown(answer, route):
    """What an answer shows beyond the names that the question had in it."""
    text = answer.body.decode(errors="replace")
    asked = [NAMES.get(name, "") for name in re.findall(r"\{(\w+)\}", route["path"])]
    if route["method"] in ("PUT", "POST"):
        asked.append(BODY["routing_key"])
    # The longest first: one may be a part of another.
    for name in sorted(filter(None, asked), key=len, reverse=True):
        text = text.replace(name, "")
    return text


def state(api):
    """All that a refused request must not have changed."""
    definitions = api.json("/api/definitions")
    messages = api.json(f"/api/queues/{OTHER}/{NAMES['queue']}")["messages"]
    return ({key: value for key, value in definitions.items() if isinstance(value, list)}, messages,
            [c["name"] for c in api.json("/api/connections") if c["vhost"] == OTHER])


def is_stream(route):
    return route["path"] == "/api/landfall/events"


def test_without_a_login_nothing_opens(api, routes):
    before = state(api)
    nobody = HttpApi(api.broker, None)
    for route in routes:
        answer = ask(api, nobody, route)
        assert answer.status == 401, (route, answer)
        assert MARK not in shown(answer, route), (route, answer)
    assert state(api) == before


@pytest.mark.parametrize("tag", ["none", *TAGS[:3]])
def test_a_tag_opens_what_needs_it_and_nothing_else(api, routes, tag):
    who = user(api, f"scan-{tag}", "" if tag == "none" else tag)
    before = state(api)
    for route in routes:
        if is_stream(route) and tag != "none":
            continue  # see test_http_events.py
        answer = ask(api, who, route)
        if tag not in MEETS[route["need"]]:
            assert answer.status == 401, (route, answer)
            assert MARK not in shown(answer, route), (route, answer)
        assert answer.status < 500, (route, answer)
    assert state(api) == before
    api.delete(f"/api/users/scan-{tag}")


@pytest.mark.parametrize("tag", TAGS)
def test_what_a_tag_opens_is_shown(api, routes, tag):
    """So that the scans are not passed by a broker that refuses everything."""
    who = user(api, f"opened-{tag}", tag, OTHER)
    answered = 0
    for route in routes:
        if route["method"] != "GET" or is_stream(route) or tag not in MEETS[route["need"]]:
            continue
        query = f"?message_id=x&vhost={OTHER}" if route["path"].endswith("/trace") else ""
        answer = ask(api, who, route, query)
        expected = {200}
        if route["path"] == "/api/landfall/session":
            expected = {401}  # that of a cookie
        elif route["path"] == "/api/landfall/jobs/{id}" and tag not in MEETS["monitoring"]:
            expected = {404}  # another user's
        elif route["path"] == "/api/global-parameters/{parameter}":
            expected = {404}  # of which there are none but the broker's own
        elif tag not in MEETS["monitoring"] and re.search(r"\{(connection|channel)\}", route["path"]):
            expected = {401, 404}  # the same
        assert answer.status in expected, (route, answer)
        answered += 1
    assert answered >= 30
    api.delete(f"/api/users/opened-{tag}")


@pytest.mark.parametrize("tag", TAGS[:3])
def test_in_a_vhost_of_others_nothing_is_seen_or_changed(api, routes, tag):
    who = user(api, f"confined-{tag}", tag)
    before = state(api)
    for route in routes:
        if is_stream(route) or tag not in MEETS[route["need"]]:
            continue
        if tag == "monitoring" and route["method"] == "GET" and (route["path"] in FOR_MONITORS or "/connections" in route["path"]
                                    or "/channels" in route["path"] or "/vhosts" in route["path"]
                                    or route["path"].startswith("/metrics")):
            continue
        answer = ask(api, who, route)
        if "{vhost}" in route["path"]:
            assert answer.status == 401, (route, answer)
        monitored = tag == "monitoring" and route["path"].startswith("/api/landfall/jobs")
        if not monitored:
            assert MARK not in shown(answer, route), (route, answer)
    assert state(api) == before
    api.delete(f"/api/users/confined-{tag}")


def test_a_stream_of_events_shows_nothing_of_others(api):
    who = user(api, "confined-viewer", "management")
    path = f"/api/landfall/events?queue={quote(OTHER + '/' + NAMES['queue'])}"
    assert who.get(path).status == 401
    api.delete("/api/users/confined-viewer")


def test_an_administrator_without_permissions_does_nothing_with_amqp(api, routes):
    """They rule, and see what there is; but what is in queues is for those who may read them."""
    who = user(api, "scan-administrator", "administrator", vhost=None)
    with_amqp = [r for r in routes if "{vhost}" in r["path"] and
                 r["method"] in ("PUT", "POST", "DELETE") and
                 re.match(r"/api/(queues|exchanges|bindings|landfall/queues)/", r["path"])]
    looking = [r for r in routes if r["path"].startswith(
        ("/api/landfall/queues/", "/api/landfall/dead-letters/")) and r["method"] == "GET"]
    assert len(with_amqp) >= 10 and len(looking) == 2
    before = state(api)
    for route in with_amqp + looking:
        answer = ask(api, who, route)
        assert answer.status == 401, (route, answer)
        assert MARK not in shown(answer, route), (route, answer)
    assert state(api) == before
    for route in routes:
        if route["method"] != "GET" or route in looking or is_stream(route):
            continue
        answer = ask(api, who, route, "?message_id=x" if "trace" in route["path"] else "")
        expected = {401} if route["path"] == "/api/landfall/session" else {200, 404, 503}
        if "aliveness" in route["path"]:
            expected = {401}  # it publishes and gets
        assert answer.status in expected, (route, answer)
    api.delete("/api/users/scan-administrator")
