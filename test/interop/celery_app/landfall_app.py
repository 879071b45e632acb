"""A Celery application whose every effect is a line in a file.

    LANDFALL_URL=amqp://... EFFECTS=/path/of/the/file celery -A landfall_app worker

A line is appended with one write before the message is acked, so it outlives a worker that is
killed; a task that ran twice has two lines.
"""

import os
import time

from celery import Celery

app = Celery("landfall_app", broker=os.environ["LANDFALL_URL"], backend="rpc://")
app.conf.update(
    # A task is acked when it has run, and given back when its process was lost.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=8,
    # apply_async returns, and a chain goes on, only when the broker has confirmed the message.
    broker_transport_options={"confirm_publish": True},
    task_publish_retry_policy={"max_retries": None, "interval_start": 0.1, "interval_max": 1},
    # A worker waits for a broker that is away, however often.
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    result_expires=60,
)

EFFECTS = os.open(os.environ["EFFECTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def record(kind, name, *more):
    os.write(EFFECTS, (" ".join(map(str, [kind, name, *more])) + "\n").encode())


@app.task
def single(name):
    record("single", name)


@app.task
def link(so_far, name, step):
    """A step of a chain: it is given what the steps before it gave."""
    record("link", f"{name}/{step}", so_far)
    return so_far + step


@app.task(bind=True, max_retries=3)
def stubborn(self, name):
    """Works at the third attempt."""
    if self.request.retries < 2:
        record("attempt", f"{name}/{self.request.retries}")
        raise self.retry(countdown=0.2)
    record("stubborn", name)


@app.task
def timed(name, due):
    record("timed", name, due, time.time())


@app.task(ignore_result=False)
def add(a, b):
    return a + b
