"""`slipstream tune`: nothing changes unless it is asked for, and one command takes it back. Measuring is pretended."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.bench.tuned import Purpose, Tuned
from app.bench.workbench import Workbench
from app.command_line import execute
from app.lab.make_card import content_identity
from tests.benchmark.test_history import TUNED
from tests.library.foreign import gguf


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return gguf(tmp_path / "tiny.gguf")


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, model: Path) -> list[Purpose]:
    """For what it was measured."""
    purposes: list[Purpose] = []

    def tune(self: Workbench, entry: Any, purpose: Purpose, *_: Any) -> Tuned:
        purposes.append(purpose)
        found = replace(TUNED, identity=content_identity(model), purpose=purpose, before=self.defaults(entry))
        self.history.keep_tuned(found)
        return found

    monkeypatch.setattr(Workbench, "tune", tune)
    return purposes


def test_what_was_found_is_told_applied_and_taken_back(
    model: Path, measured: list[Purpose], capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["tune", str(model)]) == 0
    told = capsys.readouterr()
    assert "With threads 1, flash attention off: 25% more" in told.out
    assert "Nothing was changed" in told.err
    assert execute(["tune", str(model), "--apply"]) == 0
    assert "has these defaults now: threads 1, flash attention off" in capsys.readouterr().err
    assert measured == [Purpose.CHAT], "what was found last is applied without measuring it again"
    assert execute(["tune", str(model), "--undo"]) == 0
    assert "is as it was: as in the settings" in capsys.readouterr().out
    assert execute(["tune", str(model), "--undo"]) == 1
    assert "nothing to take back" in capsys.readouterr().err


def test_a_program_is_told_what_was_applied(
    model: Path, measured: list[Purpose], capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["tune", str(model), "--for", "batch", "--apply", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["applied"] == {"threads": 1, "flash_attention": "off"}
    assert (found["purpose"], found["is_gain"], found["is_trusted"]) == ("batch", True, True)
    assert measured == [Purpose.BATCH]


def test_a_kv_cache_that_was_not_offered_cannot_be_had(
    model: Path, measured: list[Purpose], capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["tune", str(model), "--with-kv"]) == 2
    assert measured == []
    assert execute(["tune", str(model), "--apply", "--with-kv"]) == 1
    assert "No quantized KV cache was tried" in capsys.readouterr().err
