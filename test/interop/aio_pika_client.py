"""The cases of languages.py with aio-pika, Python's asynchronous client, and aiormq below it.

    python3 aio_pika_client.py URL CASE
"""

import asyncio
import os
import sys
import time
import uuid

import aio_pika
import aiormq.exceptions
from aio_pika import DeliveryMode, ExchangeType, Message

URL, CASE = sys.argv[1:]
ERRORS = {
    404: aiormq.exceptions.ChannelNotFoundEntity,
    405: aiormq.exceptions.ChannelLockedResource,
    406: aiormq.exceptions.ChannelPreconditionFailed,
}


def unique(name):
    return f"aio-pika-{name}-{uuid.uuid4()}"


def check(condition, sentence):
    assert condition, f"{CASE}: {sentence}"


def check_equal(got, expected, what):
    check(got == expected, f"{what} should be {expected!r} and is {got!r}")


async def publish(channel, queue, *bodies, **properties):
    for body in bodies:
        await channel.default_exchange.publish(Message(body.encode(), **properties), queue.name)


async def get(queue, seconds=10.0):
    """A message of the queue, waiting for it if need be."""
    deadline = time.monotonic() + seconds
    while True:
        message = await queue.get(fail=False)
        if message is not None:
            return message
        check(time.monotonic() < deadline, f"nothing came to {queue.name} within {seconds:g} s")
        await asyncio.sleep(0.01)


async def get_bodies(queue, number):
    bodies = []
    for _ in range(number):
        message = await get(queue)
        await message.ack()
        bodies.append(message.body.decode())
    return bodies


async def count(channel, queue):
    declared = await channel.channel.queue_declare(queue.name, passive=True)
    return declared.message_count


async def rejected(connection, code, act):
    """The channel is closed with this error, and the connection's next channel works."""
    channel = await connection.channel()
    try:
        await act(channel)
    except ERRORS[code]:
        pass
    else:
        check(False, f"it should have been refused with {code}")
    other = await connection.channel()
    queue = await other.declare_queue(exclusive=True)
    await publish(other, queue, "still here")
    check_equal(await get_bodies(queue, 1), ["still here"], "the next channel's message")


async def exchange_types(connection, channel):
    async def route(kind, bindings, messages):
        exchange = await channel.declare_exchange(unique("exchange"), kind, auto_delete=True)
        queues = []
        for key, arguments in bindings:
            queues.append(await channel.declare_queue(exclusive=True))
            await queues[-1].bind(exchange, key, arguments=arguments)
        for key, headers in messages:
            await exchange.publish(Message(key.encode(), headers=headers), key, mandatory=False)
        return [await get_bodies(queue, await count(channel, queue)) for queue in queues]

    keys = [("kern.info", {}), ("kern.critical.now", {}), ("cron", {})]
    got = await route(ExchangeType.DIRECT, [("cron", {}), ("kern.info", {})], keys)
    check_equal(got, [["cron"], ["kern.info"]], "what direct routes")
    got = await route(ExchangeType.TOPIC, [("kern.#", {}), ("*.info", {}), ("#", {})], keys)
    check_equal(got, [["kern.info", "kern.critical.now"], ["kern.info"],
                      ["kern.info", "kern.critical.now", "cron"]], "what topic routes")
    got = await route(ExchangeType.FANOUT, [("", {}), ("other", {})], keys)
    check_equal(got, [["kern.info", "kern.critical.now", "cron"]] * 2, "what fanout routes")
    wanted = {"kind": "report", "pages": 3}
    got = await route(
        ExchangeType.HEADERS,
        [("", dict(wanted, **{"x-match": "all"})), ("", dict(wanted, **{"x-match": "any"}))],
        [("both", dict(wanted, more=True)), ("one", {"kind": "letter", "pages": 3}),
         ("none", {"kind": "letter"})])
    check_equal(got, [["both"], ["both", "one"]], "what headers routes")


async def confirms(connection, channel):
    queue = await channel.declare_queue(unique("confirms"), durable=True)
    # All at once: each waits for a confirm of its own.
    await asyncio.gather(*[
        channel.default_exchange.publish(
            Message(str(n).encode(), delivery_mode=DeliveryMode.PERSISTENT), queue.name)
        for n in range(500)])
    check_equal(await count(channel, queue), 500, "the number of confirmed messages in the queue")
    check_equal((await queue.purge()).message_count, 500, "the number of purged messages")
    check_equal((await queue.delete()).message_count, 0, "the number of deleted messages")


async def consume_and_ack(connection, channel):
    queue = await channel.declare_queue(unique("tasks"), durable=True)
    sending = await connection.channel()
    await publish(sending, queue, *[str(n) for n in range(100)])
    bodies = []
    async with queue.iterator() as messages:
        async for message in messages:
            async with message.process():
                bodies.append(message.body.decode())
            if len(bodies) == 100:
                break
    check_equal(bodies, [str(n) for n in range(100)], "the order of the messages")
    await channel.close()
    check_equal((await sending.queue_delete(queue.name)).message_count, 0,
                "the number of messages that are left")


