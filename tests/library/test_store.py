"""The library shows every model file, knows each by several names, and never touches what lies outside it."""

import json
import os
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from app.errors import ModelFileError, UnknownModelError
from app.library.manifest import Record, read_manifest
from app.library.store import ModelStore
from tests.library.gguf_bytes import SETTINGS, write

Q8 = {**SETTINGS, "general.file_type": 7}


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "my models é")


@pytest.fixture
def incoming(tmp_path: Path) -> Path:
    return tmp_path / "incoming"


def test_an_empty_library_is_no_error(store: ModelStore) -> None:
    assert store.models() == []
    with pytest.raises(UnknownModelError, match=r"no model “x”; the library is empty"):
        store.find("x")


def test_an_added_model_is_moved_here_and_found_by_every_name(store: ModelStore, incoming: Path) -> None:
    file, draft = write(incoming / "big-F16.gguf"), write(incoming / "draft.gguf")

    added = store.add(file, publisher="slipstream", repo="guide", name="Guide", draft=draft)

    assert added == ModelStore(store.models_dir).models()[0]
    assert list(incoming.iterdir()) == []
    folder = store.models_dir / "slipstream" / "guide"
    assert (added.path, added.draft) == (folder / "big-F16.gguf", folder / "draft.gguf")
    assert (added.id, added.name, added.problem) == ("slipstream/guide", "Guide", None)
    assert (added.architecture, added.quantization, added.parameters) == ("llama", "F16", 704)
    assert (added.context, added.bytes) == (4096, added.path.stat().st_size)
    assert added.added is not None
    for name in ("slipstream/guide", "slipstream/guide:F16", "big-F16.gguf", str(added.path)):
        assert store.find(name) == added
    assert len(store.models()) == 1  # the draft is not a model of its own


def test_several_quantizations_keep_their_ids(store: ModelStore, incoming: Path) -> None:
    first = store.add(write(incoming / "a.gguf"), publisher="p", repo="r")
    second = store.add(write(incoming / "b.gguf", tensors=[("w", [32], 1)]), publisher="p", repo="r")
    third = store.add(write(incoming / "c.gguf"), publisher="p", repo="r")
    assert [first.id, second.id, third.id] == ["p/r", "p/r:F16", "p/r:c"]
    again = store.add(write(incoming / "a.gguf"), publisher="p", repo="r")
    assert again.id == "p/r"
    assert [e.id for e in store.models()] == ["p/r", "p/r:c", "p/r:F16"]
    store.remove("p/r")
    assert store.find("p/r:c").path.name == "c.gguf"


def test_a_file_anywhere_is_found_by_its_path(store: ModelStore, incoming: Path) -> None:
    path = write(incoming / "loose.gguf")
    entry = store.find(str(path))
    assert (entry.id, entry.path, entry.problem) == (str(path), path, None)
    path.write_bytes(b"no model")
    with pytest.raises(ModelFileError, match="not a GGUF model"):
        store.find(str(path))


def test_unknown_names_get_the_known_ones(store: ModelStore, incoming: Path) -> None:
    store.add(write(incoming / "a.gguf"), publisher="p", repo="r")
    with pytest.raises(UnknownModelError, match=r"There is no model “q”. Here are: p/r\."):
        store.find("q")


def test_files_without_a_manifest_are_shown_with_a_sentence(store: ModelStore) -> None:
    write(store.models_dir / "p" / "by-hand" / "good.gguf")
    bad = store.models_dir / "p" / "cut" / "bad.gguf"
    write(bad)
    os.truncate(bad, bad.stat().st_size - 100)
    good, cut = store.models()
    assert (good.id, good.architecture) == ("p/by-hand", "llama")
    assert good.problem is not None
    assert "was not installed by Slipstream" in good.problem
    assert cut.problem is not None
    assert "bad.gguf is cut short" in cut.problem


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 2}', '{"version": 1, "models": [{}]}', "[" * 100_000])
def test_a_broken_manifest_hides_nothing_and_is_left_alone(content: str, store: ModelStore, incoming: Path) -> None:
    path = store.add(write(incoming / "a.gguf"), publisher="p", repo="r").path
    (path.parent / "manifest.json").write_text(content)
    (entry,) = store.models()
    assert entry.path == path
    assert entry.problem is not None
    assert "manifest.json" in entry.problem
    store.remove(entry.id)
    assert [p.name for p in path.parent.iterdir()] == ["manifest.json"]


@pytest.mark.parametrize("content", ["", "[]", '{"version": [], "models": []}', '{"version": 2, "models": [{}]}'])
def test_a_damaged_manifest_does_not_forbid_the_next_installation(
    content: str, store: ModelStore, incoming: Path
) -> None:
    path = store.add(write(incoming / "a.gguf"), publisher="p", repo="r").path
    (path.parent / "manifest.json").write_text(content)
    store.add(write(incoming / "b.gguf"), publisher="p", repo="r")
    assert [(entry.path.name, entry.problem is None) for entry in store.models()] == [
        ("b.gguf", True),
        ("a.gguf", False),
    ]
    assert (path.parent / "manifest.json.broken-1").read_text() == content


