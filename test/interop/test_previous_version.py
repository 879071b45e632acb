"""A data directory that a broker of format version 1 has left behind when it was killed.

data/version-1.tar.xz was made by a release build of the last commit before version 2, with
`--workers 1 --shards 2 --segment-size 1MiB --journal-window 1MiB`: some queues were filled by hand, one
more until checkpoints were written; then the process was killed. Its spare segments are left out.
"""

import pathlib
import subprocess
import tarfile

import pytest
from broker import Broker, program, wait_until
from pika_extras import Consumer, close, wait_on

FIXTURE = pathlib.Path(__file__).resolve().parent / "data" / "version-1.tar.xz"


@pytest.fixture
def old_broker(workers, tmp_path):
    with tarfile.open(FIXTURE) as archive:
        archive.extractall(tmp_path)
    verified = subprocess.run([program("landfall"), "journal", "verify", tmp_path], capture_output=True,
                              text=True, check=False)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    broker = Broker(workers, ["--shards", "2"], tmp_path)
    yield broker
    broker.stop()


def drained(broker, queue):
    """All that is in the queue, as (body, redelivered)."""
    connection = broker.connect()
    channel = connection.channel()
    count = channel.queue_declare(queue, passive=True).method.message_count
    consumer = Consumer(channel, queue, auto_ack=True)
    wait_on(connection, lambda: len(consumer.deliveries) == count,
            lambda: f"{count} deliveries; there are {len(consumer.deliveries)}", 30)
    found = [(body.decode(), method.redelivered) for method, _, body in consumer.deliveries]
    close(connection)
    return found


def test_everything_is_there_and_the_directory_is_taken_over(old_broker):
    assert (old_broker.data / "format").read_text() == "landfall data directory, version 2\n"
    plain = drained(old_broker, "plain")
    assert [body for body, _ in plain] == [f"plain {n}" for n in range(11, 70)]
    urgent = [body for body, _ in drained(old_broker, "urgent")]
    assert urgent == [f"urgent {n}" for n in (2, 5, 1, 4, 0, 3)]
    assert drained(old_broker, "retry")[0] == ("retry 0", True)
    # Their time was over long ago.
    dead = []
    wait_until(lambda: (dead.extend(drained(old_broker, "dead")), len(dead) == 3)[1],
               "what was too old is dead-lettered")
    assert sorted(body for body, _ in dead) == ["short 0", "short 1", "short 2"]
