"""Our own client and command line against the real broker: every verb they have."""

import subprocess
import time

import pytest
from broker import die_with_parent, program, wait_until
from client_driver import Arrival, ReceiveDriver, SendDriver
from pika_extras import drain, get, message_count, publish_confirmed

pytestmark = pytest.mark.ours
SOON = 15  # seconds in which a command has to give up, far below the minutes of the client's timers
MIB = 1 << 20


class Drivers:
    """Starts client_driver programs; none outlives the test."""

    def __init__(self, directory, url):
        self.directory = directory
        self.url = url
        self.started = []

    def _start(self, kind, *arguments):
        driver = kind(self.directory, self.url, *arguments, name=f"driver{len(self.started)}")
        self.started.append(driver)
        return driver

    def send(self, count, queue, *arguments):
        return self._start(SendDriver, count, "--queue", queue, *arguments)

    def receive(self, queue, *arguments):
        return self._start(ReceiveDriver, queue, *arguments)

    def kill(self):
        for driver in self.started:
            driver.kill()


@pytest.fixture
def drivers(broker, directory):
    drivers = Drivers(directory, broker.url)
    yield drivers
    drivers.kill()


def declare(channel, name, **arguments):
    channel.queue_declare(name, durable=True, arguments={
        f"x-{key.replace('_', '-')}": value for key, value in arguments.items()})
    return name


def take_all(channel, queue):
    """[(number, delivery count)] of what is left, taken out."""
    taken = []
    while message_count(channel, queue):
        _, properties, body = get(channel, queue)
        count = (properties.headers or {}).get("x-delivery-count", 0)
        taken.append((int(body.split(b".")[0]), count))
    return taken


# What a sender is told.

def test_messages_land_and_so_do_their_acks(drivers, channel, name):
    receiver = drivers.receive(name, "--declare", "durable")
    assert drivers.send(300, name, "--declare", "durable").outcomes() == {"landed"}
    wait_until(lambda: len(receiver.told("acked")) == 300, "every ack has landed")
    receiver.terminate()
    assert receiver.arrivals() == [Arrival(n, False, 0, 20) for n in range(1, 301)]
    assert sorted(receiver.told("acked")) == list(range(1, 301))
    assert message_count(channel, name) == 0


def test_what_landed_is_there_after_kill_9_and_what_was_acked_is_not(own_broker, directory):
    drivers = Drivers(directory, own_broker.url)
    try:
        assert drivers.send(100, "q", "--declare", "durable").outcomes() == {"landed"}
        own_broker.kill()
        own_broker.start()
        receiver = drivers.receive("q")
        wait_until(lambda: len(receiver.told("acked")) == 100, "every ack has landed")
        own_broker.kill()
        own_broker.start()
        receiver.terminate()
        assert set(receiver.received()) == set(range(1, 101))
        connection = own_broker.connect()
        assert message_count(connection.channel(), "q") == 0
        connection.close()
    finally:
        drivers.kill()


def test_a_message_for_a_transient_queue_is_accepted(drivers, channel, name):
    assert drivers.send(20, name, "--declare", "transient").outcomes() == {"accepted"}
    assert message_count(channel, name) == 20


def test_a_message_for_no_queue_is_returned(drivers, name):
    sender = drivers.send(20, name)
    assert sender.outcomes() == {"returned"}
    assert "312 NO_ROUTE" in sender.output.read_text()


def test_a_message_for_no_exchange_is_refused(drivers, name):
    assert drivers.send(5, name, "--exchange", name).outcomes() == {"refused"}


def test_own_sequences_are_recognised_in_a_new_process(drivers, channel, name):
    declare(channel, name)
    assert drivers.send(50, name, "--producer", name).outcomes() == {"landed"}
    assert drivers.send(50, name, "--producer", name).outcomes() == {"duplicate"}
    half_new = drivers.send(50, name, "--producer", name, "--first", 26)
    assert half_new.outcomes() == {"landed", "duplicate"}
    assert {n for n, (call,) in half_new.results().items() if call[0] == "duplicate"} == set(
        range(26, 51))
    assert sorted(number for number, _ in take_all(channel, name)) == list(range(1, 76))


def test_an_older_epoch_is_fenced(drivers, channel, name):
    declare(channel, name)
    assert drivers.send(5, name, "--producer", name, "--epoch", 7).outcomes() == {"landed"}
    older = drivers.send(5, name, "--producer", name, "--epoch", 6, "--first", 100)
    assert older.outcomes() == {"fenced"}
    newer = drivers.send(5, name, "--producer", name, "--epoch", 8, "--first", 6)
    assert newer.outcomes() == {"landed"}
    assert [number for number, _ in take_all(channel, name)] == list(range(1, 11))


def test_a_body_of_32_mib_arrives_whole(drivers, name):
    # An instrumented broker may be busy with one of them for longer than a heartbeat.
    patient = ("--declare", "durable", "--heartbeat", 60)
    receiver = drivers.receive(name, *patient)
    sender = drivers.send(2, name, *patient, "--size", 32 * MIB, "--resend", 60000)
    assert sender.outcomes() == {"landed"}
    wait_until(lambda: len(receiver.told("acked")) == 2, "both acks have landed", 60)
    assert receiver.arrivals() == [Arrival(n, False, 0, 32 * MIB) for n in (1, 2)]
    receiver.terminate()


# What a receiver can say.

