"""`slipstream cache` says what is kept on disk, and removes it on request."""

import json
from pathlib import Path

import pytest

from app.__main__ import main
from app.paths import Paths
from backends.formats.kept_prompts import MAGIC


@pytest.fixture
def folder() -> Path:
    folder = Paths.from_environment().prompt_cache
    folder.mkdir(parents=True)
    (folder / "a.state").write_bytes(MAGIC + bytes(3_000_000 - len(MAGIC)))
    (folder / "b.state").write_bytes(MAGIC + bytes(1_500_000 - len(MAGIC)))
    (folder / "letter.state").write_bytes(b"a person's")
    return folder


def test_it_says_how_much_is_kept_and_where(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache"]) == 0
    assert capsys.readouterr().out == f"Prompts kept in {folder}: 2, 4.5 MB.\n"
    assert len(list(folder.iterdir())) == 3


def test_clear_removes_ours_and_nothing_else(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "--clear"]) == 0
    assert capsys.readouterr().out == f"Prompts removed: 2, 4.5 MB.\nPrompts kept in {folder}: 0, 0.0 MB.\n"
    assert [path.name for path in folder.iterdir()] == ["letter.state"]


def test_what_was_not_written_whole_is_no_prompt(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "c.part").write_bytes(MAGIC + bytes(2_000_000 - len(MAGIC)))
    assert main(["cache"]) == 0
    unfinished = "Not written whole: 2.0 MB. The next load of a model removes what nobody writes any more.\n"
    assert capsys.readouterr().out == f"Prompts kept in {folder}: 2, 4.5 MB.\n{unfinished}"
    assert main(["cache", "--clear"]) == 0
    assert capsys.readouterr().out == f"Prompts removed: 2, 4.5 MB.\nPrompts kept in {folder}: 0, 0.0 MB.\n"
    assert [path.name for path in folder.iterdir()] == ["letter.state"]


def test_json_is_one_object(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = {"folder": str(folder), "files": 0, "bytes": 0, "unfinished_bytes": 0}
    expected |= {"removed_files": 2, "removed_bytes": 4_500_000}
    assert main(["cache", "--clear", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == expected


def test_without_a_folder_there_is_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"] == 0
    assert main(["cache", "--clear"]) == 0


def test_a_folder_that_cannot_be_read_is_one_sentence(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    folder.write_bytes(b"a file in its place")
    assert main(["cache"]) == 1
    assert f"{folder} is a file and no folder. Move it away" in capsys.readouterr().err
