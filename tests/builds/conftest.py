"""What a chosen build puts into the environment goes with its test."""

import pytest

from app.builds import activation


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set and taken away again: so it is taken away at the end, too, whoever has set it meanwhile."""
    for name in (activation.LIBRARIES, activation.OURS):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
