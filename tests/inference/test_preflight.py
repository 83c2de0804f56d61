"""What is found out before native code sees a model: about the file, and once about the build."""

import os
from pathlib import Path

import pytest

from app.errors import EngineError, ModelFileError
from app.inference import preflight
from app.inference.preflight import Preflight
from backends.child import SPINS
from backends.llama.selftest import write_tiny_model
from backends.protocol import EngineOptions


@pytest.fixture
def check(tmp_path: Path) -> Preflight:
    return Preflight(tmp_path / "cache", tmp_path / "logs")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.gguf"
    write_tiny_model(path)
    return path


def test_the_installed_build_survives_its_self_test(check: Preflight, model: Path) -> None:
    options, notes = check(model, EngineOptions())
    assert options.extra_buffer_types
    assert notes == ()
    assert options.flash_cost is not None
    assert options.flash_cost > 0


def test_a_build_that_crashes_with_extra_buffers_runs_without_them_and_says_so(
    check: Preflight, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "SELF_TEST", "tests.inference.deaths:dies_of_extra_buffer_types")
    options, notes = check(model, EngineOptions())
    assert not options.extra_buffer_types
    assert "crashes" in notes[0]


def test_a_build_that_never_works_is_an_error_with_a_sentence(
    check: Preflight, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "SELF_TEST", "tests.inference.deaths:dies_always")
    with pytest.raises(EngineError, match="stopped itself"):
        check(model, EngineOptions())


def test_the_verdict_is_kept_and_asked_for_once(
    check: Preflight, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = check(model, EngineOptions())
    monkeypatch.setattr(preflight, "SELF_TEST", "tests.inference.deaths:dies_always")
    assert check(model, EngineOptions()) == found
    anew = Preflight(tmp_path / "cache", tmp_path / "logs")
    assert anew(model, EngineOptions()) == found, "also by the next process"


def test_another_build_is_tested_anew(check: Preflight, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check(model, EngineOptions())
    monkeypatch.setattr(preflight, "build_key", lambda: "another build")
    monkeypatch.setattr(preflight, "SELF_TEST", "tests.inference.deaths:refuses")
    with pytest.raises(EngineError, match="nonsense"):
        check(model, EngineOptions())


@pytest.mark.parametrize("content", ["", "not json", "[]", '{"key": 1}', '{"key": {"flash_cost": 1}}'])
def test_a_damaged_verdict_is_no_verdict(check: Preflight, model: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "selftest.json").write_text(content)
    assert check(model, EngineOptions())[0].extra_buffer_types


def test_a_cut_file_never_gets_as_far_as_the_self_test(
    check: Preflight, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "SELF_TEST", "tests.inference.deaths:dies_always")
    model.write_bytes(model.read_bytes()[:-100])
    with pytest.raises(ModelFileError, match=r"model\.gguf is cut short"):
        check(model, EngineOptions())


def test_a_bad_draft_is_found_before_the_engine_starts(check: Preflight, model: Path, tmp_path: Path) -> None:
    draft = tmp_path / "draft.gguf"
    draft.write_text("no model")
    with pytest.raises(ModelFileError, match=r"draft\.gguf"):
        check(model, EngineOptions(draft_model=draft))


def test_children_are_told_how_often_a_thread_spins_on_this_processor(
    check: Preflight, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "SELF_TEST", "tests.inference.deaths:counts_turns")
    monkeypatch.setenv(SPINS, "1")
    check(model, EngineOptions())
    assert os.environ[SPINS] == "15000", "twice 150 µs of 20 ns"
    monkeypatch.setenv(SPINS, "1")
    Preflight(tmp_path / "cache", tmp_path / "logs")(model, EngineOptions())
    assert os.environ[SPINS] == "15000", "by the kept verdict, too"
