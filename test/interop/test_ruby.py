"""The cases of bunny_client.rb: the Ruby client bunny."""

import pytest
from languages import HERE, cases, needs, run

needs("ruby-bunny", "ruby", "-e", "require 'bunny'")


@pytest.mark.parametrize("case", cases("bunny"))
def test_bunny(broker, case):
    run(["ruby", HERE / "bunny_client.rb", broker.url, case])
