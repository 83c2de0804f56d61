"""The Hub's double for the commands that speak with it."""

from tests.hub.conftest import hub_double, running_double

__all__ = ["hub_double", "running_double"]