async def nack_requeues(connection, channel):
    queue = await channel.declare_queue(unique("nacks"), auto_delete=True)
    await publish(channel, queue, "a", "b", "c")
    first, second = await get(queue), await get(queue)
    check(not first.redelivered, "the first delivery is not a redelivery")
    await first.nack(requeue=True)
    again = await get(queue)
    check_equal(again.body, b"a", "the message that comes after a requeue")
    check(again.redelivered, "it should be marked as redelivered")
    await second.reject(requeue=False)
    await again.ack()
    last = await get(queue)
    check_equal((last.body, last.redelivered), (b"c", False), "the last message")
    await last.ack()
    check_equal((await queue.delete()).message_count, 0, "the number of messages that are left")


async def basic_get(connection, channel):
    queue = await channel.declare_queue(exclusive=True)
    check(await queue.get(fail=False) is None, "an empty queue has nothing to get")
    await publish(channel, queue, "a", "b")
    got = [await queue.get(fail=False) for _ in range(3)]
    check_equal([message and message.body for message in got], [b"a", b"b", None], "what get gives")
    check_equal([message.message_count for message in got[:2]], [1, 0], "what get says is left")


async def mandatory_return(connection, channel):
    channel = await connection.channel(on_return_raises=True)
    exchange = await channel.get_exchange("amq.direct")
    try:
        await exchange.publish(Message(b"back"), unique("nobody"), mandatory=True)
    except aio_pika.exceptions.DeliveryError as error:
        returned = error.message
        check_equal((returned.delivery.reply_code, returned.delivery.exchange, returned.body),
                    (312, "amq.direct", b"back"), "the return")
    else:
        check(False, "a mandatory message without a queue should have come back")
    queue = await channel.declare_queue(exclusive=True)
    await publish(channel, queue, "and the channel is in use")


async def prefetch(connection, channel):
    queue = await channel.declare_queue(exclusive=True)
    await publish(channel, queue, *[str(n) for n in range(10)])
    await channel.set_qos(prefetch_count=3)
    arrived = asyncio.Queue()
    await queue.consume(arrived.put)
    messages = [await arrived.get() for _ in range(3)]
    # An answered request on this channel comes after whatever was delivered before it.
    check_equal(await count(channel, queue), 7, "the number of messages that wait")
    check_equal(arrived.qsize(), 0, "the number of messages beyond the prefetch")
    for n in range(7):
        await messages[n].ack()
        messages.append(await arrived.get())
    check_equal([message.body.decode() for message in messages], list("0123456789"), "the order")


async def missing_queue(connection, channel):
    await rejected(connection, 404, lambda channel: channel.get_queue(unique("missing")))
    await rejected(connection, 404, lambda channel: channel.get_exchange(unique("missing")))

    async def consume(channel):
        await channel.channel.basic_consume(unique("missing"), lambda message: None)
    await rejected(connection, 404, consume)


async def inequivalent_queue(connection, channel):
    name = unique("inequivalent")

    async def declare(channel, durable=False, arguments={"x-expires": 60000}):
        return await channel.declare_queue(name, durable=durable, arguments=arguments)

    queue = await declare(channel)
    await declare(channel)
    await rejected(connection, 406, lambda channel: declare(channel, durable=True))
    await rejected(connection, 406,
                   lambda channel: declare(channel, arguments={"x-expires": 61000}))
    await rejected(connection, 406, lambda channel: declare(channel, arguments=None))
    exchange = await channel.declare_exchange(name, ExchangeType.DIRECT)
    await rejected(connection, 406,
                   lambda channel: channel.declare_exchange(name, ExchangeType.FANOUT))
    await queue.delete()
    await exchange.delete()


async def dead_letter_queue(channel):
    exchange = await channel.declare_exchange(unique("dead"), ExchangeType.FANOUT,
                                              auto_delete=True)
    graveyard = await channel.declare_queue(exclusive=True)
    await graveyard.bind(exchange)
    return exchange, graveyard


def check_death(message, queue, reason):
    death = message.headers["x-death"][0]
    check_equal({key: death[key] for key in ["queue", "reason", "count", "exchange"]},
                {"queue": queue.name, "reason": reason, "count": 1, "exchange": ""}, "x-death")
    check_equal(death["routing-keys"], [queue.name], "the routing keys in x-death")
    check_equal(message.headers["x-first-death-reason"], reason, "x-first-death-reason")


async def dead_letters(connection, channel):
    exchange, graveyard = await dead_letter_queue(channel)
    queue = await channel.declare_queue(exclusive=True, arguments={
        "x-dead-letter-exchange": exchange.name, "x-dead-letter-routing-key": "late"})
    await publish(channel, queue, "bad")
    await (await get(queue)).nack(requeue=False)
    message = await get(graveyard)
    check_equal((message.body, message.routing_key), (b"bad", "late"), "the dead message")
    check_death(message, queue, "rejected")


