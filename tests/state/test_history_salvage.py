"""Chats of a damaged or foreign file stay in sight: on a full disk, after a kill at any step, with two at once."""

import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from app.conversation import Role
from app.history import History
from app.history_opening import open_history
from app.write_ahead_log import LogState

NUM_CHATS, NUM_LOGGED, NUM_TURNS = 20, 3, 8
PAGE = 4096
STEPS = 6  # renames: the new one is complete, the old one with three companions goes, the new one comes
DYING = """
import os, signal, sys
from pathlib import Path
from app.history_opening import open_history
real, left = os.rename, int(sys.argv[2])
def dying(*arguments, **named):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    real(*arguments, **named)
os.rename = dying
open_history(Path(sys.argv[1]))
os.kill(os.getpid(), signal.SIGKILL)
"""
OPENING = """
import sys
from pathlib import Path
from app.history_opening import open_history
print("ready", flush=True)
sys.stdin.readline()
history, sentence = open_history(Path(sys.argv[1]))
history.create("mine")
print(history.path is not None and "healthy" if sentence is None else sentence, flush=True)
sys.stdin.readline()
history.close()
"""


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """A spoiled page in the middle, and the last chats in the log alone, as a death leaves them."""
    alive, path = tmp_path / "alive" / "chats.db", tmp_path / "chats.db"
    for first, last in ((0, NUM_CHATS), (NUM_CHATS, NUM_CHATS + NUM_LOGGED)):
        history = History(alive)
        for number in range(first, last):
            chat = history.create(f"Chat {number}").id
            for _ in range(NUM_TURNS):
                history.append(chat, Role.USER, "hello " * 900)
        if first:
            for suffix in ("", "-wal"):
                path.with_name(path.name + suffix).write_bytes(alive.with_name(alive.name + suffix).read_bytes())
        history.close()
    content = bytearray(path.read_bytes())
    content[PAGE * 100 : PAGE * 101] = b"\xff" * PAGE
    path.write_bytes(content)
    return path


