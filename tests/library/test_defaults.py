"""What a person has chosen for one model's loads is kept beside its name and note, and nothing odd comes back."""

import json
from pathlib import Path

import pytest

from app.library.defaults import ModelDefaults
from app.library.remarks import Remarks
from backends.protocol import EngineOptions, KVType

OWN = ModelDefaults({"context": None, "parallel": 1, "kv_type_k": KVType.Q8_0})


def test_they_are_kept_and_applied(tmp_path: Path) -> None:
    Remarks(tmp_path / "library.json").change("/m.gguf", defaults=OWN, note="mine")
    kept = Remarks(tmp_path / "library.json").of("/m.gguf")
    assert (kept.defaults, kept.note) == (OWN, "mine")
    options = kept.defaults.applied(EngineOptions(context=4096, threads=3))
    assert (options.context, options.parallel, options.kv_type_k, options.threads) == (None, 1, KVType.Q8_0, 3)


def test_only_what_is_another_than_the_settings_is_kept() -> None:
    base = EngineOptions(context=4096, gpu_layers=20)
    assert ModelDefaults.between(base, base) == ModelDefaults()
    changed = EngineOptions(context=4096, gpu_layers=None, threads=7)
    assert ModelDefaults.between(changed, base).values == {"gpu_layers": None}, "automatic is a choice, too"


@pytest.mark.parametrize(
    "defaults",
    [[], "x", {"context": -1}, {"parallel": None}, {"parallel": True}, {"gpu_layers": 1e9}, {"kv_type_k": "q9"}],
)
def test_nonsense_is_left_and_the_other_models_keep_theirs(tmp_path: Path, defaults: object) -> None:
    models = {"/bad.gguf": {"defaults": defaults}, "/good.gguf": {"defaults": {"parallel": 2}}}
    (tmp_path / "library.json").write_text(json.dumps({"version": 1, "models": models}))
    remarks = Remarks(tmp_path / "library.json")
    assert remarks.of("/bad.gguf").defaults == ModelDefaults()
    assert remarks.of("/good.gguf").defaults.values == {"parallel": 2}
