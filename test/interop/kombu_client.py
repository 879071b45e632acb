"""The cases of languages.py with kombu, which Celery rests on, and py-amqp below it.

    python3 kombu_client.py URL CASE
"""

import datetime
import os
import socket
import sys
import time
import uuid

import amqp.exceptions
import kombu

URL, CASE = sys.argv[1:]


def connect(**options):
    options.setdefault("transport_options", {"confirm_publish": True})
    connection = kombu.Connection(URL, connect_timeout=10, **options)
    connection.connect()
    return connection


def unique(name):
    return f"kombu-{name}-{uuid.uuid4()}"


def check(condition, sentence):
    if not condition:
        sys.exit(f"{CASE}: {sentence}")


def check_equal(got, expected, what):
    check(got == expected, f"{what} should be {expected!r} and is {got!r}")


def get(channel, queue, seconds=10.0):
    """A message of the queue, waiting for it if need be."""
    deadline = time.monotonic() + seconds
    while True:
        message = queue(channel).get(no_ack=False)
        if message is not None:
            return message
        check(time.monotonic() < deadline, f"nothing came to {queue.name} within {seconds:g} s")
        time.sleep(0.01)


def get_bodies(channel, queue, count):
    bodies = []
    for _ in range(count):
        message = get(channel, queue)
        message.ack()
        bodies.append(message.payload)
    return bodies


def declare(channel, name, **options):
    queue = kombu.Queue(name, **options)
    queue(channel).declare()
    return queue


def count(channel, queue):
    return channel.queue_declare(queue.name, passive=True).message_count


def drain(connection, arrived, number, seconds=20.0):
    """Lets callbacks run until `arrived` holds `number` of something."""
    deadline = time.monotonic() + seconds
    while len(arrived) < number:
        check(time.monotonic() < deadline, f"{len(arrived)} instead of {number} messages came")
        try:
            connection.drain_events(timeout=1)
        except socket.timeout:
            pass


def rejected(connection, error, act):
    """The channel is closed with this error, and the connection's next channel works."""
    channel = connection.channel()
    try:
        act(channel)
    except error as raised:
        check_equal(raised.reply_code, error.code, "the reply code")
    else:
        check(False, f"it should have been refused with {error.__name__}")
    name = unique("usable")
    other = connection.channel()
    other.queue_declare(name, exclusive=True)
    other.basic_publish(amqp.Message("still here"), routing_key=name)
    check_equal(other.basic_get(name, no_ack=True).body, "still here", "the next channel's message")


def exchange_types(connection, channel):
    producer = kombu.Producer(channel)

    def route(kind, bindings, messages):
        exchange = kombu.Exchange(unique(kind), kind, durable=False, auto_delete=True)
        queues = []
        for binding in bindings:
            queues.append(declare(channel, unique("bound"), exchange=exchange, exclusive=True,
                                  **binding))
        for body, options in messages:
            producer.publish(body, exchange=exchange, **options)
        return [get_bodies(channel, queue, count(channel, queue)) for queue in queues]

    keys = [("kern.info", {"routing_key": "kern.info"}),
            ("kern.critical.now", {"routing_key": "kern.critical.now"}),
            ("cron", {"routing_key": "cron"})]
    got = route("direct", [{"routing_key": "cron"}, {"routing_key": "kern.info"}], keys)
    check_equal(got, [["cron"], ["kern.info"]], "what direct routes")
    got = route("topic", [{"routing_key": "kern.#"}, {"routing_key": "*.info"},
                          {"routing_key": "#"}], keys)
    check_equal(got, [["kern.info", "kern.critical.now"], ["kern.info"],
                      ["kern.info", "kern.critical.now", "cron"]], "what topic routes")
    got = route("fanout", [{}, {}], keys)
    check_equal(got, [["kern.info", "kern.critical.now", "cron"]] * 2, "what fanout routes")
    got = route(
        "headers",
        [{"binding_arguments": {"x-match": "all", "kind": "report", "pages": 3}},
         {"binding_arguments": {"x-match": "any", "kind": "report", "pages": 3}}],
        [("both", {"headers": {"kind": "report", "pages": 3, "more": True}}),
         ("one", {"headers": {"kind": "letter", "pages": 3}}),
         ("none", {"headers": {"kind": "letter"}})])
    check_equal(got, [["both"], ["both", "one"]], "what headers routes")


