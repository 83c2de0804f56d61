"""Checking files by their hash, and bringing files into the library, as jobs."""

import hashlib
import json
import os
import threading
from pathlib import Path

import pytest

from app.errors import Cancelled, ModelFileError
from app.jobs.bring_in import BringIn, repository_name
from app.jobs.hashing import hash_file
from app.jobs.job import JobContext
from app.jobs.verify import Verify
from app.library.folders import with_folder
from app.library.store import ModelStore
from backends.child import Progress
from tests.library import foreign
from tests.library.conftest import Stage


def context(reports: list[Progress] | None = None) -> JobContext:
    kept = [] if reports is None else reports
    return JobContext(lambda _step, progress: kept.append(progress), threading.Event())


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_file_is_compared_with_what_its_publisher_said(stage: Stage) -> None:
    file = foreign.gguf(stage.home / "in" / "a.gguf")
    stage.library.store.add(file, publisher="p", repo="r", sha256=sha(file))
    entry = stage.library.find("p/r")
    reports: list[Progress] = []
    check = Verify(stage.library, entry).run(context(reports))
    assert (check.is_sound, check.text) == (True, "No errors found; the hash matches the publisher's.")
    assert reports[-1].fraction == 1.0
    content = bytearray(entry.path.read_bytes())
    content[-1] ^= 1
    entry.path.write_bytes(content)  # the same size: nothing else could notice
    check = Verify(stage.library, stage.library.find("p/r")).run(context())
    assert not check.is_sound
    shown = stage.new_library().find("p/r")
    assert shown.problem == "a.gguf is damaged: the content is not what it was. Download it again."
    assert shown.check == check


def test_without_a_publishers_hash_the_first_reading_counts(stage: Stage) -> None:
    file = foreign.gguf(stage.home / "f" / "a.gguf")
    stage.folders.append(str(file.parent))
    first = Verify(stage.library, stage.library.find("a")).run(context())
    assert "no publisher hash to compare" in first.text
    entry = stage.library.find("a")
    assert entry.sha256 == sha(file)
    assert Verify(stage.library, entry).run(context()).text == "No changes since the first check."
    status = file.stat()
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))  # decayed, not written
    assert not Verify(stage.library, stage.library.find("a")).run(context()).is_sound


def test_names_of_blobs_are_hashes_to_compare_with(stage: Stage) -> None:
    blob = foreign.ollama(stage.home / ".ollama" / "models", "m:latest")
    snapshot = foreign.hf_cache(
        stage.home / ".cache/huggingface/hub", "a/b", {"config.json": b"{}", "model.safetensors": b"weights"}
    )
    for name in ("m", "a/b"):
        check = Verify(stage.library, stage.library.find(name)).run(context())
        assert check.text == "No errors found; the hash matches the publisher's."
    content = bytearray(blob.read_bytes())
    content[-1] ^= 1
    blob.write_bytes(content)
    snapshot.joinpath("model.safetensors").resolve().write_bytes(b"weighty")
    for name in ("m", "a/b"):
        assert not Verify(stage.library, stage.library.find(name)).run(context()).is_sound


def test_checking_stops_when_it_is_called_off(stage: Stage) -> None:
    foreign.gguf(stage.home / "f" / "a.gguf")
    stage.folders.append(str(stage.home / "f"))
    work = Verify(stage.library, stage.library.find("a"))
    with pytest.raises(Cancelled):
        work.run(JobContext(lambda _step, _progress: None, CalledOff(1)))
    assert stage.library.find("a").check is None


class CalledOff(threading.Event):
    """Set when it has been asked so many times."""

    def __init__(self, count: int):
        super().__init__()
        self._count = count

    def is_set(self) -> bool:
        self._count -= 1
        return self._count < 0


def test_dropped_files_are_copied_with_all_their_parts(stage: Stage) -> None:
    first, second = foreign.parts(stage.home / "in", "big")
    reports: list[Progress] = []
    (entry,) = BringIn(stage.library.store, (second, first)).run(context(reports))
    assert (entry.id, len(entry.parts)) == ("local/big-00001-of-00002", 1)
    assert first.exists()
    assert reports[-1].fraction == 1.0
    with pytest.raises(ModelFileError, match="The library has big-00001-of-00002"):
        BringIn(stage.library.store, (first,)).run(context())
    assert stage.ids() == ["local/big-00001-of-00002"]


def test_moved_files_leave_their_place(stage: Stage) -> None:
    file = foreign.gguf(stage.home / "in" / "odd name.gguf")
    (entry,) = BringIn(stage.library.store, (file,), is_move=True).run(context())
    assert not file.exists()
    assert entry.path.is_relative_to(stage.models / "local")


def test_nothing_is_brought_in_unless_all_is_sound(stage: Stage) -> None:
    good, bad = foreign.gguf(stage.home / "in" / "good.gguf"), stage.home / "in" / "bad.gguf"
    bad.write_bytes(b"GGUF")
    with pytest.raises(ModelFileError, match="cut short"):
        BringIn(stage.library.store, (good, bad)).run(context())
    assert stage.ids() == []
    assert not stage.models.exists() or list(stage.models.iterdir()) == []