@contextmanager
def largest_file(num_bytes: int) -> Iterator[None]:
    """As on a disk that is full: what lies there can be read, and nothing of that size can be made."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def titles(history: History) -> set[str]:
    return {info.title for info in history.conversations()}


ALL = {f"Chat {number}" for number in range(NUM_CHATS + NUM_LOGGED)}


def test_on_a_full_disk_the_chats_are_shown_and_their_file_stays(damaged: Path) -> None:
    content = damaged.read_bytes()
    with largest_file(100_000):
        history, sentence = open_history(damaged)
    assert titles(history) == ALL
    history.close()
    assert str(damaged) in str(sentence)
    assert "start Slipstream again" in str(sentence)
    assert damaged.read_bytes() == content
    history, sentence = open_history(damaged)
    assert titles(history) == ALL
    assert "chats.db.broken-1" in str(sentence)
    history.close()
    assert damaged.with_name("chats.db.broken-1").read_bytes() == content


@pytest.mark.parametrize("num_renames", range(STEPS + 1))
def test_a_start_killed_at_any_step_leaves_the_old_or_the_new_file(num_renames: int, damaged: Path) -> None:
    content, log = damaged.read_bytes(), damaged.with_name("chats.db-wal").read_bytes()
    killed = subprocess.run([sys.executable, "-c", DYING, str(damaged), str(num_renames)], cwd=Path.cwd(), check=False)
    assert killed.returncode == -signal.SIGKILL
    history, sentence = open_history(damaged)
    assert titles(history) == ALL
    history.close()
    assert num_renames == STEPS or "chats.db.broken-1" in str(sentence)
    assert damaged.with_name("chats.db.broken-1").read_bytes() == content
    assert damaged.with_name("chats.db.broken-1-wal").read_bytes() == log
    assert not [path for path in damaged.parent.iterdir() if "part" in path.name or "mended" in path.name]
    history, sentence = open_history(damaged)
    assert (sentence, titles(history)) == (None, ALL)
    history.close()


def open_twice(path: Path) -> list[str]:
    """What two processes that open it at the same moment say."""
    command = [sys.executable, "-c", OPENING, str(path)]
    both = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    with both[0], both[1]:
        _lines(both)
        said = _lines(both)
    return sorted(said)


def _lines(both: list[subprocess.Popen[str]]) -> list[str]:
    """One of each, and both go on."""
    lines = []
    for each in both:
        assert each.stdout
        lines.append(each.stdout.readline().strip())
    for each in both:
        assert each.stdin
        each.stdin.write("\n")
        each.stdin.flush()
    return lines


def test_two_that_open_new_chats_at_once_share_them(tmp_path: Path) -> None:
    for number in range(5):
        path = tmp_path / str(number) / "chats.db"
        path.parent.mkdir()
        assert open_twice(path) == ["healthy", "healthy"]
        history, sentence = open_history(path)
        assert (sentence, len(history.conversations())) == (None, 2)
        history.close()


def test_two_that_open_a_damaged_file_at_once_mend_it_once(damaged: Path) -> None:
    said = open_twice(damaged)
    assert [f"{len(ALL)} of its chats could be read" in sentence for sentence in said] == [True, False]
    history, sentence = open_history(damaged)
    assert (sentence, titles(history)) == (None, ALL | {"mine"})
    history.close()


@pytest.fixture
def living(tmp_path: Path) -> Iterator[History]:
    history, _ = open_history(tmp_path / "chats.db")
    history.append(history.create("living").id, Role.USER, "x")
    yield history
    history.close()


def test_what_another_has_open_is_not_set_aside(living: History, tmp_path: Path) -> None:
    path = tmp_path / "chats.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE VIEW v AS SELECT 1")
    history, sentence = open_history(path)
    assert titles(history) == {"living"}
    assert "another Slipstream has it open" in str(sentence)
    history.close()
    assert not list(tmp_path.glob("*broken*"))
    living.create("later")
    living.close()
    history, sentence = open_history(path)
    assert titles(history) == {"living", "later"}
    assert "chats.db.broken-1" in str(sentence)
    history.close()


@pytest.mark.usefixtures("living")
def test_a_log_in_motion_is_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.own_database.look_at_log", lambda _: LogState.CUT)
    history, sentence = open_history(tmp_path / "chats.db")
    assert (sentence, titles(history)) == (None, {"living"})
    history.close()


SOUND = {
    "an index": "CREATE INDEX mine ON turn (text)",
    "a view": "CREATE VIEW mine AS SELECT * FROM turn",
    "a trigger": "CREATE TRIGGER mine AFTER INSERT ON turn BEGIN DELETE FROM conversation; END",
    "a copy by .dump": "PRAGMA user_version = 0",
    "a column less": "ALTER TABLE turn DROP COLUMN problem",
    "a column more": "ALTER TABLE turn ADD COLUMN more TEXT",
    "a later version": "PRAGMA user_version = 99",
}


def test_a_schema_that_is_no_text_is_not_ours(tmp_path: Path) -> None:
    path = tmp_path / "chats.db"
    history, _ = open_history(path)
    history.create("before")
    history.close()
    content = path.read_bytes().replace(b"problem TEXT", b"probl\xffm TEXT", 1)
    path.write_bytes(content)
    history, sentence = open_history(path)
    assert "chats.db.broken-1. 1 of its chats could be read" in str(sentence)
    assert titles(history) == {"before"}
    history.close()


@pytest.mark.parametrize("name", SOUND)
def test_chats_of_a_file_that_others_have_changed_go_on(name: str, tmp_path: Path) -> None:
    path = tmp_path / "chats.db"
    history, _ = open_history(path)
    turn = history.append(history.create("before").id, Role.USER, "said")
    history.close()
    with closing(sqlite3.connect(path)) as database:
        database.execute(SOUND[name])
    history, sentence = open_history(path)
    assert "chats.db.broken-1. 1 of its chats could be read" in str(sentence)
    assert history.turns(1) == [turn]
    history.append(1, Role.USER, "after")
    assert titles(history) == {"before"}
    history.close()


def test_of_too_many_messages_the_newest_are_taken_and_it_says_so(
    damaged: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.history_salvage.MAX_ROWS", 10)
    monkeypatch.setattr("app.history_opening.MAX_ROWS", 10)
    history, sentence = open_history(damaged)
    assert "the newest 10 were taken" in str(sentence)
    newest = history.conversations()[0]
    assert (newest.title, len(history.turns(newest.id))) == (f"Chat {NUM_CHATS + NUM_LOGGED - 1}", NUM_TURNS)
    history.close()
