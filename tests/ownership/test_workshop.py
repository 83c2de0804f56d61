"""Folders in which jobs work: made with a mark and a lock, known again after a kill, gone with all that is in them."""

import os
from pathlib import Path

import pytest

from backends.ownership import removal
from backends.ownership.directory import NotOurs, open_directory
from backends.ownership.files import delete_below, delete_empty, delete_file, write_whole
from backends.ownership.folder import OwnedFolder
from backends.ownership.lock import FILE_NAME as LOCK
from backends.ownership.lock import FolderLock
from backends.ownership.mark import NAME as MARK
from backends.ownership.workshop import Workshops

pytestmark = pytest.mark.usefixtures("way")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "wörk"


@pytest.fixture
def workshops(root: Path) -> Workshops:
    return Workshops(root, "tests", prefix="t-")


@pytest.fixture
def letter(tmp_path: Path) -> Path:
    letter = tmp_path / "precious" / "letter"
    letter.parent.mkdir()
    letter.write_text("dear")
    return letter


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_it_is_private_marked_and_locked_and_then_gone(workshops: Workshops, root: Path) -> None:
    workshop = workshops.make()
    assert names(workshop.path) == [MARK, LOCK]
    assert workshop.path.stat().st_mode & 0o777 == root.stat().st_mode & 0o777 == 0o700
    (workshop.path / "deep" / "er").mkdir(parents=True)
    (workshop.path / "deep" / "er" / "file").touch()
    assert workshops.take(workshop.path.name) is None, "it is in use"
    workshops.clear()
    assert workshop.path.exists()
    assert workshop.remove()
    assert names(root) == []


def test_what_was_left_is_taken_by_one_and_cleared_by_the_next(workshops: Workshops, root: Path) -> None:
    workshops.make().release()
    (name,) = workshops.names()
    taken = workshops.take(name)
    assert taken is not None
    taken.release()
    workshops.clear()
    assert names(root) == []
    assert workshops.names() == []


def test_links_in_it_go_and_what_they_lead_to_stays(workshops: Workshops, root: Path, letter: Path) -> None:
    workshop = workshops.make()
    (workshop.path / "folder").symlink_to(letter.parent)
    (workshop.path / "file").symlink_to(letter)
    (workshop.path / LOCK).unlink()
    (workshop.path / LOCK).symlink_to(letter)
    workshop.remove()
    assert names(root) == []
    assert letter.read_text() == "dear"


@pytest.mark.parametrize("left", [[], [MARK], [LOCK], [MARK, LOCK]])
def test_one_that_was_killed_at_its_birth_or_end_is_cleared(left: list[str], workshops: Workshops, root: Path) -> None:
    (root / "t-0123456789ab").mkdir(parents=True)
    for name in left:
        (root / "t-0123456789ab" / name).touch()
    assert workshops.names() == []
    assert names(root) == []


@pytest.mark.parametrize("name", ["t-letters", "t-0123456789abc", "0123456789ab", "t-0123456789ab"])
def test_others_folders_stay_be_they_empty_or_called_as_ours(name: str, workshops: Workshops, root: Path) -> None:
    (root / name).mkdir(parents=True)
    if name == "t-0123456789ab":
        (root / name / "letter").touch()
    assert workshops.names() == []
    assert names(root) == [name]


