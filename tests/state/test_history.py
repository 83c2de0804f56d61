import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from app.conversation import Role, to_messages
from app.history import History
from app.history_opening import open_history
from app.history_schema import MIGRATIONS
from backends.messages import ToolCall
from backends.protocol import Message, Timings

TIMINGS = Timings(prompt_n=3, cache_n=5, predicted_n=9, predicted_ms=12.5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "sta te ü" / "chats.db"


@pytest.fixture
def history(path: Path) -> Iterator[History]:
    history = History(path)
    yield history
    history.close()


def test_a_conversation_survives_a_restart(history: History, path: Path) -> None:
    info = history.create("First")
    question = history.append(info.id, Role.USER, "Hello 🙂")
    answer = history.append(info.id, Role.ASSISTANT, "", model="guide")
    history.update(answer.id, text="Hi!", timings=TIMINGS, stopped=True, problem="It broke.")
    before = history.turns(info.id)
    history.close()

    again, sentence = open_history(path)
    assert sentence is None
    assert again.turns(info.id) == before
    again.close()
    assert before[0] == question
    assert (before[1].text, before[1].model, before[1].timings) == ("Hi!", "guide", TIMINGS)
    assert (before[1].stopped, before[1].problem) == (True, "It broke.")


def test_calls_and_their_results_are_told_to_the_model_after_a_restart(history: History, path: Path) -> None:
    call = ToolCall("c1", "calculator", '{"expression": "6 * 7"}')
    steps = (
        Message("assistant", "", (call,), reasoning="Hm."),
        Message("tool", "42", tool_call_id="c1", name="calculator"),
        Message("assistant", "It is 42."),
    )
    info = history.create("First")
    history.append(info.id, Role.USER, "6 times 7?")
    answer = history.append(info.id, Role.ASSISTANT, "")
    history.update(answer.id, text="It is 42.", steps=steps)
    history.close()
    again, _ = open_history(path)
    assert to_messages(again.turns(info.id), "")[1:] == steps
    again.edit(answer.id, "It is 43.")
    assert to_messages(again.turns(info.id), "")[1:] == (Message("assistant", "It is 43."),)
    again.close()


def test_update_changes_only_what_is_given(history: History) -> None:
    turn = history.append(history.create().id, Role.ASSISTANT, "text")
    history.update(turn.id, timings=TIMINGS, problem="It broke.")
    history.update(turn.id, stopped=True)
    history.update(turn.id)
    (kept,) = history.turns(1)
    assert (kept.text, kept.timings, kept.stopped, kept.problem) == ("text", TIMINGS, True, "It broke.")
    history.update(turn.id, timings=None, problem=None)
    (kept,) = history.turns(1)
    assert (kept.timings, kept.problem) == (None, None)


def test_the_conversation_that_was_spoken_in_last_is_first(history: History) -> None:
    first, second = history.create("first"), history.create("second")
    assert [info.title for info in history.conversations()] == ["second", "first"]
    history.append(first.id, Role.USER, "again")
    history.rename(second.id, "renamed")
    assert [info.title for info in history.conversations()] == ["first", "renamed"]


@pytest.mark.parametrize(
    ("search", "found"),
    [("ärger", ["über Ärger"]), ("GROSS", ["big"]), ("100%", ["big"]), ("_", []), ("  ", None), ("zzz", [])],
)
def test_search_looks_at_titles_and_turns(history: History, search: str, found: list[str] | None) -> None:
    history.create("über Ärger")
    history.append(history.create("big").id, Role.USER, "Groß, at 100% or more")
    titles = [info.title for info in history.conversations(search)]
    assert titles == (["big", "über Ärger"] if found is None else found)


def test_try_again_deletes_this_turn_and_the_later_ones_of_its_conversation(history: History) -> None:
    here, there = history.create("here"), history.create("there")
    kept = history.append(here.id, Role.USER, "1")
    cut = history.append(here.id, Role.ASSISTANT, "2")
    other = history.append(there.id, Role.USER, "other")
    history.append(here.id, Role.USER, "3")
    history.delete_turns_from(cut.id)
    assert history.turns(here.id) == [kept]
    assert history.turns(there.id) == [other]


def test_a_deleted_conversation_takes_its_turns_along(history: History, path: Path) -> None:
    info = history.create()
    history.append(info.id, Role.USER, "x")
    history.delete(info.id)
    history.delete(info.id)
    assert history.conversations() == []
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT count(*) FROM turn").fetchone() == (0,)
    database.close()


def test_what_is_not_there_is_an_error_and_changes_nothing(history: History) -> None:
    with pytest.raises(KeyError):
        history.append(9, Role.USER, "lost")
    with pytest.raises(KeyError):
        history.update(9, text="lost")
    with pytest.raises(KeyError):
        history.rename(9, "lost")
    assert history.turns(9) == []
    history.append(history.create().id, Role.USER, "the next one works")


@pytest.mark.parametrize("damage", ["not a database at all " * 300, None])
def test_a_damaged_file_is_set_aside(path: Path, damage: str | None) -> None:
    history = History(path)
    for number in range(200):
        history.append(history.create(f"{number}").id, Role.USER, "x" * 500)
    history.close()
    content = damage.encode() if damage else _with_spoiled_pages(path.read_bytes())
    path.write_bytes(content)

    history, sentence = open_history(path)
    assert sentence is not None
    assert "chats.db.broken-1" in sentence
    assert path.with_name("chats.db.broken-1").read_bytes() == content
    assert len(history.conversations()) == (0 if damage else 200)
    history.create("works")
    history.close()
    history, sentence = open_history(path)
    assert sentence is None
    assert history.conversations()[0].title == "works"
    history.close()


def _root_page(path: Path, name: str) -> int:
    with closing(sqlite3.connect(path)) as database:
        (page,) = database.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,)).fetchone()
    return int(page) - 1


