"""Something else lies where a file of ours should be: nobody hangs, a sentence says so, and it is not lost."""

import json
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from app.conversation import Role
from app.errors import InstallError, ModelFileError
from app.history_opening import open_history
from app.inference.preflight import Preflight, Verdict
from app.jobs.install_record import FILE_NAME, read_record
from app.lab.card_store import CardStore
from app.lab.text import EvaluationError, read_text
from app.library.facts import Facts
from app.library.found import Found
from app.library.index import Index
from app.library.manifest import read_manifest
from app.library.origin import Origin
from app.library.remarks import Remarks
from app.settings import Settings
from app.settings_file import SettingsFile
from backends.regular_file import OddFileError, read_regular
from tests.lab.cards import card
from tests.means import ODD

pytestmark = pytest.mark.skipif(os.name == "nt", reason="pipes, sockets and links need rights there")
odd = pytest.mark.parametrize("kind", ODD)


def is_kept(path: Path) -> bool:
    """What lay there lies beside it, whole."""
    kept = path.with_name(f"{path.name}.broken-1")
    mode = os.lstat(kept).st_mode
    return stat.S_ISREG(mode) is False and (not stat.S_ISDIR(mode) or (kept / "precious").read_text() == "kept")


@odd
def test_settings(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    ODD[kind](path)
    file = SettingsFile(path)
    settings, sentence = file.load()
    assert settings == Settings()
    assert sentence is not None
    assert "settings.toml.broken-1" in sentence
    file.change(lambda known: replace(known, theme="dark"))
    assert file.load() == (Settings(theme="dark"), None)
    assert is_kept(path)


@odd
def test_notes_and_favourites(kind: str, tmp_path: Path) -> None:
    path, told = tmp_path / "library.json", []
    ODD[kind](path)
    remarks = Remarks(path, told.append)
    assert remarks.all() == {}
    assert ["library.json.broken-1" in sentence for sentence in told] == [True]
    remarks.change("/model", note="n")
    assert Remarks(path).of("/model").note == "n"
    assert is_kept(path)


@odd
@pytest.mark.parametrize("suffix", ["", "-wal", "-journal"])
def test_the_chats(kind: str, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / "chats.db"
    history, _ = open_history(path)
    history.append(history.create("before").id, Role.USER, "x")
    history.close()
    place = path.with_name(path.name + suffix)
    place.unlink(missing_ok=True)
    ODD[kind](place)
    history, sentence = open_history(path)
    assert sentence is not None
    assert f"{place.name}.broken-1" in sentence
    assert [info.title for info in history.conversations()] == (["before"] if suffix else [])
    history.append(history.create("after").id, Role.USER, "x")
    history.close()
    history, sentence = open_history(path)
    assert sentence is None
    assert "after" in [info.title for info in history.conversations()]
    history.close()
    assert is_kept(place)


def test_what_is_left_of_chats_that_are_gone_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "chats.db"
    history, _ = open_history(path)
    history.create("x" * 5000)
    log = path.with_name("chats.db-wal").read_bytes()
    history.close()
    path.unlink()
    path.with_name("chats.db-wal").write_bytes(log)
    history, sentence = open_history(path)
    history.close()
    assert "chats.db-wal.broken-1" in str(sentence)
    assert path.with_name("chats.db-wal.broken-1").read_bytes() == log


@odd
def test_the_index_of_headers(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "library.sqlite3"
    ODD[kind](path)
    found = Found(Origin.FOLDER, "m", "/m.gguf", 1, 2, 3)
    for num_read in (1, 0):
        read: list[Found] = []
        index = Index(path, lambda found, read=read: read.append(found) or Facts(True, "m"))
        facts = index.get(found) or index.read(found)
        index.save()
        assert facts == Facts(True, "m")
        assert len(read) == num_read
    assert is_kept(path)


READERS: dict[str, Callable[[Path], object]] = {
    FILE_NAME: lambda path: read_record(path.parent),
    "manifest.json": lambda path: read_manifest(path.parent),
    "text.txt": read_text,
    "anything": lambda path: read_regular(path, 100),
}


@odd
@pytest.mark.parametrize("name", READERS)
def test_other_files_are_refused_with_a_sentence(name: str, kind: str, tmp_path: Path) -> None:
    ODD[kind](tmp_path / name)
    with pytest.raises((InstallError, ModelFileError, EvaluationError, OddFileError), match="it is a "):
        READERS[name](tmp_path / name)
    assert os.path.lexists(tmp_path / name)


@odd
def test_a_card(kind: str, tmp_path: Path) -> None:
    store = CardStore(tmp_path)
    store.save(card())
    (path,) = tmp_path.iterdir()
    path.unlink()
    ODD[kind](path)
    assert store.cards() == []
    store.save(card())
    assert store.cards() == [card()]
    assert is_kept(path)


@odd
def test_the_verdict_of_the_self_test(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Preflight, "_test", lambda *_, **__: Verdict(True, 1.5))
    path = tmp_path / "selftest.json"
    ODD[kind](path)
    assert Preflight(tmp_path, tmp_path).verdict() == Verdict(True, 1.5)
    (kept,) = json.loads(path.read_text()).values()
    assert Verdict(**kept) == Verdict(True, 1.5)
    assert is_kept(path)


LONG_KEY = "a." * 60_000 + "b = 1"
KNOTS = {
    "texts that never end": 'x = """' + '"\\' * 300_000,
    "quotes": "x = " + "'\"" * 300_000,
    "quotes on lines": "x = '\n" * 100_000,
    "escapes": 'x = "' + "\\\\" * 300_000,
    "a text in a text": 'x = ["""\n\' """, {' + LONG_KEY + "}]  # '",
    "a comment": 'x = 1  # """\n' + LONG_KEY,
    "a text that ends in quotes": 'x = """a"""""\n' + LONG_KEY,
    "quoted keys": '"a" . ' * 60_000 + "b = 1",
    "long headers": "[" + "a." * 99 + "b]\n" + "".join(f"{'c.' * 99}d{n} = 1\n" for n in range(4000)),
    "brackets": "x = " + "[" * 500_000,
    "comments": "x = [" + "#\n" * 300_000,
    "dates": "x = [" + "2026-01-01T00:00:00.1," * 40_000,
    "a long number": "x = 0." + "1" * 900_000,
}


@pytest.mark.parametrize("content", ["[" * 200_000, "a" + ".a" * 60_000 + " = 1", "x = " + "{x = " * 50_000, "\0" * 9])
def test_settings_that_are_nested_too_deeply_are_set_aside_at_once(content: str, tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(f"port = 9001\n{content}\n")
    file = SettingsFile(path)
    settings, sentence = file.load()
    assert settings == Settings()
    assert "settings.toml.broken-1" in str(sentence)
    assert content in path.with_name("settings.toml.broken-1").read_text()


def test_a_text_of_many_points_is_no_long_key(tmp_path: Path) -> None:
    file = SettingsFile(tmp_path / "settings.toml")
    prompt = "Yes. No. " * 500 + "1.2.3." * 500 + "“quoted”. \"q\". 'q'. " * 100 + "\n"
    file.change(lambda settings: replace(settings, system_prompt=prompt))
    assert file.load() == (Settings(system_prompt=prompt), None)


@pytest.mark.parametrize("content", KNOTS.values(), ids=KNOTS)
def test_no_settings_hold_up_a_start(content: str, tmp_path: Path) -> None:
    """Each grows with the square of its length for some way to read it; at these lengths that is minutes."""
    path = tmp_path / "settings.toml"
    path.write_text(content)
    settings, _ = SettingsFile(path).load()
    assert settings == Settings()


def test_settings_of_an_editor_that_marks_its_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_bytes("port = 9001\n".encode("utf-8-sig"))
    assert SettingsFile(path).load() == (Settings(port=9001), None)
    path.write_bytes("port = 9001\n".encode("utf-16"))
    assert "settings.toml.broken-1" in str(SettingsFile(path).load()[1])


def test_notes_that_are_nested_too_deeply_are_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "library.json"
    path.write_text('{"version": 1, "models": ' + "[" * 300_000)
    assert Remarks(path).all() == {}
    assert path.with_name("library.json.broken-1").exists()


def test_a_file_that_grows_too_large_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x" * 101)
    with pytest.raises(OddFileError, match="larger than"):
        read_regular(tmp_path / "x", 100)
    assert read_regular(tmp_path / "x", 101) == b"x" * 101
