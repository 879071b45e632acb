"""What the tests of the folders beside this one have in common, as pytest fixtures.

Every test runs with one worker and with three. LANDFALL_TEST_WORKERS ("1", "3" or "1,3") chooses,
so that CTest can run both at the same time.
"""

import itertools
import logging
import os
import pathlib
import signal
import tempfile

import pytest

from broker import Broker, OtherBroker, wait_until
from http_api import HttpApi, quote
from pika_extras import close

TEST_SECONDS = 90
_numbers = itertools.count(1)


def pytest_configure(config):
    # Most tests provoke errors; what pika says about each would bury the one that matters.
    logging.getLogger("pika").setLevel(logging.CRITICAL)
    config.addinivalue_line("markers", "seconds(n): how long the test may take at most")
    config.addinivalue_line("markers", "ours: not every AMQP broker does this")


def pytest_generate_tests(metafunc):
    if "workers" in metafunc.fixturenames:
        if os.environ.get("LANDFALL_TEST_PEER"):
            counts = [1]
        else:
            counts = [int(n) for n in os.environ.get("LANDFALL_TEST_WORKERS", "1,3").split(",")]
        metafunc.parametrize("workers", counts, scope="module",
                             ids=[f"{n}_worker{'s' * (n != 1)}" for n in counts])


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    """A test that hangs fails, and still cleans up."""
    mark = item.get_closest_marker("seconds")
    seconds = mark.args[0] if mark else TEST_SECONDS

    def too_late(*_):
        raise TimeoutError(f"the test took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, too_late)
    signal.alarm(seconds)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """The broker's log belongs to the report of a failed test."""
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for name in ("shared_broker", "own_broker"):
            broker = item.funcargs.get(name)
            if isinstance(broker, Broker):
                report.sections.append(("the broker's log", broker.log_tail()))


@pytest.fixture(scope="module")
def shared_broker(workers):
    peer = os.environ.get("LANDFALL_TEST_PEER")
    broker = OtherBroker(peer) if peer else Broker(workers)
    yield broker
    broker.stop()


@pytest.fixture
def broker(request, shared_broker):
    """One for all tests of a file. After each it must be alive and hold no connection any more."""
    if request.node.get_closest_marker("ours") and isinstance(shared_broker, OtherBroker):
        pytest.skip("a feature of Landfall")
    shared_broker.check()
    yield shared_broker
    shared_broker.check()
    wait_until(lambda: shared_broker.connections() == 0, "the broker has closed every connection")


@pytest.fixture(scope="module")
def http_broker(workers):
    """With the HTTP API, for all tests of a file."""
    broker = Broker(workers, http=True)
    yield broker
    broker.stop()


@pytest.fixture
def api(http_broker):
    """Its HTTP API, as guest."""
    http_broker.check()
    yield HttpApi(http_broker)
    http_broker.check()


@pytest.fixture
def api_channel(api):
    """A channel with confirms at the broker of `api`."""
    connection = api.broker.connect()
    channel = connection.channel()
    channel.confirm_delivery()
    yield channel
    connection.close()


@pytest.fixture
def vhost(api, name):
    """One of the test's own, at the broker of `api`."""
    assert api.put(f"/api/vhosts/{quote(name)}").status == 201
    yield name
    api.delete(f"/api/vhosts/{quote(name)}")


@pytest.fixture
def own_http_broker(workers):
    """One with the HTTP API that the test may kill and start again."""
    broker = Broker(workers, http=True)
    yield broker
    broker.stop()


@pytest.fixture
def own_broker(workers):
    """One that the test may kill and start again."""
    if os.environ.get("LANDFALL_TEST_PEER"):
        pytest.skip("needs a broker of its own")
    broker = Broker(workers)
    yield broker
    broker.stop()


@pytest.fixture
def connect(broker):
    """Opens pika connections that are closed when the test is over."""
    opened = []

    def connect(**parameters):
        opened.append(broker.connect(**parameters))
        return opened[-1]

    yield connect
    for connection in opened:
        close(connection)


@pytest.fixture
def connection(connect):
    return connect()


@pytest.fixture
def channel(connection):
    return connection.channel()


@pytest.fixture
def directory():
    """For what programs print."""
    with tempfile.TemporaryDirectory(prefix="landfall-test-") as directory:
        yield pathlib.Path(directory)


@pytest.fixture
def name(request):
    """A name for queues and exchanges that no other test uses."""
    return f"{request.node.originalname[:80]}-{os.getpid()}-{next(_numbers)}"