async def ttl(connection, channel):
    exchange, graveyard = await dead_letter_queue(channel)
    dead_letter_to = {"x-dead-letter-exchange": exchange.name}
    queue = await channel.declare_queue(exclusive=True,
                                        arguments=dict(dead_letter_to, **{"x-message-ttl": 200}))
    await publish(channel, queue, "old")
    message = await get(graveyard)
    check_equal(message.body, b"old", "the expired message")
    check_death(message, queue, "expired")
    queue = await channel.declare_queue(exclusive=True, arguments=dead_letter_to)
    await publish(channel, queue, "short", expiration=0.2)
    message = await get(graveyard)
    check_equal(message.body, b"short", "the message with an expiration")
    check_death(message, queue, "expired")
    check(message.expiration is None, "a dead message's expiration is taken away")
    check_equal(message.headers["x-death"][0]["original-expiration"], "200", "and kept in x-death")


async def priorities(connection, channel):
    queue = await channel.declare_queue(exclusive=True, arguments={"x-max-priority": 5})
    for body, priority in [("low", 1), ("none", None), ("high", 5), ("low too", 1), ("beyond", 9),
                           ("middle", 3)]:
        await publish(channel, queue, body, priority=priority)
    check_equal(await get_bodies(queue, 6),
                ["high", "beyond", "middle", "low", "low too", "none"], "the order")


async def transactions(connection, channel):
    queue = await channel.declare_queue(unique("tx"), durable=True)
    sender = await connection.channel(publisher_confirms=False)
    async with sender.transaction():
        await publish(sender, queue, "a", "b", delivery_mode=DeliveryMode.PERSISTENT)
        await count(sender, queue)
        check_equal(await count(channel, queue), 0, "what is in the queue before the commit")
    check_equal(await count(channel, queue), 2, "what is in the queue after the commit")
    transaction = sender.transaction()
    await transaction.select()
    await publish(sender, queue, "c")
    await transaction.rollback()
    check_equal(await get_bodies(queue, 2), ["a", "b"], "what is there after a rollback")
    check_equal((await queue.delete()).message_count, 0, "the number of messages that are left")


async def server_named(connection, channel):
    owner = await aio_pika.connect(URL)
    queue = await (await owner.channel()).declare_queue(exclusive=True)
    check(queue.name.startswith("amq.gen-"), f"{queue.name} is no name that the broker has chosen")
    await rejected(connection, 405, lambda channel: channel.get_queue(queue.name))
    await owner.close()
    for _ in range(1000):
        try:
            await (await connection.channel()).get_queue(queue.name)
        except ERRORS[404]:
            return
        except ERRORS[405]:
            await asyncio.sleep(0.01)
    check(False, "an exclusive queue outlived its connection")


async def properties(connection, channel):
    queue = await channel.declare_queue(exclusive=True)
    headers = {
        "text": "grün", "true": True, "false": False, "int": 7, "negative": -70000,
        "big": 2**40, "list": [1, "two", {"three": 3}],
        "table": {"deep": {"deeper": "deepest"}}, "none": None,
    }
    options = {
        "content_type": "text/plain", "content_encoding": "utf-8",
        "delivery_mode": DeliveryMode.PERSISTENT, "priority": 4, "correlation_id": "c",
        "reply_to": "r", "expiration": 60, "message_id": "m", "type": "t", "user_id": "guest",
        "app_id": "a",
    }
    body = bytes(range(256))
    await channel.default_exchange.publish(
        Message(body, headers=headers, timestamp=1700000000, **options), queue.name)
    message = await get(queue)
    check_equal(message.body, body, "the body")
    for name, value in options.items():
        check_equal(getattr(message, name), value, name)
    check_equal(int(message.timestamp.timestamp()), 1700000000, "timestamp")
    check_equal(dict(message.headers), headers, "the headers")


async def large_message(connection, channel):
    queue = await channel.declare_queue(unique("large"), durable=True)
    body = os.urandom(4 << 20)
    await channel.default_exchange.publish(
        Message(body, delivery_mode=DeliveryMode.PERSISTENT), queue.name)
    message = await get(queue)
    check(message.body == body, "4 MiB came back changed")
    await message.ack()
    check_equal((await queue.delete()).message_count, 0, "the number of messages that are left")


async def heartbeats(connection, channel):
    idle = await aio_pika.connect(f"{URL}?heartbeat=1")
    async with idle:
        await asyncio.sleep(3.5)
        await (await idle.channel()).declare_queue(exclusive=True)


cases = {function.__name__: function for function in [
    exchange_types, confirms, consume_and_ack, nack_requeues, basic_get, mandatory_return,
    prefetch, missing_queue, inequivalent_queue, dead_letters, ttl, priorities, transactions,
    server_named, properties, large_message, heartbeats]}


async def main():
    connection = await aio_pika.connect(URL)
    async with connection:
        await cases[CASE](connection, await connection.channel())


asyncio.run(asyncio.wait_for(main(), 60))
