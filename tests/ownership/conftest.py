"""Both ways of holding a folder: by a descriptor, and by its path as Windows must."""

import pytest


@pytest.fixture(params=["by handle", "by path"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr("backends.ownership.directory.HAS_HANDLES", request.param == "by handle")
    return str(request.param)
