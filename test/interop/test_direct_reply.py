"""Direct reply-to: replies without a queue. The two sides may live on different workers."""

import pika
import pytest
from pika_extras import Consumer, channel_closed_with, get, settle_down

PSEUDO_QUEUE = "amq.rabbitmq.reply-to"


def request(channel, queue, body=b"request", **properties):
    channel.basic_publish("", queue, body,
                          pika.BasicProperties(reply_to=PSEUDO_QUEUE, **properties))


@pytest.fixture
def address(channel, name):
    """Where to reply to the consumer `replies` of `channel`."""
    channel.queue_declare(name, exclusive=True)
    channel.replies = Consumer(channel, PSEUDO_QUEUE, auto_ack=True)
    request(channel, name)
    return get(channel, name)[1].reply_to


def test_requests_are_answered_over_many_connections(connect, name):
    server = connect().channel()
    server.queue_declare(name)
    clients = []
    for number in range(8):
        client = connect().channel()
        client.replies = Consumer(client, PSEUDO_QUEUE, auto_ack=True)
        for n in range(20):
            request(client, name, b"%d-%d" % (number, n), correlation_id=str(n))
        clients.append(client)
    for _ in range(8 * 20):
        _, properties, body = get(server, name)
        server.basic_publish("", properties.reply_to, b"re " + body,
                             pika.BasicProperties(correlation_id=properties.correlation_id))
    for number, client in enumerate(clients):
        deliveries = client.replies.wait_for(20)
        assert [body for _, _, body in deliveries] == [b"re %d-%d" % (number, n) for n in range(20)]
        assert [p.correlation_id for _, p, _ in deliveries] == [str(n) for n in range(20)]
        settle_down(client.connection)
        assert len(client.replies.deliveries) == 20
    server.queue_delete(name)


def test_the_address_is_unique_and_long(channel, address, connect, name):
    assert address.startswith(PSEUDO_QUEUE + ".")
    assert len(address) > len(PSEUDO_QUEUE) + 32
    other = connect().channel()
    Consumer(other, PSEUDO_QUEUE, auto_ack=True)
    other.queue_declare(name + "-2", exclusive=True)
    request(other, name + "-2")
    assert get(other, name + "-2")[1].reply_to != address


def test_a_large_reply_arrives_whole(channel, address, connect):
    body = bytes(range(256)) * 4096
    connect().channel().basic_publish("", address, body)
    (method, _, received), = channel.replies.wait_for(1)
    assert received == body
    assert (method.exchange, method.routing_key) == ("", address)


def test_a_reply_is_confirmed(address, connect):
    server = connect().channel()
    server.confirm_delivery()
    server.basic_publish("", address, b"reply", mandatory=True)


@pytest.mark.ours
@pytest.mark.parametrize("end", ["cancel", "channel", "connection"])
def test_a_reply_to_nobody_is_unroutable(channel, address, connect, end):
    {"cancel": lambda: channel.basic_cancel(channel.replies.tag), "channel": channel.close,
     "connection": channel.connection.close}[end]()
    server = connect().channel()
    server.confirm_delivery()
    with pytest.raises(pika.exceptions.UnroutableError):
        server.basic_publish("", address, b"too late", mandatory=True)
    server.basic_publish("", address, b"too late, and nobody minds")


@pytest.mark.parametrize("forged", [
    PSEUDO_QUEUE + ".", PSEUDO_QUEUE + ".x", PSEUDO_QUEUE + "." + "f" * 52,
    PSEUDO_QUEUE + "." + "0" * 52])
def test_a_forged_address_leads_nowhere(connect, forged):
    server = connect().channel()
    server.confirm_delivery()
    server.basic_publish("", forged, b"x")
    with channel_closed_with(404):
        server.queue_declare(forged, passive=True)


def test_declaring_an_address_tells_whether_its_consumer_is_there(channel, address, connect):
    server = connect().channel()
    for passive in (True, False):
        ok = server.queue_declare(address, passive=passive).method
        assert (ok.queue, ok.message_count, ok.consumer_count) == (address, 0, 1)
    assert server.queue_declare(PSEUDO_QUEUE, passive=True).method.consumer_count == 1
    channel.close()
    with channel_closed_with(404):
        server.queue_declare(address)


def test_replies_cannot_be_acknowledged(connection):
    with channel_closed_with(406):
        connection.channel().basic_consume(PSEUDO_QUEUE, print, auto_ack=False)


def test_a_channel_has_one_reply_consumer(channel, address):
    with channel_closed_with(406):
        channel.basic_consume(PSEUDO_QUEUE, print, auto_ack=True)


def test_a_request_needs_the_consumer_first(connection, name):
    channel = connection.channel()
    channel.queue_declare(name, exclusive=True)
    channel.confirm_delivery()
    with channel_closed_with(406):
        request(channel, name)


def test_an_address_does_not_outlive_its_broker(own_broker, name):
    channel = own_broker.connect().channel()
    channel.queue_declare(name, durable=True)
    Consumer(channel, PSEUDO_QUEUE, auto_ack=True)
    request(channel, name, delivery_mode=2)
    request(channel, name, delivery_mode=2)
    old = get(channel, name)[1].reply_to
    own_broker.kill()
    own_broker.start()
    channel = own_broker.connect().channel()
    replies = Consumer(channel, PSEUDO_QUEUE, auto_ack=True)
    channel.basic_publish("", old, b"for nobody")
    settle_down(channel.connection)
    assert replies.deliveries == []