def test_a_copy_that_is_called_off_leaves_nothing(stage: Stage) -> None:
    file = foreign.gguf(stage.home / "in" / "a.gguf")
    with pytest.raises(Cancelled):
        BringIn(stage.library.store, (file,)).run(JobContext(lambda _step, _progress: None, CalledOff(2)))
    assert list(stage.models.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "repo"),
    [("a model.gguf", "a model"), ("..gguf", "model"), ("a?b*.gguf", "a-b"), ("x" * 200 + ".gguf", "x" * 128)],
)
def test_a_files_name_becomes_a_folders(name: str, repo: str) -> None:
    assert repository_name(Path(name)) == repo


def test_folders_are_added_once(tmp_path: Path) -> None:
    inner, other = tmp_path / "a" / "b", tmp_path / "c"
    inner.mkdir(parents=True)
    other.mkdir()
    folders = with_folder(with_folder((), inner), other)
    assert folders == (str(inner), str(other))
    assert with_folder(folders, tmp_path) == (str(tmp_path),)  # which holds both
    for folder, sentence in (
        (inner, "are listed already"),
        (tmp_path / "no", "is no folder"),
        (Path("/"), "whole disk"),
    ):
        with pytest.raises(ModelFileError, match=sentence):
            with_folder(folders, folder)


def test_an_interrupted_addition_can_be_repeated(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models")
    first, *others = foreign.parts(tmp_path / "in", "big", 3)
    image = foreign.projector(tmp_path / "in" / "mmproj.gguf")
    folder = store.folder("p", "r")
    folder.mkdir(parents=True)
    for path in (others[0], first):  # killed before the manifest was written
        path.rename(folder / path.name)
    entry = store.add(first, publisher="p", repo="r", parts=others, mmproj=image, sha256="ab" * 32, source="hub")
    assert entry == store.models()[0]
    assert [path.name for path in entry.files] == [path.name for path in (first, *others, image)]
    assert (entry.sha256, entry.source, entry.problem) == ("ab" * 32, "hub", None)
    assert entry.bytes == sum(path.stat().st_size for path in (entry.path, *entry.parts))


def test_a_manifest_of_the_first_version_is_read_and_goes_on(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models")
    store.add(foreign.gguf(tmp_path / "a.gguf"), publisher="p", repo="r")
    manifest = store.folder("p", "r") / "manifest.json"
    document = json.loads(manifest.read_text())
    for key in ("parts", "mmproj", "sha256", "source"):
        del document["models"][0][key]
    manifest.write_text(json.dumps({**document, "version": 1}))
    store.add(foreign.gguf(tmp_path / "b.gguf"), publisher="p", repo="r")
    assert [entry.problem for entry in store.models()] == [None, None]
    assert json.loads(manifest.read_text())["version"] == 2


def test_parts_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    first, second = foreign.parts(tmp_path, "a")
    foreign.parts(tmp_path / "other", "a")[0].replace(second)
    store = ModelStore(tmp_path / "m")
    with pytest.raises(ModelFileError, match="is not part 2 of 2"):
        store.add(first, publisher="p", repo="r")
    second.unlink()
    with pytest.raises(ModelFileError, match=r"a-00002-of-00002\.gguf is missing"):
        store.add(first, publisher="p", repo="r")
    assert store.models() == []


def test_a_move_to_another_disk_is_a_copy_that_can_be_called_off(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BringIn, "_is_renamed", lambda *_: False)
    file = foreign.gguf(stage.home / "in" / "a.gguf")
    content = file.read_bytes()
    work = BringIn(stage.library.store, (file,), is_move=True)
    with pytest.raises(Cancelled):
        work.run(JobContext(lambda _step, _progress: None, CalledOff(2)))
    assert file.read_bytes() == content
    assert list(stage.models.iterdir()) == []
    (entry,) = work.run(context())
    assert entry.path.read_bytes() == content
    assert not file.exists()


def test_neither_a_link_nor_a_file_of_the_library_is_moved(stage: Stage) -> None:
    file = foreign.gguf(stage.home / "cache" / "blob.gguf")
    link = stage.home / "in" / "link.gguf"
    link.parent.mkdir()
    link.symlink_to(Path("..") / "cache" / "blob.gguf")
    with pytest.raises(ModelFileError, match="is a link to a file that lies elsewhere"):
        BringIn(stage.library.store, (link,), is_move=True).run(context())
    assert link.exists()
    store = stage.library.store
    entry = store.add(file, publisher="p", repo="r")
    with pytest.raises(ModelFileError, match=r"blob\.gguf lies in the library already"):
        BringIn(store, (entry.path,), is_move=True).run(context())
    assert stage.ids() == ["p/r"]
    link.unlink()
    link.symlink_to(entry.path)
    with pytest.raises(ModelFileError, match="is a link"):  # whoever else hands one to the store
        store.add(link, publisher="p", repo="s")


def test_a_pipe_that_is_to_be_checked_holds_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.gguf")
    (tmp_path / "zero.gguf").symlink_to("/dev/zero")
    for name in ("x.gguf", "zero.gguf"):
        with pytest.raises(ModelFileError, match="no file but a device, a pipe"):
            hash_file(tmp_path / name, threading.Event())
