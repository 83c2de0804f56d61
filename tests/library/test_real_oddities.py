"""Whatever lies beside a real model is listed with what it is and what to do, and offered nowhere."""

import re
from pathlib import Path

import pytest

from app.library.entry import ModelEntry
from tests.library.conftest import Stage
from tests.library.real_oddities import ODDITIES, RealOddity, lay


@pytest.fixture
def entries(stage: Stage, smollm2: Path) -> dict[str, ModelEntry]:
    """Of a second look, too, which opens nothing."""
    lay(stage.home / "f", smollm2)
    stage.folders.append(str(stage.home / "f"))
    first = stage.library.models()
    again = stage.new_library().models()
    assert [(entry.id, entry.problem) for entry in again] == [(entry.id, entry.problem) for entry in first]
    return {entry.id: entry for entry in again}


@pytest.mark.parametrize("oddity", ODDITIES, ids=lambda oddity: oddity.name)
def test_it_is_listed_with_the_reason_and_not_offered(entries: dict[str, ModelEntry], oddity: RealOddity) -> None:
    entry = entries[oddity.name]
    assert entry.problem is not None
    assert re.search(oddity.says, entry.problem), entry.problem
    assert entry.problem.startswith(f"{oddity.name}.gguf")
    assert not entry.is_offered


def test_the_real_one_is_offered(entries: dict[str, ModelEntry]) -> None:
    assert [entry.id for entry in entries.values() if entry.is_offered] == ["good"]
