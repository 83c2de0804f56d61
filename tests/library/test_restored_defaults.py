"""Engine options of one model's own: kept over restarts, taken back with one call, none that an engine refuses."""

import json
from dataclasses import fields
from pathlib import Path

import pytest

from app.errors import ModelFileError
from app.library.defaults import NO_DEFAULTS, PARSERS, ModelDefaults
from backends.protocol import EngineOptions, FlashAttention
from tests.library.conftest import Stage
from tests.library.foreign import gguf

TUNED = ModelDefaults({"threads": 3, "gpu_layers": 0, "flash_attention": FlashAttention.OFF, "batch": None})


@pytest.fixture
def file(stage: Stage) -> Path:
    return gguf(stage.home / "elsewhere" / "Tiny.gguf")


def test_every_one_of_them_is_an_option_of_the_engine() -> None:
    assert set(PARSERS) <= {each.name for each in fields(EngineOptions)}
    options = TUNED.applied(EngineOptions(threads=8, parallel=2, batch=256))
    assert (options.threads, options.gpu_layers, options.parallel, options.batch) == (3, 0, 2, None)


def test_they_survive_a_restart_and_are_taken_back_with_one_call(stage: Stage, file: Path) -> None:
    stage.library.set_defaults(file, TUNED)
    library = stage.new_library()
    assert (library.defaults_of(file), library.defaults_before(file)) == (TUNED, NO_DEFAULTS)
    library.set_defaults(file, TUNED.with_more(threads=2))
    assert library.restore_defaults(file) == TUNED
    library = stage.new_library()
    assert (library.defaults_of(file), library.defaults_before(file)) == (TUNED, None)
    with pytest.raises(ModelFileError, match="nothing to take back"):
        library.restore_defaults(file)


def test_the_same_once_more_is_no_change(stage: Stage, file: Path) -> None:
    stage.library.set_defaults(file, NO_DEFAULTS)
    assert stage.library.defaults_before(file) is None
    assert not (stage.home / "data" / "library.json").exists()


@pytest.mark.parametrize(
    "text", ['{"threads": true}', '{"threads": 0}', '{"batch": 1e9}', '{"micro_batch": 1}', '{"kv_layout": 7}', "[]"]
)
def test_what_cannot_have_been_written_is_refused(text: str) -> None:
    with pytest.raises((ValueError, TypeError, AttributeError)):
        ModelDefaults.of(json.loads(text))
    assert ModelDefaults.of({"of a later version": 1}) == NO_DEFAULTS
