"""Small verbs on top of pika's blocking channels that tests of AMQP behaviour need all the time."""

import contextlib
import time

import pika
import pytest

PERSISTENT = pika.BasicProperties(delivery_mode=2)


class Consumer:
    """A subscription whose deliveries are kept in the order of their arrival."""

    def __init__(self, channel, queue, auto_ack=False, **consume):
        self.channel = channel
        self.deliveries = []  # (method, properties, body)
        self.times = []       # time.monotonic() of each
        self.cancelled = False
        channel.add_on_cancel_callback(self._on_cancel)
        self.tag = channel.basic_consume(queue, self._on_message, auto_ack=auto_ack, **consume)

    def _on_message(self, _channel, method, properties, body):
        self.times.append(time.monotonic())
        self.deliveries.append((method, properties, body))

    def _on_cancel(self, _method):
        self.cancelled = True

    @property
    def bodies(self):
        return [body for _, _, body in self.deliveries]

    def wait_for(self, count, seconds=30.0):
        """Returns the first `count` deliveries once they are there."""
        wait_on(self.channel.connection, lambda: len(self.deliveries) >= count,
                lambda: f"{count} deliveries; there are {len(self.deliveries)}", seconds)
        return self.deliveries[:count]

    def ack(self, number, multiple=False):
        self.channel.basic_ack(self.deliveries[number][0].delivery_tag, multiple)


def wait_on(connection, condition, what, seconds=30.0):
    """Lets a connection do its work until condition() holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        left = deadline - time.monotonic()
        text = what() if callable(what) else what
        assert left > 0, f"not within {seconds:g} s: {text}"
        connection.process_data_events(time_limit=min(left, 0.05))


def round_trip(channel):
    """Everything that the broker had sent on this connection before has arrived afterwards."""
    channel.basic_qos(prefetch_count=0, global_qos=True)


def settle_down(connection):
    """Gives deliveries that should not come the time to come."""
    connection.channel().close()
    connection.process_data_events(time_limit=0.2)


def close(connection):
    try:
        if connection.is_open:
            connection.close()
    except (pika.exceptions.AMQPError, OSError):
        pass


def get(channel, queue, auto_ack=True, seconds=20.0):
    """basic.get until there is a message."""
    deadline = time.monotonic() + seconds
    while True:
        method, properties, body = channel.basic_get(queue, auto_ack)
        if method is not None:
            return method, properties, body
        assert time.monotonic() < deadline, f"no message in '{queue}' within {seconds:g} s"
        time.sleep(0.01)


def drain(channel, queue):
    """The bodies that a queue holds, taken out."""
    bodies = []
    while True:
        method, _, body = channel.basic_get(queue, auto_ack=True)
        if method is None:
            return bodies
        bodies.append(body)


def message_count(channel, queue):
    return channel.queue_declare(queue, passive=True).method.message_count


def consumer_count(channel, queue):
    return channel.queue_declare(queue, passive=True).method.consumer_count


def publish_confirmed(channel, routing_key, bodies, exchange="", properties=PERSISTENT):
    """Publishes and waits for the confirm of each."""
    channel.confirm_delivery()
    for body in bodies:
        channel.basic_publish(exchange, routing_key, body, properties, mandatory=True)


@contextlib.contextmanager
def channel_closed_with(code, text=""):
    """The block makes the broker close the channel with this code and a text that has this in it."""
    with pytest.raises(pika.exceptions.ChannelClosedByBroker) as caught:
        yield
    assert caught.value.reply_code == code, caught.value
    assert caught.value.reply_text and text in caught.value.reply_text


@contextlib.contextmanager
def connection_closed_with(*codes):
    """The block makes the broker close the connection with one of these codes."""
    with pytest.raises((pika.exceptions.ConnectionClosedByBroker,
                        pika.exceptions.ProbableAuthenticationError,
                        pika.exceptions.ProbableAccessDeniedError)) as caught:
        yield
    error = caught.value
    if isinstance(error, pika.exceptions.ConnectionClosedByBroker):
        assert error.reply_code in codes, error
        assert error.reply_text
    else:
        # pika hides the broker's answer during the handshake in a text.
        assert any(f"({code})" in str(error) or f"{code}" in str(error) for code in codes), error
