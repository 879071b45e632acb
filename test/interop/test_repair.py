"""`landfall journal repair` on the data directory of a real broker."""

import subprocess

import pytest
from broker import Broker, program
from pika_extras import drain, publish_confirmed

COUNT = 50


def journal(command, *arguments):
    done = subprocess.run([program("landfall"), "journal", command, *arguments], capture_output=True,
                          text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def broker(workers):
    broker = Broker(workers)
    yield broker
    broker.stop()


def body(number):
    return b"the message with the number %03d" % number


def fill(broker):
    connection = broker.connect()
    channel = connection.channel()
    channel.queue_declare("q", durable=True)
    for number in range(COUNT):  # each in a batch of its own
        publish_confirmed(channel, "q", [body(number)])
    connection.close()


def damage(data, text):
    """Flips a bit in the first place of the journal that has the text."""
    for segment in sorted((data / "journal").glob("[0-9]*.lfj")):
        content = bytearray(segment.read_bytes())
        at = content.find(text)
        if at >= 0:
            content[at] ^= 1
            segment.write_bytes(content)
            return segment
    raise AssertionError(f"{text} is in no segment")


def test_the_broker_serves_all_but_what_was_damaged(broker, tmp_path):
    fill(broker)
    code, said = journal("repair", broker.data)
    assert code == 1 and "in use by another broker" in said

    broker.kill()
    segment = damage(broker.data, body(20))
    evidence = segment.read_bytes()
    assert journal("verify", broker.data)[0] == 1
    code, said = journal("repair", "--dry-run", broker.data)
    assert code == 1 and "would repair: " in said
    code, said = journal("repair", "--to", tmp_path / "copy", broker.data)
    assert code == 0, said
    assert segment.read_bytes() == evidence
    code, said = journal("repair", broker.data)
    assert code == 0 and f"repaired: {segment} offset " in said, said
    assert segment.with_name(segment.name + ".damaged").read_bytes() == evidence
    code, said = journal("repair", broker.data)
    assert code == 0 and "nothing to repair" in said, said

    log = len(broker.log())
    broker.start()
    connection = broker.connect()
    assert drain(connection.channel(), "q") == [body(n) for n in range(COUNT) if n != 20]
    connection.close()
    assert "damaged;" not in broker.log()[log:]


def test_the_broker_does_not_start_without_a_part_of_its_definitions(broker):
    """It would take queues for deleted, and drop their messages."""
    connection = broker.connect()
    channel = connection.channel()
    for name in ("q", "damaged", "later"):
        channel.queue_declare(name, durable=True)
    publish_confirmed(channel, "q", [body(1)])
    broker.kill()
    damage(broker.data, b"damaged")
    with pytest.raises(AssertionError, match="a part of the definitions .* cannot be read"):
        broker.start()
    code, said = journal("repair", broker.data)
    assert code == 0, said
    broker.start()
    connection = broker.connect()
    assert drain(connection.channel(), "q") == [body(1)]
    connection.close()
