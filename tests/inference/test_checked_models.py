"""A model's file is looked at once as long as it stays the same, and anew when it, or the check itself, has changed."""

import os
from pathlib import Path

import pytest

from app.errors import ModelFileError
from app.inference import checked_models
from app.inference.checked_models import CheckedModels
from backends.llama.selftest import write_tiny_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.gguf"
    write_tiny_model(path)
    return path


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that were checked."""
    looked: list[Path] = []
    check = checked_models.check_loadable

    def note(path: Path) -> None:
        looked.append(path)
        check(path)

    monkeypatch.setattr(checked_models, "check_loadable", note)
    return looked


def test_a_sound_file_is_looked_at_once_also_by_the_next_program(
    tmp_path: Path, model: Path, looked: list[Path]
) -> None:
    known = CheckedModels(tmp_path / "checked.json")
    known.check(model)
    known.check(model)
    CheckedModels(tmp_path / "checked.json").check(model)
    assert looked == [model]


def test_a_file_that_has_changed_is_looked_at_again(tmp_path: Path, model: Path, looked: list[Path]) -> None:
    known = CheckedModels(tmp_path / "checked.json")
    known.check(model)
    model.write_bytes(model.read_bytes()[:100])
    with pytest.raises(ModelFileError):
        known.check(model)
    assert looked == [model, model]


def test_one_of_the_same_size_and_time_that_has_taken_its_place_is_another(
    tmp_path: Path, model: Path, looked: list[Path]
) -> None:
    known = CheckedModels(tmp_path / "checked.json")
    known.check(model)
    look = model.stat()
    other = tmp_path / "other"
    other.write_bytes(model.read_bytes())
    os.utime(other, ns=(look.st_atime_ns, look.st_mtime_ns))
    os.replace(other, model)
    known.check(model)
    assert looked == [model, model]


def test_a_refusal_is_not_remembered(tmp_path: Path, looked: list[Path]) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(b"GGUF")
    known = CheckedModels(tmp_path / "checked.json")
    for _ in range(2):
        with pytest.raises(ModelFileError):
            known.check(bad)
    assert looked == [bad, bad]


def test_a_new_version_of_the_checks_looks_anew(
    tmp_path: Path, model: Path, looked: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    CheckedModels(tmp_path / "checked.json").check(model)
    monkeypatch.setattr(checked_models, "_rules", lambda: "others")
    CheckedModels(tmp_path / "checked.json").check(model)
    assert looked == [model, model]


@pytest.mark.parametrize("content", [b"", b"[]", b'{"rules": 1}', b"\xff", b'{"rules": "", "models": []}'])
def test_an_odd_file_of_its_own_costs_a_look_and_nothing_else(
    tmp_path: Path, model: Path, looked: list[Path], content: bytes
) -> None:
    (tmp_path / "checked.json").write_bytes(content)
    CheckedModels(tmp_path / "checked.json").check(model)
    CheckedModels(tmp_path / "checked.json").check(model)
    assert looked == [model]


def test_it_remembers_a_bounded_number(
    tmp_path: Path, model: Path, looked: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checked_models, "MAX_MODELS", 2)
    known = CheckedModels(tmp_path / "checked.json")
    others = [tmp_path / f"{n}.gguf" for n in range(2)]
    for path in others:
        path.write_bytes(model.read_bytes())
    for path in (model, *others, model):
        known.check(path)
    assert looked == [model, *others, model]
