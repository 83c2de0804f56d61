"""Guesses cost here what a test says that they cost."""

import pytest


@pytest.fixture(autouse=True)
def _drafts_take_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """By this machine's clock a draft step that was interrupted would be dear, and fewer guesses made."""
    for module in ("speculation", "drafter"):
        monkeypatch.setattr(f"backends.drafting.{module}.perf_counter", lambda: 0.0)
