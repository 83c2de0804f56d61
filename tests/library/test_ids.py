"""An id means one model, and means it for good."""

import os
import shutil
from pathlib import Path

import pytest

from app.errors import UnknownModelError
from app.library.store import ModelStore
from tests.library import foreign
from tests.library.conftest import Stage


def two_of_one_name(stage: Stage) -> tuple[Path, Path]:
    """x.gguf in two folders of a person's, "a" known before "b"."""
    paths = tuple(foreign.gguf(stage.home / folder / "x.gguf") for folder in ("a", "b"))
    stage.folders = [str(path.parent) for path in paths]
    return paths


def ids(stage: Stage) -> dict[Path, str]:
    return {entry.path: entry.id for entry in stage.new_library().models()}


def test_the_order_of_folders_changes_no_id(stage: Stage) -> None:
    one, two = two_of_one_name(stage)
    before = ids(stage)
    assert before == {one: "x", two: "folder/x"}
    stage.folders.reverse()
    assert ids(stage) == before


def test_a_model_that_appears_takes_nobodys_id(stage: Stage) -> None:
    one, two = two_of_one_name(stage)
    stage.folders = [str(two.parent)]
    assert ids(stage) == {two: "x"}
    stage.folders = [str(one.parent), str(two.parent)]
    assert ids(stage)[two] == "x"
    first = foreign.gguf(stage.models / "x.gguf")  # of the managed folder, which is listed first
    assert ids(stage)[two] == "x"
    assert len(set(ids(stage).values())) == 3
    assert first in ids(stage)


def test_a_second_file_of_a_repository_leaves_the_first_its_id(stage: Stage) -> None:
    first = foreign.gguf(stage.models / "p" / "r" / "m-Q8_0.gguf")
    assert ids(stage) == {first: "p/r"}
    second = foreign.gguf(stage.models / "p" / "r" / "a-Q4_K_M.gguf")
    assert ids(stage) == {first: "p/r", second: "p/r:a-Q4_K_M"}


def test_a_folder_above_changes_no_id(stage: Stage) -> None:
    one, two = two_of_one_name(stage)
    before = ids(stage)
    stage.folders = [str(stage.home)]
    after = ids(stage)
    assert (after[one], after[two]) == (before[one], before[two])


def test_a_file_that_has_moved_takes_its_id_along_if_it_lies_alike(stage: Stage) -> None:
    one, _ = two_of_one_name(stage)
    stage.folders = [str(one.parent)]
    assert ids(stage) == {one: "x"}
    moved = shutil.move(one.parent, stage.home / "c")
    stage.folders = [str(moved)]
    assert ids(stage) == {Path(moved) / "x.gguf": "x"}


def test_what_is_installed_keeps_its_id_and_finds_the_others_where_they_were(stage: Stage) -> None:
    foreign.hf_cache(
        stage.home / ".cache/huggingface/hub", "p/r", {"m.gguf": foreign.gguf(stage.home / "m.gguf").read_bytes()}
    )
    (before,) = ids(stage).values()
    incoming = foreign.gguf(stage.home / "incoming.gguf", "another")
    entry = ModelStore(stage.models).add(incoming, publisher="p", repo="r")
    after = ids(stage)
    assert before in after.values()
    assert after[entry.path] == "p/r"


def test_an_update_of_ollama_keeps_its_id(stage: Stage) -> None:
    root = stage.home / ".ollama/models"
    foreign.ollama(root, "llama3:8b")
    assert list(ids(stage).values()) == ["llama3:8b"]
    foreign.ollama(root, "other:8b")  # its file stays, for another name
    os.rename(root / "manifests/registry.ollama.ai/library/llama3/8b", root / "kept")
    foreign.ollama(root, "llama3:8b", foreign.gguf(stage.home / "new.gguf", "new").read_bytes())
    assert sorted(ids(stage).values()) == ["llama3:8b", "other:8b"]


def test_a_name_that_fits_two_is_told_and_a_path_fits_one(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = two_of_one_name(stage)
    find = stage.library.find
    for path in (one, two):
        assert find(str(path)).path == path
        assert find(str(path.parent / ".." / path.parent.name / path.name)).path == path
        assert find(find(str(path)).id).path == path
        monkeypatch.chdir(path.parent)
        assert find("x.gguf").path == path, "the one that lies here"
    monkeypatch.chdir(stage.home)
    with pytest.raises(UnknownModelError, match=r"may be any of several models.*: x, folder/x"):
        find("x.gguf")
    link = stage.home / "link"
    link.symlink_to(two.parent)
    assert find(str(link / "x.gguf")).id == "folder/x"


def test_two_of_one_name_say_where_they_lie(stage: Stage) -> None:
    two_of_one_name(stage)
    names = [entry.full_name for entry in stage.library.models()]
    assert len(set(names)) == 2
    assert [entry.place for entry in stage.library.models()] == ["a", "b"]


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"version": 1, "ids": []}', b'{"version": 1, "ids": {"x": 7}}', b"\xff"]
)
def test_a_broken_file_of_ids_hides_nothing(content: bytes, stage: Stage) -> None:
    two_of_one_name(stage)
    path = stage.home / "data" / "model-ids.json"
    path.parent.mkdir()
    path.write_bytes(content)
    assert sorted(ids(stage).values()) == ["folder/x", "x"]
    assert sorted(ids(stage).values()) == ["folder/x", "x"]


def test_ids_that_cannot_be_written_are_given_all_the_same(stage: Stage) -> None:
    one, two = two_of_one_name(stage)
    (stage.home / "data").write_text("no folder")
    listed = [entry.id for entry in stage.library.models()]
    stage.folders.reverse()
    assert sorted(listed) == sorted(entry.id for entry in stage.library.models()) == ["folder/x", "x"]
    assert {entry.path: entry.id for entry in stage.library.models()} == {one: "x", two: "folder/x"}
