"""Chats of an earlier version go on as they were: migrated whole, or not at all, and as well when they are damaged."""

import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from app.conversation import Role
from app.history import History
from app.history_opening import open_history
from app.history_schema import newest, statements_since
from backends.protocol import Timings
from tests.state.earlier_chats import NUM_CHATS, NUM_TURNS, expected, make_earlier

EARLIER = range(1, newest())
DYING = """
import os, signal, sys
from pathlib import Path
import app.history_database as database
from app.history_opening import open_history
real, left = database.statements_since, int(sys.argv[2])
def dying(version):
    for number, statement in enumerate(real(version)):
        if number == left:
            os.kill(os.getpid(), signal.SIGKILL)
        yield statement
    os.kill(os.getpid(), signal.SIGKILL)
database.statements_since = dying
open_history(Path(sys.argv[1]))
"""


def texts(history: History) -> dict[str, list[str]]:
    return {info.title: [turn.text for turn in history.turns(info.id)] for info in history.conversations()}


@pytest.mark.parametrize("version", EARLIER)
def test_chats_of_an_earlier_version_become_trees_of_one_branch(version: int, tmp_path: Path) -> None:
    path = tmp_path / "chats.db"
    make_earlier(path, version)
    history, sentence = open_history(path)
    assert (sentence, texts(history)) == (None, expected())
    first, second, *_ = history.turns(1)
    assert (first.parent, second.parent, second.model, second.timings) == (None, first.id, "guide", Timings(prompt_n=3))
    assert history.tree(2).path() == tuple(history.tree(2))
    history.edit(second.id, "better")
    history.close()
    history, sentence = open_history(path)
    assert (sentence, [turn.text for turn in history.turns(1)]) == (None, [first.text, "better"])
    history.choose(second.id)
    assert texts(history) == expected()
    history.close()


@pytest.mark.parametrize("version", EARLIER)
def test_a_start_killed_at_any_statement_leaves_the_earlier_version_whole(version: int, tmp_path: Path) -> None:
    make_earlier(tmp_path / "chats.db", version)
    for num_statements in range(0, len(list(statements_since(version))) + 1, 3):
        path = tmp_path / str(num_statements) / "chats.db"
        path.parent.mkdir()
        shutil.copy(tmp_path / "chats.db", path)
        command = [sys.executable, "-c", DYING, str(path), str(num_statements)]
        assert subprocess.run(command, cwd=Path.cwd(), check=False).returncode == -signal.SIGKILL
        with closing(sqlite3.connect(path)) as database:
            assert database.execute("PRAGMA user_version").fetchone() == (version,)
        history, sentence = open_history(path)
        assert (sentence, texts(history)) == (None, expected())
        history.close()


@pytest.mark.parametrize("version", EARLIER)
def test_of_a_damaged_file_of_an_earlier_version_the_order_is_kept_too(version: int, tmp_path: Path) -> None:
    path = tmp_path / "chats.db"
    make_earlier(path, version)
    with closing(sqlite3.connect(path)) as database:
        (page,) = database.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'turn_by_conversation'").fetchone()
    content = bytearray(path.read_bytes())
    content[4096 * (page - 1) : 4096 * page] = b"\xa5" * 4096
    path.write_bytes(content)
    history, sentence = open_history(path)
    assert f"{NUM_CHATS} of its chats could be read" in str(sentence)
    assert texts(history) == expected()
    turn = history.append(1, Role.USER, "goes on")
    assert history.turns(1)[-1] == turn
    history.close()


def branched(path: Path) -> None:
    """Two chats with branches: an edited first question, three answers to one."""
    history = History(path)
    for title in ("one", "two"):
        chat = history.create(title).id
        question = history.append(chat, Role.USER, f"{title}: Q " * 200)
        for number in range(3):
            history.append(chat, Role.ASSISTANT, f"{title}: A{number} " * 200, "guide", parent=question.id)
        history.choose(history.tree(chat).siblings(question.id + 1)[1])
        history.append(chat, Role.USER, f"{title}: and on")
        history.edit(question.id, f"{title}: Q, better")
        history.choose(question.id)
        history.move(chat, "Work")
        history.pin(chat, True)
    history.close()


def test_branches_choices_and_marks_of_a_damaged_file_go_on(tmp_path: Path) -> None:
    path = tmp_path / "chats.db"
    branched(path)
    history = History(path)
    before = [history.chat(info.id) for info in history.conversations()]
    history.close()
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE VIEW mine AS SELECT 1")
    history, sentence = open_history(path)
    assert "2 of its chats could be read" in str(sentence)
    assert [history.chat(info.id) for info in history.conversations()] == before
    assert [len(chat.turns) for chat in before] == [6, 6]
    assert {turn.text[:7] for turn in history.turns(1)} == {"one: Q ", "one: A1", "one: an"}
    history.close()


@pytest.mark.parametrize("lost", [2, 4])
def test_what_followed_a_lost_message_is_still_there(lost: int, tmp_path: Path) -> None:
    path = tmp_path / "chats.db"
    make_earlier(path, 1)
    history, _ = open_history(path)
    turns = history.turns(1)
    history.close()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("DELETE FROM turn WHERE id = ?", (turns[lost].id,))
        database.execute("CREATE VIEW mine AS SELECT 1")
    for _ in range(2):
        history, _ = open_history(path)
        assert [turn.text for turn in history.turns(1)] == [turn.text for turn in (*turns[:lost], *turns[lost + 1 :])]
        history.close()
    assert len(turns) == NUM_TURNS


@pytest.mark.parametrize("column", ["parent = 99", "parent = id", "parent = id + 1", "chosen = id", "edited = 7"])
def test_links_that_cannot_be_cost_no_message(column: str, tmp_path: Path) -> None:
    path = tmp_path / "chats.db"
    make_earlier(path, 1)
    open_history(path)[0].close()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"UPDATE turn SET {column}")
        database.execute("UPDATE conversation SET chosen = 10000 + id")
    history, sentence = open_history(path)
    assert (sentence, texts(history)) == (None, expected())
    history.close()
