"""The cases of aio_pika_client.py: Python's asynchronous client aio-pika."""

import pytest
from languages import HERE, cases, needs, run

needs("python3-aio-pika", "/usr/bin/python3", "-c", "import aio_pika")


@pytest.mark.parametrize("case", cases("aio_pika"))
def test_aio_pika(broker, case):
    run(["/usr/bin/python3", HERE / "aio_pika_client.py", broker.url, case])
