"""One row of the chats that nobody can have meant costs that row: the others stand, and it says what is the matter."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from app.conversation import Role
from app.history import FAULTS, History, why
from app.history_opening import open_history
from app.history_schema import MIGRATIONS
from backends.protocol import Timings

Spoil = Callable[[sqlite3.Connection], object]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A chat of three turns, and another one."""
    path = tmp_path / "chats.db"
    history = History(path)
    chat = history.create("first").id
    history.append(chat, Role.USER, "question")
    history.update(history.append(chat, Role.ASSISTANT, "answer", "guide").id, timings=Timings(prompt_n=3))
    history.append(chat, Role.USER, "later")
    history.append(history.create("second").id, Role.USER, "other")
    history.close()
    return path


def reopened(path: Path, spoil: Spoil) -> History:
    with closing(sqlite3.connect(path)) as database, database:
        spoil(database)
    history, sentence = open_history(path)
    assert sentence is None
    return history


def set_to(column: str, value: object) -> Spoil:
    return lambda database: database.execute(f"UPDATE turn SET {column} = {value} WHERE id = 2")


ROWS: dict[str, tuple[Spoil, str | None]] = {  # and what is said of the turn, None: nothing need be
    "bytes that are no text": (set_to("text", "CAST(X'616e73ff776572' AS TEXT)"), "damaged on the disk"),
    "half a character": (set_to("text", "CAST(X'61eda080' AS TEXT)"), "damaged on the disk"),
    "a text that is endless": (set_to("text", "CAST(zeroblob(70000000) AS TEXT)"), "too large"),
    "a NUL": (set_to("text", "'a' || char(0) || 'b'"), None),
    "a role of nobody": (set_to("role", "'prophet'"), "nobody knows who wrote it"),
    "a role of bytes": (set_to("role", "CAST(X'ff' AS TEXT)"), "nobody knows who wrote it"),
    "timings that are no JSON": (set_to("timings", "'{'"), None),
    "timings that are a list": (set_to("timings", "'[1]'"), None),
    "timings of a kind": (
        set_to("timings", """'{"prompt_n": "x", "cache_miss": [], "predicted_ms": {}}'"""),
        None,
    ),
    "timings without end": (set_to("timings", """'{"predicted_ms": 1e999, "prompt_n": 1e99, "cache_n": NaN}'"""), None),
    "timings of a deep nest": (set_to("timings", f"'{'[' * 60_000}'"), None),
    "timings of a number too long": (set_to("timings", f"""'{{"prompt_n": {"9" * 5000}}}'"""), None),
    "a miss unknown": (set_to("timings", """'{"cache_miss": "whim"}'"""), None),
    "a time after all times": (set_to("created", "9e999"), None),
    "a time before all times": (set_to("created", "-9e999"), None),
    "a problem of bytes": (set_to("problem", "CAST(X'ff' AS TEXT)"), None),
}


@pytest.mark.parametrize("name", ROWS)
def test_one_bad_row_costs_that_row(name: str, path: Path) -> None:
    spoil, said = ROWS[name]
    history = reopened(path, spoil)
    first, second, third = history.turns(1)
    assert (first.text, third.text) == ("question", "later")
    assert said is None or said in str(second.problem)
    assert f"{second.timings.predicted_per_second:.1f}" if second.timings else True
    assert [info.title for info in history.conversations("ANSWER")] == (["first"] if second.text == "answer" else [])
    assert [info.title for info in history.conversations("LATER")] == ["first"]
    assert history.append(1, Role.ASSISTANT, "the next").text == "the next"
    history.close()


@pytest.mark.parametrize("title", ["CAST(X'ff41' AS TEXT)", "char(0)", "CAST(zeroblob(70000000) AS TEXT)"])
@pytest.mark.parametrize("updated", ["9e999", "-1e300", "0"])
def test_an_odd_conversation_does_not_hide_the_others(title: str, updated: str, path: Path) -> None:
    history = reopened(path, lambda it: it.execute(f"UPDATE conversation SET title = {title}, updated = {updated}"))
    assert {info.id for info in history.conversations()} == {1, 2}
    assert all(0 <= info.updated < 1e12 and len(info.title) <= 1000 for info in history.conversations())
    history.close()


def test_ids_are_what_the_file_says(path: Path) -> None:
    def renumber(database: sqlite3.Connection) -> None:
        database.execute("UPDATE conversation SET id = -5 WHERE id = 2")
        database.execute("UPDATE turn SET id = -7, conversation = -5 WHERE id = 4")
        database.execute(f"UPDATE turn SET id = {2**62} WHERE id = 3")

    history = reopened(path, renumber)
    assert [turn.text for turn in history.turns(1)] == ["question", "answer", "later"]
    assert [turn.id for turn in history.turns(-5)] == [-7]
    history.delete_turns_from(2**62)
    history.delete(-5)
    assert [info.id for info in history.conversations()] == [1]
    history.close()


FOREIGN = {
    "a table is missing": "DROP TABLE turn",
    "a column is missing": "ALTER TABLE turn DROP COLUMN problem",
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON turn BEGIN DELETE FROM conversation; END",
    "a view without end": (
        "DROP TABLE conversation; CREATE VIEW conversation AS WITH RECURSIVE r(id) AS (SELECT 1 UNION ALL SELECT 1 "
        "FROM r) SELECT id, '' AS title, 0.0 AS updated FROM r"
    ),
    "another program": "DROP TABLE turn; DROP TABLE conversation; CREATE TABLE mine (x); PRAGMA user_version = 0",
    "a version before all": "PRAGMA user_version = -3",
    "a turn of no chat": "PRAGMA foreign_keys = OFF; UPDATE turn SET conversation = 99 WHERE id = 2",
    "a version to come": "PRAGMA user_version = 99",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_file_that_is_not_as_we_made_it_is_set_aside(name: str, path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.executescript(FOREIGN[name])
    content = path.read_bytes()
    history, sentence = open_history(path)
    assert "chats.db.broken-1" in str(sentence)
    assert path.with_name("chats.db.broken-1").read_bytes() == content
    history.append(history.create("new").id, Role.USER, "x")
    assert history.conversations()[0].title == "new"
    history.close()


def test_a_paste_of_half_a_character_is_kept_as_far_as_it_is_text(path: Path) -> None:
    history = History(path)
    turn = history.append(history.create("\ud800").id, Role.USER, "a\ud800b")
    history.update(turn.id, text="c\udfffd")
    history.rename(1, "\ud800")
    assert history.turns(3)[0].text == "c?d"
    assert history.conversations("\ud800") == history.conversations("?")
    history.close()


def test_a_file_that_another_program_holds_is_told_and_waited_for_shortly(path: Path) -> None:
    history = History(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(FAULTS) as fault:
            history.append(1, Role.USER, "x")
    assert why(fault.value) == "another program holds the file"
    history.append(1, Role.USER, "now")
    history.close()


def test_a_file_of_an_earlier_version_is_ours(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later = ("ALTER TABLE turn ADD COLUMN later INTEGER;", "CREATE TABLE tag (name TEXT) STRICT;")
    monkeypatch.setattr("app.history_schema.MIGRATIONS", (*MIGRATIONS, *later))
    for _ in range(2):
        history, sentence = open_history(path)
        assert (sentence, len(history.turns(1))) == (None, 3)
        history.close()