def test_a_manifest_of_a_later_version_is_never_written_over(store: ModelStore, incoming: Path) -> None:
    path = store.add(write(incoming / "a.gguf"), publisher="p", repo="r").path
    (path.parent / "manifest.json").write_text('{"version": 9}')
    with pytest.raises(ModelFileError, match="another version"):
        store.add(write(incoming / "b.gguf"), publisher="p", repo="r")
    assert (path.parent / "manifest.json").read_text() == '{"version": 9}'


def test_a_manifest_cannot_point_outside(store: ModelStore, incoming: Path) -> None:
    entry = store.add(write(incoming / "a.gguf"), publisher="p", repo="r")
    victim = write(store.models_dir / "p" / "victim.gguf")
    manifest = entry.path.parent / "manifest.json"
    document = json.loads(manifest.read_text())
    for draft in ("../victim.gguf", "..\\victim.gguf", str(victim)):
        document["models"][0]["draft"] = draft
        manifest.write_text(json.dumps(document))
        (entry,) = store.models()
        assert entry.draft is None
        assert entry.problem is not None


def test_changes_behind_our_back_are_told(store: ModelStore, incoming: Path) -> None:
    entry = store.add(write(incoming / "a.gguf"), publisher="p", repo="r", draft=write(incoming / "d.gguf"))
    assert entry.draft is not None
    entry.draft.unlink()
    assert "draft model d.gguf is missing" in str(store.find("p/r").problem)
    entry.path.write_bytes(b"x")
    assert "has changed since" in str(store.find("p/r").problem)
    entry.path.unlink()
    assert "cannot be read" in str(store.find("p/r").problem)
    store.remove("p/r")
    assert store.models() == []


def test_nothing_is_added_that_cannot_be_loaded(store: ModelStore, incoming: Path) -> None:
    good, bad = write(incoming / "good.gguf"), incoming / "bad.gguf"
    bad.write_bytes(b"GGUF")
    for file, draft in ((bad, None), (good, bad)):
        with pytest.raises(ModelFileError, match=r"bad\.gguf is cut short"):
            store.add(file, publisher="p", repo="r", draft=draft)
    assert store.models() == []
    assert good.exists()


NAMES = ["", ".", "..", "../x", "..\\x", "a/b", "a\\b", "C:x", "con", "NUL.txt", "Com1", "a\0", "a\n", " a", "a."]


@pytest.mark.parametrize("name", [*NAMES, "x" * 200, "a?", "a*", 'a"', "a|b", "<a>"])
def test_names_that_could_leave_the_folder_are_refused(name: str, store: ModelStore, incoming: Path) -> None:
    file = write(incoming / "a.gguf")
    for publisher, repo in ((name, "r"), ("p", name)):
        with pytest.raises(ModelFileError, match="cannot be the name of a"):
            store.add(file, publisher=publisher, repo=repo)
    assert file.exists()
    assert not store.models_dir.exists()


def test_remove_takes_the_model_its_draft_and_empty_folders(store: ModelStore, incoming: Path) -> None:
    store.add(write(incoming / "a.gguf"), publisher="p", repo="r", draft=write(incoming / "d.gguf"))
    store.remove("p/r")
    assert list(store.models_dir.iterdir()) == []
    with pytest.raises(UnknownModelError):
        store.remove("p/r")


def test_a_draft_that_another_model_uses_stays(store: ModelStore, incoming: Path) -> None:
    first = store.add(write(incoming / "a.gguf"), publisher="p", repo="r", draft=write(incoming / "d.gguf"))
    assert first.draft is not None
    store.add(write(incoming / "b.gguf"), publisher="p", repo="r", draft=first.draft)
    store.remove("p/r")
    assert first.draft.exists()
    assert [e.path.name for e in store.models()] == ["b.gguf"]


def test_remove_takes_a_link_and_leaves_its_target(store: ModelStore, incoming: Path) -> None:
    target = write(incoming / "target.gguf")
    folder = store.models_dir / "p" / "r"
    folder.mkdir(parents=True)
    _link(folder / "link.gguf", target)
    store.remove("p/r")
    assert target.exists()
    assert store.models() == []


def test_remove_leaves_what_lies_behind_a_linked_folder(store: ModelStore, incoming: Path) -> None:
    target = write(incoming / "r" / "target.gguf")
    store.models_dir.mkdir()
    _link(store.models_dir / "p", incoming)
    with pytest.raises(ModelFileError, match="outside the library"):
        store.remove("p/r")
    assert target.exists()


def _link(link: Path, target: Path) -> None:
    try:
        link.symlink_to(target, target_is_directory=target.is_dir())
    except OSError:
        pytest.skip("no right to make links here")


def test_two_that_change_one_manifest_at_once_both_last(
    store: ModelStore, incoming: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each would read it before the other has written it, if they did not wait for each other."""
    both_have_read = threading.Barrier(2)

    def read_together(folder: Path) -> dict[str, Record]:
        records = read_manifest(folder)
        with suppress(threading.BrokenBarrierError):
            both_have_read.wait(0.3)
        return records

    files = [write(incoming / name) for name in ("a-F16.gguf", "a-Q8_0.gguf")]
    monkeypatch.setattr("app.library.store.read_manifest", read_together)
    stores = [store, ModelStore(store.models_dir)]  # as two processes have them
    threads = [
        threading.Thread(target=each.add, args=(file,), kwargs={"publisher": "p", "repo": "r"})
        for each, file in zip(stores, files, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    monkeypatch.undo()
    assert sorted(read_manifest(store.models_dir / "p" / "r")) == [file.name for file in files]