@pytest.mark.parametrize(
    ("spoiled", "num_chats", "title"),
    [("turn_by_conversation", 40, "39"), ("conversation_by_time", 40, "39"), ("conversation", 40, "without its title")],
)
def test_what_can_be_read_of_a_damaged_file_goes_on(spoiled: str, num_chats: int, title: str, path: Path) -> None:
    history = History(path)
    for number in range(40):
        history.append(history.create(f"{number}").id, Role.USER, f"Tell {number}")
    history.close()
    content = bytearray(path.read_bytes())
    start = 4096 * _root_page(path, spoiled)
    content[start : start + 4096] = b"\xa5" * 4096
    path.write_bytes(content)
    history, sentence = open_history(path)
    assert f"{num_chats} of its chats could be read" in str(sentence)
    assert path.with_name("chats.db.broken-1").read_bytes() == content
    chats = history.conversations()
    assert (len(chats), title in chats[0].title) == (num_chats, True)
    assert {turn.text for chat in chats for turn in history.turns(chat.id)} == {f"Tell {n}" for n in range(40)}
    history.append(history.create("new").id, Role.USER, "x")
    history.close()
    history, sentence = open_history(path)
    assert (sentence, len(history.conversations())) == (None, num_chats + 1)
    history.close()


def _with_spoiled_pages(content: bytes) -> bytes:
    return content[:8192] + b"\xa5" * 16_384 + content[8192 + 16_384 :]


def test_a_file_of_a_newer_version_is_kept_and_named(path: Path) -> None:
    History(path).close()
    with sqlite3.connect(path) as database:
        database.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    database.close()
    history, sentence = open_history(path)
    history.close()
    assert sentence is not None
    assert "newer" in sentence
    assert path.with_name("chats.db.broken-1").exists()


def test_without_a_writable_place_the_chats_live_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    history, sentence = open_history(tmp_path / "file" / "chats.db")
    assert sentence is not None
    assert "lost" in sentence
    assert history.create("works").title == "works"
    history.close()


def test_timings_of_another_version_are_read_as_far_as_known(history: History, path: Path) -> None:
    history.append(history.create().id, Role.ASSISTANT, "x")
    with sqlite3.connect(path) as database:
        database.execute("""UPDATE turn SET timings = '{"prompt_n": 7, "later": 1}'""")
    database.close()
    assert history.turns(1)[0].timings == Timings(prompt_n=7)
