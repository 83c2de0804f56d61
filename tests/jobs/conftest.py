"""The Hub's double for the tests of installs."""

from tests.hub.conftest import hub_double, running_double

__all__ = ["hub_double", "running_double"]