def test_one_that_is_being_born_is_not_cleared_for_good(
    workshops: Workshops, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process tidies up between the folder and its mark."""
    from backends.ownership import workshop as module

    write, num_calls = module.write_mark, 0

    def meanwhile(*arguments: object) -> None:
        nonlocal num_calls
        num_calls += 1
        if num_calls == 1:
            Workshops(root, "tests", prefix="t-").clear()
        write(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "write_mark", meanwhile)
    workshop = workshops.make()
    assert names(root) == [workshop.path.name]
    workshop.remove()


def test_a_full_disk_leaves_nothing(workshops: Workshops, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("backends.ownership.workshop.write_mark", full)
    with pytest.raises(OSError, match="No space left"):
        workshops.make()
    assert names(root) == []


def test_a_root_that_is_a_link_is_refused_unless_it_is_the_persons(tmp_path: Path, letter: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(letter.parent)
    for attempt in (Workshops(link, "tests").make, Workshops(link, "tests").names):
        with pytest.raises(NotOurs, match="is a link, and Slipstream works in folders of its own"):
            attempt()
    workshop = Workshops(link, "tests", prefix="t-", follows=True).make()
    assert workshop.path.parent.resolve() == letter.parent
    workshop.remove()
    assert names(letter.parent) == ["letter"]


def test_what_cannot_be_deleted_keeps_its_mark(
    workshops: Workshops, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop = workshops.make()
    (workshop.path / "deep").mkdir()
    with open_directory(root) as directory:
        kind = type(directory)
    unlink = kind.unlink

    def refuse(self: object, name: str) -> None:
        if name == "held":
            raise PermissionError(13, "in use")
        unlink(self, name)  # type: ignore[arg-type]

    (workshop.path / "deep" / "held").touch()
    with monkeypatch.context() as patch:
        patch.setattr(kind, "unlink", refuse)
        assert not workshop.remove()
    workshops.clear()
    assert names(root) == []


def test_a_tree_that_is_deeper_than_ours_is_left(tmp_path: Path) -> None:
    deep = tmp_path.joinpath("tree", *["d"] * (removal.MAX_DEPTH + 5))
    deep.mkdir(parents=True)
    with open_directory(tmp_path) as directory:
        (fault,) = removal.remove(directory, "tree")
    assert "too deep" in str(fault)
    assert deep.exists()


def test_a_mounted_folder_is_not_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tree" / "disk").mkdir(parents=True)
    (tmp_path / "tree" / "disk" / "letter").touch()
    (tmp_path / "tree" / "ours").touch()
    with open_directory(tmp_path) as directory:
        monkeypatch.setattr(type(directory), "place", property(lambda self: (self.path.name == "disk",)))
        (fault,) = removal.remove(directory, "tree")
    assert "mounted" in str(fault)
    assert names(tmp_path / "tree") == ["disk"]
    assert names(tmp_path / "tree" / "disk") == ["letter"]


def test_a_folder_is_claimed_when_it_is_new_empty_or_known(tmp_path: Path) -> None:
    def knows(_directory: object, name: str) -> bool:
        return name.startswith("ours")

    for kind in ("new", "empty", "known"):
        if kind != "new":
            (tmp_path / kind).mkdir()
        if kind == "known":
            (tmp_path / kind / "ours.1").touch()
        OwnedFolder.claim(tmp_path / kind, "tests", knows).close()
        assert (tmp_path / kind).stat().st_mode & 0o777 == 0o700
        (tmp_path / kind / "letter").touch()
        with OwnedFolder.claim(tmp_path / kind, "tests", knows) as folder, OwnedFolder.open(folder.path, "tests"):
            assert MARK in folder.directory.names()
        with pytest.raises(NotOurs, match="bears no mark"):
            OwnedFolder.open(tmp_path / kind, "another purpose")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "letter").touch()
    mode = (tmp_path / "theirs").stat().st_mode
    with pytest.raises(NotOurs, match="holds what is not Slipstream's: 'letter'"):
        OwnedFolder.claim(tmp_path / "theirs", "tests", knows)
    assert names(tmp_path / "theirs") == ["letter"]
    assert (tmp_path / "theirs").stat().st_mode == mode


def test_files_in_an_owned_folder_go_and_links_on_the_way_are_not_followed(tmp_path: Path, letter: Path) -> None:
    with OwnedFolder.claim(tmp_path / "own", "tests", lambda *_: True) as folder:
        (folder.path / "in").mkdir()
        (folder.path / "in" / "file").touch()
        (folder.path / "link").symlink_to(letter.parent)
        assert folder.remove("in", "file")
        assert names(folder.path / "in") == []
        assert not folder.remove("link", "letter")
        assert folder.remove("nowhere", "file")
        assert folder.discard("link")
        assert not folder.discard("in")
    assert letter.exists()


def test_a_file_is_whole_or_not_there(tmp_path: Path, letter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "file"
    target.symlink_to(letter)
    write_whole(target, b"new")
    assert (target.read_bytes(), target.is_symlink(), letter.read_text()) == (b"new", False, "dear")
    assert target.stat().st_mode & 0o777 == 0o600

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(target, b"newer")
    assert target.read_bytes() == b"new"
    assert names(tmp_path) == ["file", "precious"]


def test_single_files_go_and_never_through_a_link(tmp_path: Path, letter: Path) -> None:
    (tmp_path / "library" / "a").mkdir(parents=True)
    file = tmp_path / "library" / "a" / "file"
    file.symlink_to(letter)
    delete_below(tmp_path / "library", file)
    delete_below(tmp_path / "library", file)  # gone is no fault
    (tmp_path / "library" / "b").symlink_to(letter.parent)
    for path in (tmp_path / "library" / "b" / "letter", tmp_path / "library" / ".." / "precious" / "letter", letter):
        with pytest.raises(NotOurs):
            delete_below(tmp_path / "library", path)
    assert not delete_empty(tmp_path / "library", tmp_path / "library" / "b")
    assert delete_empty(tmp_path / "library", tmp_path / "library" / "a")
    with pytest.raises(OSError, match=r"."):
        delete_file(letter.parent)
    delete_file(letter)
    assert names(letter.parent) == []


def test_a_lock_is_for_one(tmp_path: Path) -> None:
    with open_directory(tmp_path) as directory:
        lock = FolderLock.take(directory)
        assert lock is not None
        assert FolderLock.take(directory) is None
        lock.release()
        again = FolderLock.take(directory)
        assert again is not None
        again.release()


def test_a_folder_that_was_exchanged_is_another(way: str, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "ours").touch()
    with open_directory(tmp_path / "a") as directory:
        (tmp_path / "a").rename(tmp_path / "b")
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "theirs").touch()
        if way == "by handle":
            assert directory.names() == ["ours"]
        else:
            with pytest.raises(NotOurs, match="another folder than it was"):
                directory.names()
