"""The cases of kombu_client.py: Python's kombu with py-amqp, what Celery speaks through."""

import pytest
from languages import HERE, cases, needs, run

needs("python3-kombu", "/usr/bin/python3", "-c", "import kombu, amqp")


@pytest.mark.parametrize("case", cases("kombu"))
def test_kombu(broker, case):
    run(["/usr/bin/python3", HERE / "kombu_client.py", broker.url, case])
