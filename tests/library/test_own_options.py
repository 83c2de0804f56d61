"""Engine options of one model: over the settings, kept over restarts, taken back with one call."""

import json
from dataclasses import fields
from pathlib import Path

import pytest

from app.errors import ModelFileError
from app.library.own_options import SETTINGS, OwnOptions, own_options
from backends.protocol import EngineOptions, FlashAttention
from tests.library.conftest import Stage
from tests.library.foreign import gguf

TUNED = OwnOptions(threads=3, gpu_layers=0, flash_attention=FlashAttention.OFF)


@pytest.fixture
def full(stage: Stage) -> Stage:
    gguf(stage.home / "models" / "Tiny-Q4_K_M.gguf")
    stage.folders.append(str(stage.home / "models"))
    return stage


def test_every_one_of_them_is_an_option_of_the_engine() -> None:
    assert {each.name for each in fields(OwnOptions)} <= {each.name for each in fields(EngineOptions)}
    options = TUNED.over(EngineOptions(threads=8, parallel=2))
    assert (options.threads, options.gpu_layers, options.parallel) == (3, 0, 2)
    assert SETTINGS.over(EngineOptions()) == EngineOptions()


def test_they_survive_a_restart_and_are_taken_back_with_one_call(full: Stage) -> None:
    (entry,) = full.library.models()
    full.library.set_options(entry, TUNED)
    (entry,) = full.new_library().models()
    assert (entry.options, entry.options_before) == (TUNED, SETTINGS)
    full.library.set_options(entry, OwnOptions(threads=2))
    (entry,) = full.library.models()
    assert full.library.restore_options(entry) == TUNED
    (entry,) = full.new_library().models()
    assert (entry.options, entry.options_before) == (TUNED, None)
    with pytest.raises(ModelFileError, match="nothing to take back"):
        full.library.restore_options(entry)


def test_a_file_outside_the_library_has_its_own_too(stage: Stage) -> None:
    file = gguf(stage.home / "elsewhere" / "Tiny.gguf")
    stage.library.set_options(stage.library.find(str(file)), TUNED)
    assert stage.new_library().find(str(file)).options == TUNED


@pytest.mark.parametrize("text", ['{"threads": true}', '{"threads": 0}', '{"batch": 1e9}', '{"kv_type_k": 7}', "[]"])
def test_what_cannot_have_been_written_is_refused(text: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        own_options(json.loads(text))
    assert own_options({"of a later version": 1}) == SETTINGS


def test_a_home_without_any_writes_none(full: Stage) -> None:
    (entry,) = full.library.models()
    full.library.set_favourite(entry.id, True)
    remarks = Path(full.home / "data" / "library.json").read_text("utf-8")
    assert "options" not in remarks
    assert "before" not in remarks
