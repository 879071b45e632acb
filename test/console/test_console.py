"""A real browser on the console of a real broker with real traffic.

This half starts the broker, gives it messages as AMQP clients do and keeps some coming;
console.test.mjs drives the browser. LANDFALL_SCREENSHOTS names a folder for pictures of each page.
"""

import os
import pathlib
import shutil
import subprocess

import pika
import pytest

from broker import ROOT, Broker, die_with_parent, program
from http_api import HttpApi

HERE = pathlib.Path(__file__).resolve().parent
CONSOLE = ROOT / "web" / "dist"
MANY = 10_000

for needed, how in ((shutil.which("node"), "node is not installed: script/setup console"),
                    (shutil.which("chromium"), "chromium is not installed: script/setup console"),
                    ((HERE / "node_modules" / "playwright-core").exists(),
                     "the npm packages of test/console are not there: script/setup console"),
                    ((CONSOLE / "index.html").exists(), "the console is not built: script/web")):
    if not needed:
        pytest.skip(how, allow_module_level=True)

DEAD_LETTERED = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "orders.failed"}
EVIL = "<img src=x onerror=\"document.title='owned'\">"


def declare(channel):
    channel.exchange_declare("shop", "topic", durable=True)
    channel.exchange_declare("audit", "fanout", durable=True)
    channel.queue_declare("orders.failed", durable=True)
    channel.queue_declare("audit.log", durable=True)
    channel.queue_declare("orders.created", durable=True, arguments=DEAD_LETTERED)
    channel.queue_declare("orders.paid", durable=True, arguments=DEAD_LETTERED)
    # What is dead here stays, to be looked at.
    channel.queue_declare("payments.failed", durable=True)
    channel.queue_declare("payments", durable=True, arguments=DEAD_LETTERED | {
        "x-dead-letter-routing-key": "payments.failed"})
    channel.queue_declare("traced", durable=True, arguments={"x-trace": True})
    channel.queue_declare(EVIL, durable=True)
    channel.queue_bind("orders.created", "shop", "order.created")
    channel.queue_bind("orders.paid", "shop", "order.#")
    channel.exchange_bind("audit", "shop", "#")
    channel.queue_bind("audit.log", "audit", "")


def fill(channel):
    def publish(exchange, key, body, **properties):
        channel.basic_publish(exchange, key, body,
                              pika.BasicProperties(delivery_mode=2, **properties))

    for n in range(12):
        publish("shop", "order.created", b'{"order": %d, "customer": "c-%d"}' % (n, n % 3),
                message_id=f"order-{n}", headers={"tenant": "acme"})
    for _ in range(7):
        method, _, _ = channel.basic_get("orders.created")
        channel.basic_reject(method.delivery_tag, requeue=False)
    for n in range(3):
        publish("", "payments", b'{"payment": %d, "currency": "EUR"}' % n, message_id=f"payment-{n}",
                content_type="application/json", headers={"tenant": "acme", "retries": n})
        method, _, _ = channel.basic_get("payments")
        channel.basic_reject(method.delivery_tag, requeue=False)
    publish("", EVIL, EVIL.encode(), headers={EVIL: EVIL}, message_id=EVIL)
    publish("", "traced", b"one coffee", message_id="coffee-1", correlation_id="table-4")
    method, _, _ = channel.basic_get("traced")
    channel.basic_ack(method.delivery_tag)


def many_queues():
    return {"queues": [{"name": f"many.{n:05}", "vhost": "/", "durable": True,
                        "auto_delete": False, "arguments": {}} for n in range(MANY)]}


@pytest.mark.seconds(400)
def test_a_person_finds_their_way_in_the_console():
    arguments = ["--console-directory", CONSOLE]
    with Broker(arguments=arguments, http=True) as broker:
        channel = broker.connect().channel()
        channel.confirm_delivery()
        declare(channel)
        fill(channel)
        assert HttpApi(broker).post("/api/definitions", many_queues()).status == 204
        traffic = subprocess.Popen(
            [program("landfall"), "perf", "--broker", broker.url, "--queue", "traffic", "--rate",
             "400", "--size", "200", "--seconds", "390", "--quiet"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
        try:
            ended = subprocess.run(
                ["node", "--test", "--test-reporter=spec", HERE / "console.test.mjs"],
                env=os.environ | {"CONSOLE": f"http://127.0.0.1:{broker.http_port}",
                                  "BROKER_PID": str(broker.pid), "EVIL": EVIL},
                preexec_fn=die_with_parent, timeout=380, check=False)
        finally:
            traffic.kill()
            traffic.wait()
        assert ended.returncode == 0, "what failed is above"
