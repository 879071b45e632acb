"""RabbitMQ's tutorials, the way each of its client libraries lets people write them."""

import threading

import pika
import pytest
from pika_extras import PERSISTENT, Consumer, get, publish_confirmed, wait_on


def test_1_hello_world(connect):
    receiver = connect().channel()
    receiver.queue_declare("hello")
    sender = connect()
    channel = sender.channel()
    channel.queue_declare(queue="hello")
    channel.basic_publish(exchange="", routing_key="hello", body="Hello World!")
    sender.close()
    received = []

    def callback(ch, method, properties, body):
        received.append(body)
        ch.stop_consuming()

    receiver.basic_consume(queue="hello", on_message_callback=callback, auto_ack=True)
    receiver.start_consuming()
    assert received == [b"Hello World!"]


def test_2_work_queues(connect):
    tasks = [b"task %d" % n for n in range(20)]
    channel = connect().channel()
    channel.queue_declare(queue="task_queue", durable=True)
    workers = []
    for _ in range(2):
        worker = connect().channel()
        worker.queue_declare(queue="task_queue", durable=True)
        worker.basic_qos(prefetch_count=1)
        workers.append(Consumer(worker, "task_queue"))
    for task in tasks:
        channel.basic_publish("", "task_queue", task,
                              pika.BasicProperties(
                                  delivery_mode=pika.spec.PERSISTENT_DELIVERY_MODE))
    acked = [0, 0]
    while sum(acked) < 20:
        for index, worker in enumerate(workers):
            worker.channel.connection.process_data_events(0.01)
            assert len(worker.deliveries) <= acked[index] + 1, "prefetch 1"
            if len(worker.deliveries) > acked[index]:
                worker.ack(acked[index])
                acked[index] += 1
    assert sorted(workers[0].bodies + workers[1].bodies) == sorted(tasks)
    assert min(acked) > 0, "one worker did everything"


def test_3_publish_subscribe(connect):
    subscribers = []
    for _ in range(3):
        channel = connect().channel()
        channel.exchange_declare(exchange="logs", exchange_type="fanout")
        queue = channel.queue_declare(queue="", exclusive=True).method.queue
        channel.queue_bind(exchange="logs", queue=queue)
        subscribers.append(Consumer(channel, queue, auto_ack=True))
    emitter = connect().channel()
    emitter.exchange_declare(exchange="logs", exchange_type="fanout")
    emitter.basic_publish(exchange="logs", routing_key="", body="info: Hello World!")
    for subscriber in subscribers:
        subscriber.wait_for(1)
        assert subscriber.bodies == [b"info: Hello World!"]


def test_4_routing(connect):
    def subscriber(*severities):
        channel = connect().channel()
        channel.exchange_declare(exchange="direct_logs", exchange_type="direct")
        queue = channel.queue_declare(queue="", exclusive=True).method.queue
        for severity in severities:
            channel.queue_bind(exchange="direct_logs", queue=queue, routing_key=severity)
        return Consumer(channel, queue, auto_ack=True)

    everything, errors = subscriber("info", "warning", "error"), subscriber("error")
    emitter = connect().channel()
    for severity in ("info", "warning", "error"):
        emitter.basic_publish("direct_logs", severity, severity)
    everything.wait_for(3)
    errors.wait_for(1)
    assert everything.bodies == [b"info", b"warning", b"error"]
    assert errors.bodies == [b"error"]


def test_5_topics(connect):
    def subscriber(*keys):
        channel = connect().channel()
        channel.exchange_declare(exchange="topic_logs", exchange_type="topic")
        queue = channel.queue_declare("", exclusive=True).method.queue
        for key in keys:
            channel.queue_bind(exchange="topic_logs", queue=queue, routing_key=key)
        return Consumer(channel, queue, auto_ack=True)

    everything, kernel = subscriber("#"), subscriber("kern.*")
    critical, both = subscriber("*.critical"), subscriber("kern.*", "*.critical")
    emitter = connect().channel()
    keys = ["kern.info", "cron.critical", "kern.critical", "anonymous.info"]
    for key in keys:
        emitter.basic_publish("topic_logs", key, key)
    for consumer, expected in ((everything, keys), (kernel, [keys[0], keys[2]]),
                               (critical, [keys[1], keys[2]]), (both, keys[:3])):
        consumer.wait_for(len(expected))
        assert consumer.bodies == [key.encode() for key in expected]


