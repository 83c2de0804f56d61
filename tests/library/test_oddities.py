"""One odd file never takes the rest away: the list stands, the odd one is in it, and what is shown can be shown."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.errors import ModelFileError, UnknownModelError
from app.library.facts import Facts
from app.library.folders import with_folder
from app.library.found import Found
from app.library.index import Index
from app.library.origin import Origin
from backends.bounds import MAX_SENTENCE
from tests.library import foreign
from tests.library.conftest import Stage
from tests.library.oddities import NO_UTF8, SOUND, Oddity, as_somebody, check, new_home, oddities, sound


@pytest.fixture
def home() -> Iterator[Path]:
    with new_home() as path:
        yield path


@pytest.mark.parametrize("oddity", list(oddities()), ids=lambda oddity: oddity.name)
def test_the_list_stands(oddity: Oddity, home: Path) -> None:
    oddity.make(home)
    stage = Stage(home)
    stage.folders += [str(home / "f"), *(str(home / name) for name in oddity.folders)]
    stage.environ.update(oddity.environ)
    with as_somebody(home, oddity.is_forbidden):
        first = stage.library.look()
        check(oddity, first.entries, first.notices)
        again = stage.new_library().look()
        check(oddity, again.entries, again.notices)
    assert [entry.id for entry in again.entries] == [entry.id for entry in first.entries]
    assert {path for path in stage.read if stage.read.count(path) > 1} <= {
        str(entry.path) for entry in first.entries if entry.problem
    }  # the index could be kept


def test_what_vanishes_while_it_is_listed_takes_nothing_along(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = stage.home / "f"
    stage.folders.append(str(folder))
    for name in ("a", "b", "c"):
        foreign.gguf(folder / f"{name}.gguf")
    real = os.scandir

    @contextmanager
    def scandir(path: str) -> Iterator[Iterator["os.DirEntry[str]"]]:
        with real(path) as listing:
            entries = list(listing)
        (folder / "b.gguf").unlink(missing_ok=True)
        yield iter(entries)

    monkeypatch.setattr("app.library.scan.os.scandir", scandir)
    listing = stage.library.look()
    assert [entry.id for entry in listing.entries] == ["a", "c"]
    assert listing.notices == ()


def test_what_nobody_has_foreseen_costs_one_place(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    sound(stage.home)
    stage.folders.append(str(stage.home / "f"))

    def find(_: str) -> Iterator[Found]:
        raise ZeroDivisionError
        yield

    monkeypatch.setattr("app.library.places.find_ollama", find)
    listing = stage.library.look()
    assert {entry.id for entry in listing.entries} == SOUND - {"good:latest"}
    assert "(ZeroDivisionError())" in listing.notices[0]


def test_a_file_that_was_forbidden_is_read_once_it_is_allowed(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the file itself changes by that, or by a network drive that comes back."""
    path = foreign.gguf(stage.home / "f" / "x.gguf")
    stage.folders.append(str(stage.home / "f"))

    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr("backends.formats.gguf._open_at_once", refuse)
        (entry,) = stage.library.models()
        assert entry.problem == f"{path} cannot be read: Permission denied."
    (entry,) = stage.library.models()
    assert (entry.problem, entry.architecture) == (None, "llama")


def test_no_device_is_opened(stage: Stage, opened: Callable[[], list[str]]) -> None:
    """Opening some of them does something: a watchdog, a tape."""
    foreign.gguf(stage.home / "f" / "good.gguf")
    (stage.home / "f" / "device.gguf").symlink_to("/dev/zero")
    os.mkfifo(stage.home / "f" / "pipe.gguf")
    stage.folders.append(str(stage.home / "f"))
    opened()
    assert len(stage.library.models()) == 3
    assert {Path(name).name for name in opened() if name.endswith(".gguf")} == {"good.gguf"}


def test_an_index_holds_what_no_database_can(stage: Stage) -> None:
    found = Found(Origin.FOLDER, "x", f"/{NO_UTF8}", 2**63 - 1, -(2**63) + 1, 2**64 - 1)
    index = Index(stage.home / "cache" / "library.sqlite3", lambda _: Facts(True, "n", "llama", 2**63 - 1))
    assert index.get(found) is None
    index.read(found)
    index.save()
    assert Index(stage.home / "cache" / "library.sqlite3").get(found) == Facts(True, "n", "llama", 2**63 - 1)


@pytest.mark.parametrize(
    "name", ["~no-such-person/x.gguf", "a\0b.gguf", "x" * 100_000 + ".gguf", NO_UTF8 + ".gguf", "\ud800.gguf"]
)
def test_a_name_of_nothing_is_an_unknown_model(name: str, stage: Stage) -> None:
    with pytest.raises(UnknownModelError) as told:
        stage.library.find(name)
    assert str(told.value).isprintable()
    assert len(str(told.value)) <= MAX_SENTENCE


def test_a_model_whose_name_is_no_utf8_keeps_its_remarks(stage: Stage) -> None:
    foreign.gguf(stage.home / "f" / f"{NO_UTF8}.gguf")
    stage.folders.append(str(stage.home / "f"))
    stage.library.write_note(r"caf\xe9\xff", "a note")
    assert stage.new_library().find(r"caf\xe9\xff").note == "a note"
    with pytest.raises(ModelFileError, match="no UTF-8"):
        with_folder((), foreign.gguf(stage.home / NO_UTF8 / "x.gguf").parent)


def test_a_folder_without_end_is_looked_at_in_part(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.library.scan.MAX_FILES", 10)
    monkeypatch.setattr("app.library.scan.MAX_FOLDERS", 5)
    for number in range(30):
        foreign.gguf(stage.home / "f" / f"{number}.gguf")
        foreign.gguf(stage.home / "g" / str(number) / "x.gguf")
    stage.folders += [str(stage.home / "f"), str(stage.home / "g")]
    listing = stage.library.look()
    assert 0 < len(listing.entries) < 30
    assert [f"{stage.home}/{name} holds too much" in listing.notices[at] for at, name in enumerate("fg")] == [
        True,
        True,
    ]
