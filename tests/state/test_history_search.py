"""The index makes searching quick and changes nothing of what is found."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.conversation import Role
from app.history import History
from app.history_index import SearchIndex
from app.history_search import MAX_INDEXED

SAID = (
    "Über Ärger in Groß-Gerau",
    'quoted "words" AND OR NEAR(',
    "日本語のテキスト",
    "x" * MAX_INDEXED + " at the end",
    "100% _",
)
SOUGHT = (
    "ÄRGER",
    "gross",
    'ed "wo',
    "and or",
    "near(",
    "本語",
    "本語の",
    "語",
    "the END",
    "100%",
    "_",
    "%",
    "zzz",
    "*",
)


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "search.sqlite3"


@pytest.fixture
def history(tmp_path: Path, index: Path) -> Iterator[History]:
    history = History(tmp_path / "chats.db")
    history.index_in(index)
    for text in SAID:
        history.append(history.create().id, Role.USER, text)
    yield history
    history.close()


def found(history: History, sought: str) -> set[int]:
    return {turn for each in history.find(sought) for turn in each.turns}


def indexed(path: Path) -> set[int]:
    with closing(sqlite3.connect(path)) as database:
        return {turn for (turn,) in database.execute("SELECT rowid FROM words")}


def catch_up(history: History) -> None:
    while history.index_more():
        pass


@pytest.mark.parametrize("sought", SOUGHT)
def test_with_half_and_without_an_index_the_same_is_found(
    sought: str, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.history_search.STEP", 0)
    by_reading = {number for number, text in enumerate(SAID, 1) if sought.casefold() in text.casefold()}
    assert found(history, sought) == by_reading  # one text is indexed
    catch_up(history)
    assert found(history, sought) == by_reading
    monkeypatch.setattr("app.history_search.open_index", lambda _: None)
    history.index_in(Path("nowhere"))
    assert found(history, sought) == by_reading


def test_what_was_said_is_indexed_once(
    history: History, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catch_up(history)
    assert indexed(index) == {1, 2, 3, 5}  # the long one is read whenever something is sought
    history.close()
    put: list[int] = []
    real = SearchIndex.put

    def counting(self: SearchIndex, texts: Iterable[tuple[int, int, str]]) -> None:
        kept = list(texts)
        put.extend(turn for turn, _, _ in kept)
        real(self, kept)

    monkeypatch.setattr(SearchIndex, "put", counting)
    again = History(tmp_path / "chats.db")
    again.index_in(index)
    again.append(1, Role.ASSISTANT, "new")
    assert found(again, "new") == {6}
    assert put == [6]
    again.close()


def test_a_text_that_has_changed_is_found_by_its_new_words_alone(history: History) -> None:
    assert found(history, "ärger") == {1}
    history.update(1, text="something else")
    assert (found(history, "ärger"), found(history, "else")) == (set(), {1})


def test_what_is_deleted_leaves_the_index(history: History, index: Path, tmp_path: Path) -> None:
    catch_up(history)
    history.delete_turn(1)
    history.delete_turns_from(2)
    history.delete(3)
    history.close()
    assert indexed(index) == {5}
    again = History(tmp_path / "chats.db")
    again.delete(5)  # and one that was killed before it came to the index
    again.close()
    again = History(tmp_path / "chats.db")
    again.index_in(index)
    again.index_more()
    again.close()
    assert indexed(index) == set()


def test_what_another_window_says_is_found(history: History, tmp_path: Path) -> None:
    assert found(history, "elsewhere") == set()
    other = History(tmp_path / "chats.db")
    other.append(1, Role.USER, "said elsewhere")
    assert found(history, "elsewhere") == {6}
    other.close()


@pytest.mark.parametrize("damage", ["content", "foreign", "folder"])
def test_a_broken_index_costs_time_alone(damage: str, history: History, index: Path) -> None:
    catch_up(history)
    history.index_in(index)  # which closes it
    if damage == "content":
        index.write_bytes(index.read_bytes()[:4096] + b"\xa5" * 40_000)
    elif damage == "foreign":
        with closing(sqlite3.connect(index)) as database:
            database.execute("CREATE VIEW mine AS SELECT 1")
    else:
        index.unlink()
        index.mkdir()
    assert found(history, "ärger") == {1}
    catch_up(history)
    assert found(history, "ärger") == {1}


def test_where_an_excerpt_is_from(history: History) -> None:
    text = history.excerpt(1, "ärger")
    assert text is not None
    assert (text.before, text.found, text.after) == ("Über ", "Ärger", " in Groß-Gerau")
    assert history.excerpt(1, " ") is None
    with pytest.raises(KeyError):
        history.excerpt(99, "ärger")


def test_branches_that_are_not_shown_are_found_too(history: History) -> None:
    history.edit(1, "edited")
    assert found(history, "ärger") == {1}
