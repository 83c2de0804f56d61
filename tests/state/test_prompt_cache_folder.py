"""The prompt cache's folder as the application sees it: our files, and nobody else's."""

from pathlib import Path

import pytest

from app import prompt_cache_folder
from backends.ownership.directory import open_directory
from backends.prompt_cache import state_file
from backends.prompt_cache.state import State

KEY = "model, build"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for n in range(3):
        with open_directory(tmp_path) as directory:
            state_file.write_state(directory, KEY, State([n, 2, 3], bytearray(1000)))
    return tmp_path


def test_its_files_are_those_that_the_engine_writes(folder: Path) -> None:
    state = State([0, 2, 3], bytearray(1000))
    assert prompt_cache_folder.size(folder) == 3 * state_file.file_bytes(KEY, state)
    half = folder / f"tmp{state_file.TEMPORARY}"
    half.write_bytes(state_file.MAGIC + bytes(100))  # an engine was killed while it wrote
    assert prompt_cache_folder.clear(folder) == 3 * state_file.file_bytes(KEY, state) + 108
    assert list(folder.iterdir()) == []
    assert prompt_cache_folder.size(folder) == 0


def test_what_is_not_ours_stays(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "kept.state"
    elsewhere.write_bytes(state_file.MAGIC + bytes(10))
    (folder / "notes.txt").write_bytes(state_file.MAGIC)
    (folder / "theirs.state").write_text("of another program")
    (folder / "empty.part").touch()
    (folder / "folder.state").mkdir()
    (folder / "link.state").symlink_to(elsewhere)
    others = {"notes.txt", "theirs.state", "empty.part", "folder.state", "link.state"}
    assert prompt_cache_folder.clear(folder) == 3 * state_file.file_bytes(KEY, State([0, 2, 3], bytearray(1000)))
    assert {path.name for path in folder.iterdir()} == others
    assert elsewhere.exists()


def test_no_folder_is_an_empty_one(tmp_path: Path) -> None:
    assert prompt_cache_folder.size(tmp_path / "none") == 0
    assert prompt_cache_folder.clear(tmp_path / "none") == 0