def test_6_remote_procedure_call(broker, connect):
    def serve():
        connection = broker.connect()
        channel = connection.channel()
        channel.queue_declare(queue="rpc_queue")
        channel.basic_qos(prefetch_count=1)
        ready.set()
        for method, properties, body in channel.consume("rpc_queue", inactivity_timeout=30):
            if method is None or body == b"stop":
                if method is not None:
                    channel.basic_ack(method.delivery_tag)
                break
            channel.basic_publish("", properties.reply_to, b"%d" % fibonacci(int(body)),
                                  pika.BasicProperties(correlation_id=properties.correlation_id))
            channel.basic_ack(delivery_tag=method.delivery_tag)
        connection.close()

    def fibonacci(n):
        return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

    ready = threading.Event()
    server = threading.Thread(target=serve)
    server.start()
    try:
        assert ready.wait(30)
        client = connect().channel()
        callback_queue = client.queue_declare(queue="", exclusive=True).method.queue
        answers = {}

        def on_response(_ch, _method, properties, body):
            answers[properties.correlation_id] = int(body)

        client.basic_consume(callback_queue, on_response, auto_ack=True)
        for n in range(15):
            client.basic_publish("", "rpc_queue", str(n), pika.BasicProperties(
                reply_to=callback_queue, correlation_id=str(n)))
        wait_on(client.connection, lambda: len(answers) == 15, "15 answers")
        assert answers == {str(n): fibonacci(n) for n in range(15)}
    finally:
        with broker.connect() as connection:
            connection.channel().basic_publish("", "rpc_queue", b"stop")
        server.join(60)
    assert not server.is_alive()


def test_7_publisher_confirms(channel, name):
    channel.queue_declare(name, durable=True)
    channel.confirm_delivery()
    for number in range(100):
        channel.basic_publish("", name, b"%d" % number, PERSISTENT, mandatory=True)
    for number in range(100):
        assert get(channel, name)[2] == b"%d" % number
    with pytest.raises(pika.exceptions.UnroutableError):
        publish_confirmed(channel, name + "-nobody", [b"x"])


@pytest.mark.parametrize("adapter", ["select", "asyncio"])
def test_asynchronous_adapters_publish_confirm_consume_and_ack(broker, name, adapter):
    """pika's other programming model: everything in callbacks of an event loop."""
    if adapter == "select":
        from pika import SelectConnection as Connection
    else:
        from pika.adapters.asyncio_connection import AsyncioConnection as Connection
    count = 200
    confirmed, received, problems = set(), [], []

    def on_open(connection):
        connection.channel(on_open_callback=on_channel)

    def on_channel(channel):
        channel.add_on_close_callback(lambda _, reason: check_done(channel, reason))
        channel.queue_declare(name, durable=True, callback=lambda _: on_declared(channel))

    def on_declared(channel):
        channel.confirm_delivery(lambda frame: on_confirm(channel, frame.method),
                                 callback=lambda _: publish(channel))
        channel.basic_qos(prefetch_count=10)
        channel.basic_consume(name, on_message)

    def publish(channel):
        for number in range(count):
            channel.basic_publish("", name, b"%d" % number, PERSISTENT)

    def on_confirm(channel, method):
        assert isinstance(method, pika.spec.Basic.Ack)
        first = method.delivery_tag if not method.multiple else max(confirmed, default=0) + 1
        confirmed.update(range(first, method.delivery_tag + 1))
        finish(channel)

    def on_message(channel, method, _properties, body):
        received.append(body)
        channel.basic_ack(method.delivery_tag)
        finish(channel)

    def finish(channel):
        if len(confirmed) == count and len(received) == count and channel.is_open:
            channel.close()

    def check_done(channel, reason):
        if not isinstance(reason, pika.exceptions.ChannelClosedByClient):
            problems.append(reason)
        if channel.connection.is_open:
            channel.connection.close()

    def on_closed(connection, reason):
        if not isinstance(reason, pika.exceptions.ConnectionClosedByClient):
            problems.append(reason)
        connection.ioloop.stop()

    connection = Connection(broker.parameters(), on_open_callback=on_open,
                            on_open_error_callback=on_closed, on_close_callback=on_closed)
    if adapter == "select":
        connection.ioloop.start()
    else:
        connection.ioloop.run_forever()
    assert not problems
    assert received == [b"%d" % n for n in range(count)]


def test_generators_of_messages_end_after_silence(channel, name):
    channel.queue_declare(name)
    publish_confirmed(channel, name, [b"1", b"2", b"3"])
    bodies = []
    for method, _, body in channel.consume(name, inactivity_timeout=0.5):
        if method is None:
            break
        bodies.append(body)
        channel.basic_ack(method.delivery_tag)
    channel.cancel()
    assert bodies == [b"1", b"2", b"3"]
