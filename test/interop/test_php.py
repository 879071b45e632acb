"""The cases of php_amqplib_client.php: the PHP client php-amqplib."""

import pytest
from languages import HERE, cases, needs, run

needs("php-cli with php-amqplib", "php", "-r", "require 'PhpAmqpLib/autoload.php';")


@pytest.mark.parametrize("case", cases("php_amqplib"))
def test_php_amqplib(broker, case):
    run(["php", HERE / "php_amqplib_client.php", broker.url, case])