def confirms(connection, channel):
    queue = declare(channel, unique("confirms"), durable=True)
    producer = kombu.Producer(channel)
    for n in range(500):
        # py-amqp returns from publish when the confirm has come.
        producer.publish(str(n), routing_key=queue.name, delivery_mode=2)
    check_equal(count(channel, queue), 500, "the number of confirmed messages in the queue")
    check_equal(queue(channel).purge(), 500, "the number of purged messages")
    check_equal(queue(channel).delete(), 0, "the number of deleted messages")


def consume_and_ack(connection, channel):
    queue = declare(channel, unique("tasks"), durable=True)
    with connect() as sending:
        producer = sending.Producer()
        for n in range(100):
            producer.publish({"n": n}, routing_key=queue.name, serializer="json")
    bodies = []

    def received(body, message):
        bodies.append(body["n"])
        message.ack()

    consumer = kombu.Consumer(channel, [queue], callbacks=[received])
    consumer.consume()
    drain(connection, bodies, 100)
    check_equal(bodies, list(range(100)), "the order of the messages")
    consumer.cancel()
    channel.close()
    with connection.channel() as other:
        check_equal(queue(other).delete(), 0, "the number of messages that are left")


def nack_requeues(connection, channel):
    queue = declare(channel, unique("nacks"))
    producer = kombu.Producer(channel)
    for body in ["a", "b", "c"]:
        producer.publish(body, routing_key=queue.name)
    first, second = get(channel, queue), get(channel, queue)
    check(not first.delivery_info["redelivered"], "the first delivery is not a redelivery")
    first.requeue()  # py-amqp has no nack: kombu rejects with requeue instead.
    again = get(channel, queue)
    check_equal(again.payload, "a", "the message that comes after a requeue")
    check(again.delivery_info["redelivered"], "it should be marked as redelivered")
    second.reject()
    again.ack()
    last = get(channel, queue)
    check_equal((last.payload, last.delivery_info["redelivered"]), ("c", False), "the last message")
    last.ack()
    check_equal(queue(channel).delete(), 0, "the number of messages that are left")


def basic_get(connection, channel):
    queue = declare(channel, unique("get"), exclusive=True)
    check(queue(channel).get() is None, "an empty queue has nothing to get")
    producer = kombu.Producer(channel)
    for body in ["a", "b"]:
        producer.publish(body, routing_key=queue.name)
    got = [queue(channel).get(), queue(channel).get(), queue(channel).get()]
    check_equal([message and message.payload for message in got], ["a", "b", None], "what get gives")
    check_equal([message.delivery_info["message_count"] for message in got[:2]], [1, 0],
                "what get says is left")


def mandatory_return(connection, channel):
    returned = []
    producer = kombu.Producer(channel, on_return=lambda *values: returned.append(values))
    producer.publish("back", exchange="amq.direct", routing_key=unique("nobody"), mandatory=True)
    check_equal(len(returned), 1, "the number of returns that came before the confirm")
    error, exchange, _, message = returned[0]
    check_equal((error.reply_code, exchange, message.body), (312, "amq.direct", "back"),
                "the return")


def prefetch(connection, channel):
    queue = declare(channel, unique("prefetch"), exclusive=True)
    producer = kombu.Producer(channel)
    for n in range(10):
        producer.publish(str(n), routing_key=queue.name)
    channel.basic_qos(0, 3, False)
    arrived = []
    with kombu.Consumer(channel, [queue], on_message=arrived.append):
        drain(connection, arrived, 3)
        # An answered request on this channel comes after whatever was delivered before it.
        check_equal(count(channel, queue), 7, "the number of messages that wait")
        check_equal(len(arrived), 3, "the number of unacked messages")
        arrived[0].ack()
        drain(connection, arrived, 4)
        arrived[3].ack()
        drain(connection, arrived, 5)
        check_equal([message.payload for message in arrived], list("01234"), "the order")