def test_a_nack_brings_the_message_back_after_its_delay(drivers, channel, name):
    declare(channel, name, delivery_limit=5)
    receiver = drivers.receive(name, "--at-first", "nack", "--ms", 1200)
    before = time.monotonic()
    drivers.send(3, name).outcomes()
    wait_until(lambda: len(receiver.told("acked")) == 3, "all come again")
    assert time.monotonic() - before >= 1.2, "they came too early"
    assert sorted(receiver.arrivals()) == [
        Arrival(n, again, int(again), 20) for n in (1, 2, 3) for again in (False, True)]
    receiver.terminate()


def test_a_rejected_message_is_dead_lettered(drivers, channel, name):
    dead = declare(channel, name + "-dead")
    declare(channel, name, dead_letter_exchange="", dead_letter_routing_key=dead)
    receiver = drivers.receive(name, "--at-first", "reject")
    drivers.send(20, name).outcomes()
    wait_until(lambda: message_count(channel, dead) == 20, "all are dead-lettered")
    receiver.terminate()
    assert set(receiver.received().values()) == {1}
    assert sorted(number for number, _ in take_all(channel, dead)) == list(range(1, 21))


def test_a_lease_that_is_renewed_does_not_run_out(drivers, channel, name):
    declare(channel, name, consumer_timeout=300)
    receiver = drivers.receive(name, "--at-first", "renew", "--ms", 60000, "--work", 1000)
    drivers.send(1, name).outcomes()
    wait_until(lambda: receiver.told("acked") == [1], "its ack has landed")
    receiver.terminate()
    assert receiver.told("renewed") == [1]
    assert receiver.arrivals() == [Arrival(1, False, 0, 20)]
    assert message_count(channel, name) == 0


def test_a_message_that_is_given_back_comes_again_without_a_failure(drivers, channel, name):
    declare(channel, name, delivery_limit=1)
    receiver = drivers.receive(name, "--at-first", "give-back")
    drivers.send(20, name).outcomes()
    wait_until(lambda: len(receiver.told("acked")) == 20, "all come again")
    receiver.terminate()
    assert sorted(receiver.arrivals()) == [
        Arrival(n, again, 0, 20) for n in range(1, 21) for again in (False, True)]


def test_clean_stops_of_a_receiver_wear_no_message_out(drivers, channel, name):
    """What it has prefetched and not looked at is not a failed delivery."""
    declare(channel, name, delivery_limit=1)
    drivers.send(200, name).outcomes()
    received = []
    for _ in range(6):
        receiver = drivers.receive(name, "--window", 200, "--work", 30)
        wait_until(receiver.arrivals, "it is at work")
        receiver.terminate()
        received += receiver.arrivals()
    assert all(arrival.count == 0 for arrival in received)
    left = take_all(channel, name)
    assert left, "the receivers were too fast for this test"
    assert sorted([a.number for a in received] + [number for number, _ in left]) == list(
        range(1, 201)), "lost, or received twice"
    assert {count for _, count in left} == {0}


# The command line.

def landfall(*arguments, **more):
    return subprocess.run([program("landfall"), *map(str, arguments)], capture_output=True,
                          text=True, timeout=SOON, preexec_fn=die_with_parent, **more)


def recv(broker, queue, *arguments):
    ran = landfall("recv", "--broker", broker.url, "--queue", queue, *arguments)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split()


def fill(channel, name, count):
    declare(channel, name, delivery_limit=1)
    publish_confirmed(channel, name, [b"%d" % n for n in range(count)])


def test_recv_takes_as_many_as_it_was_asked_for(broker, channel, name):
    fill(channel, name, 30)
    for number in range(10):
        assert recv(broker, name, "-n", 1) == [str(number)]
    assert take_all(channel, name) == [(n, 0) for n in range(10, 30)]


def test_recv_may_look_as_often_as_it_likes(broker, channel, name):
    fill(channel, name, 30)
    for _ in range(10):
        assert recv(broker, name, "--no-ack", "-n", 7) == [str(n) for n in range(7)]
        assert recv(broker, name, "--no-ack", "--timeout", 0.2) == [str(n) for n in range(30)]
    assert take_all(channel, name) == [(n, 0) for n in range(30)]


def test_send_reports_what_became_of_each_line(broker, channel, name):
    lines = "".join(f"{n}\n" for n in range(20000))
    ran = landfall("send", "--broker", broker.url, "--queue", name, "--declare", input=lines)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == "20000 landed, 0 duplicate, 0 accepted, 0 returned, 0 failed\n"
    assert message_count(channel, name) == 20000


@pytest.mark.parametrize("lines", [3, 20000, None], ids=["few", "above_the_window", "open_end"])
@pytest.mark.parametrize("trouble, says", [
    ("declaration", "406 PRECONDITION_FAILED"),
    ("password", "403 ACCESS_REFUSED"),
    ("exchange", "404 NOT_FOUND"),
])
def test_send_ends_at_once_when_sending_on_is_of_no_use(broker, channel, name, trouble, says,
                                                        lines):
    declare(channel, name, delivery_limit=1)
    url = broker.url.replace(":guest@", ":wrong@") if trouble == "password" else broker.url
    more = {"declaration": ["--declare"], "exchange": ["--exchange", name]}.get(trouble, [])
    command = [program("landfall"), "send", "--broker", url, "--queue", name, *more]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, preexec_fn=die_with_parent) as sender:
        if lines is None:
            sender.stdin.write("one line\n")
            sender.stdin.flush()  # and no end
            assert sender.wait(SOON) == 1
            errors = sender.stderr.read()
        else:
            _, errors = sender.communicate("line\n" * lines, timeout=SOON)
            assert sender.returncode == 1
    complaint, = errors.splitlines()
    assert says in complaint
    assert drain(channel, name) == []
