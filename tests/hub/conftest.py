"""One double per session, empty for each test. Other folders import the two fixtures from here."""

from collections.abc import Iterator

import pytest

from tests.hub.double import HubDouble


@pytest.fixture(scope="session")
def running_double() -> Iterator[HubDouble]:
    with HubDouble() as double:
        yield double


@pytest.fixture
def hub_double(running_double: HubDouble) -> Iterator[HubDouble]:
    running_double.reset()
    yield running_double
    running_double.reset()