def missing_queue(connection, channel):
    rejected(connection, amqp.exceptions.NotFound,
             lambda channel: channel.queue_declare(unique("missing"), passive=True))
    rejected(connection, amqp.exceptions.NotFound,
             lambda channel: channel.exchange_declare(unique("missing"), "direct", passive=True))
    rejected(connection, amqp.exceptions.NotFound,
             lambda channel: channel.queue_bind(unique("missing"), "amq.direct", "key"))


def inequivalent_queue(connection, channel):
    name = unique("inequivalent")
    refused = amqp.exceptions.PreconditionFailed
    declare(channel, name, durable=False, auto_delete=False, expires=60)
    declare(channel, name, durable=False, auto_delete=False, expires=60)
    rejected(connection, refused, lambda channel: channel.queue_declare(
        name, durable=True, auto_delete=False, arguments={"x-expires": 60000}))
    rejected(connection, refused, lambda channel: channel.queue_declare(
        name, auto_delete=False, arguments={"x-expires": 61000}))
    rejected(connection, refused,
             lambda channel: channel.queue_declare(name, auto_delete=False))
    channel.exchange_declare(name, "direct", auto_delete=True)
    rejected(connection, refused,
             lambda channel: channel.exchange_declare(name, "fanout", auto_delete=True))
    queue = kombu.Queue(name)
    queue(channel).delete()


def dead_letter_queue(channel):
    exchange = kombu.Exchange(unique("dead"), "fanout", durable=False, auto_delete=True)
    return exchange, declare(channel, unique("graveyard"), exchange=exchange, exclusive=True)


def check_death(message, queue, reason):
    death = message.headers["x-death"][0]
    check_equal({key: death[key] for key in ["queue", "reason", "count", "exchange"]},
                {"queue": queue.name, "reason": reason, "count": 1, "exchange": ""}, "x-death")
    check_equal(death["routing-keys"], [queue.name], "the routing keys in x-death")
    check_equal(message.headers["x-first-death-reason"], reason, "x-first-death-reason")


def dead_letters(connection, channel):
    exchange, graveyard = dead_letter_queue(channel)
    queue = declare(channel, unique("mortal"), exclusive=True,
                    queue_arguments={"x-dead-letter-exchange": exchange.name,
                                     "x-dead-letter-routing-key": "late"})
    kombu.Producer(channel).publish("bad", routing_key=queue.name)
    get(channel, queue).reject()
    message = get(channel, graveyard)
    check_equal(message.payload, "bad", "the dead message")
    check_equal(message.delivery_info["routing_key"], "late", "its routing key")
    check_death(message, queue, "rejected")


def ttl(connection, channel):
    exchange, graveyard = dead_letter_queue(channel)
    dead_letter_to = {"x-dead-letter-exchange": exchange.name}
    queue = declare(channel, unique("mortal"), exclusive=True, message_ttl=0.2,
                    queue_arguments=dead_letter_to)
    producer = kombu.Producer(channel)
    producer.publish("old", routing_key=queue.name)
    message = get(channel, graveyard)
    check_equal(message.payload, "old", "the expired message")
    check_death(message, queue, "expired")
    queue = declare(channel, unique("mortal"), exclusive=True, queue_arguments=dead_letter_to)
    producer.publish("short", routing_key=queue.name, expiration=0.2)
    message = get(channel, graveyard)
    check_equal(message.payload, "short", "the message with an expiration")
    check_death(message, queue, "expired")
    check("expiration" not in message.properties, "a dead message's expiration is taken away")
    check_equal(message.headers["x-death"][0]["original-expiration"], "200", "and kept in x-death")


def priorities(connection, channel):
    queue = declare(channel, unique("urgent"), exclusive=True, max_priority=5)
    producer = kombu.Producer(channel)
    for body, priority in [("low", 1), ("none", None), ("high", 5), ("low too", 1), ("beyond", 9),
                           ("middle", 3)]:
        producer.publish(body, routing_key=queue.name, priority=priority)
    check_equal(get_bodies(channel, queue, 6),
                ["high", "beyond", "middle", "low", "low too", "none"], "the order")


def transactions(connection, channel):
    with connect(transport_options={}) as sending:
        sender = sending.channel()
        queue = declare(channel, unique("tx"), durable=True)
        sender.tx_select()
        for body in ["a", "b"]:
            sender.basic_publish(amqp.Message(body, delivery_mode=2), routing_key=queue.name)
        sender.queue_declare(queue.name, passive=True)
        check_equal(count(channel, queue), 0, "what is in the queue before the commit")
        sender.tx_commit()
        check_equal(count(channel, queue), 2, "what is in the queue after the commit")
        sender.basic_publish(amqp.Message("c"), routing_key=queue.name)
        message = sender.basic_get(queue.name)
        sender.basic_ack(message.delivery_tag)
        sender.tx_rollback()
        sender.basic_recover(requeue=True)
        # Another connection may ask before the queue has heard of it.
        deadline = time.monotonic() + 20
        while count(channel, queue) < 2:
            check(time.monotonic() < deadline, "what was recovered is not back in the queue")
        check_equal(get_bodies(channel, queue, 2), ["a", "b"], "what is there after a rollback")
        sender.tx_commit()
        check_equal(queue(channel).delete(), 0, "the number of messages that are left")


def server_named(connection, channel):
    owner = connect()
    name = owner.channel().queue_declare("", exclusive=True).queue
    check(name.startswith("amq.gen-"), f"{name} is no name that the broker has chosen")
    rejected(connection, amqp.exceptions.ResourceLocked,
             lambda channel: channel.queue_declare(name, passive=True))
    owner.release()
    for _ in range(1000):
        try:
            connection.channel().queue_declare(name, passive=True)
        except amqp.exceptions.NotFound:
            return
        except amqp.exceptions.ResourceLocked:
            time.sleep(0.01)
    check(False, "an exclusive queue outlived its connection")


def properties(connection, channel):
    queue = declare(channel, unique("properties"), exclusive=True)
    headers = {
        "text": "grün", "true": True, "false": False, "int": 7, "negative": -70000,
        "big": 2**40, "float": 1.5, "list": [1, "two", {"three": 3}],
        "table": {"deep": {"deeper": "deepest"}}, "none": None,
        "when": datetime.datetime(2023, 11, 14, 22, 13, 20), "bytes": b"\x00\xff",
    }
    options = {
        "content_type": "application/octet-stream", "content_encoding": "binary",
        "delivery_mode": 2, "priority": 4, "correlation_id": "c", "reply_to": "r",
        "message_id": "m", "timestamp": 1700000000, "type": "t", "user_id": "guest", "app_id": "a",
    }
    body = bytes(range(256))
    kombu.Producer(channel).publish(body, routing_key=queue.name, headers=headers,
                                    expiration=60, **options)
    message = get(channel, queue)
    check_equal(bytes(message.body), body, "the body")
    got = dict(message.properties, content_type=message.content_type,
               content_encoding=message.content_encoding)
    for name, value in dict(options, expiration="60000").items():
        check_equal(got.get(name), value, name)
    check_equal(message.headers, headers, "the headers")


def large_message(connection, channel):
    queue = declare(channel, unique("large"), durable=True)
    body = os.urandom(4 << 20)
    kombu.Producer(channel).publish(body, routing_key=queue.name, delivery_mode=2,
                                    content_type="application/octet-stream",
                                    content_encoding="binary")
    message = get(channel, queue)
    check(bytes(message.body) == body, "4 MiB came back changed")
    message.ack()
    check_equal(queue(channel).delete(), 0, "the number of messages that are left")


def heartbeats(connection, channel):
    with connect(heartbeat=1) as idle:
        check_equal(idle.get_heartbeat_interval(), 1, "the agreed heartbeat")
        until = time.monotonic() + 3.5
        while time.monotonic() < until:
            idle.heartbeat_check(rate=2)
            try:
                idle.drain_events(timeout=0.4)
            except socket.timeout:
                pass
        idle.channel().queue_declare("", exclusive=True)


cases = {function.__name__: function for function in [
    exchange_types, confirms, consume_and_ack, nack_requeues, basic_get, mandatory_return,
    prefetch, missing_queue, inequivalent_queue, dead_letters, ttl, priorities, transactions,
    server_named, properties, large_message, heartbeats]}

with connect() as main_connection:
    cases[CASE](main_connection, main_connection.channel())
