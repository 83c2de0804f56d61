"""Chats of other programs come whole: their branches, thoughts, models and times; and nothing in them is trusted."""

import copy
import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from app.conversation import Chat
from app.errors import ChatFileError
from app.exchange import reading
from app.exchange.chatgpt import from_chatgpt
from app.exchange.lm_studio import from_lm_studio
from app.exchange.open_webui import from_open_webui
from app.exchange.own import from_own, to_json
from app.exchange.reading import read_chats
from app.history import History
from backends.protocol import Timings
from tests.exchange.documents import CHATGPT, LM_STUDIO, OPEN_WEBUI, TIME


def written(tmp_path: Path, document: Any, name: str = "chats.json") -> Path:
    path = tmp_path / name
    path.write_text(json.dumps(document))
    return path


def texts(chat: Chat) -> list[str]:
    return [turn.text for turn in chat.path()]


def test_a_chat_of_chatgpt_comes_with_its_branches(tmp_path: Path) -> None:
    read = read_chats(written(tmp_path, CHATGPT))
    assert (read.source, read.num_empty) == ("ChatGPT", 1)
    (chat,) = read.chats
    assert (chat.title, chat.updated) == ("Postgres vs MongoDB", TIME + 400)
    assert texts(chat) == ["Which one, edited?", "```python\n1 + 1\n```", "[image]\n\nSecond answer"]
    first, call, last = chat.path()
    assert chat.tree.children(None) == (first.id - 2, first.id)  # the first question, its answer, the edited question
    assert [turn.text for turn in chat.turns][:2] == ["Which one?", "First answer"]
    assert (call.reasoning, last.model, last.stopped, last.created) == ("Hm.", "o3", True, TIME + 70)
    assert "secret" not in str(chat)


def test_a_chat_of_lm_studio_comes_with_its_versions(tmp_path: Path) -> None:
    read = read_chats(written(tmp_path, LM_STUDIO, "1736209400500.conversation.json"))
    assert read.source == "LM Studio"
    (chat,) = read.chats
    assert (chat.title, chat.is_pinned, chat.updated) == ("Spreadsheet", True, TIME + 5)
    assert texts(chat) == ["[1784 - a.png]\nDescribe", "It is a sheet.", "Thanks"]
    question, answer, thanks = chat.path()
    assert [turn.text for turn in chat.turns if turn.parent == question.id] == ["It is a sheet.", "Another try"]
    assert (answer.reasoning, answer.model, answer.created) == ("The user wants", "qwen/qwen3-4b", TIME)
    assert answer.timings == Timings(prompt_n=11, predicted_n=101, prompt_ms=250.0, predicted_ms=2000.0)
    assert answer.timings.predicted_per_second == pytest.approx(50.0)
    assert next(turn for turn in chat.turns if turn.text == "Another try").stopped
    assert thanks.parent == answer.id


def test_a_chat_of_open_webui_comes_with_its_branches_and_thoughts(tmp_path: Path) -> None:
    read = read_chats(written(tmp_path, OPEN_WEBUI))
    assert read.source == "Open WebUI"
    (chat,) = read.chats
    assert (chat.title, chat.is_pinned, chat.updated) == ("Ops", True, int(TIME) + 9)
    assert texts(chat) == ["Why?", "So."]
    first, because, so, look = chat.turns
    assert [because.text, because.reasoning, because.model] == ["Because.", "Hm.\nWell.", "llama3.2:3b"]
    assert (so.reasoning, so.model) == ("It's so.", "qwen3:4b")
    assert (look.text, look.parent, first.created) == ("Look:\n\n[image]", because.id, int(TIME) + 1)


def test_an_early_chat_of_open_webui_is_a_row(tmp_path: Path) -> None:
    messages = [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}, {"role": "robot"}]
    (chat,) = read_chats(written(tmp_path, {"title": "Old", "models": [], "messages": messages})).chats
    assert texts(chat) == ["Q", "A"]


def test_what_slipstream_writes_it_reads_to_the_last_value(tmp_path: Path) -> None:
    history = History(None)
    for chat in (from_chatgpt(CHATGPT[0]), from_lm_studio(LM_STUDIO), from_open_webui(OPEN_WEBUI[0])):
        history.add(chat)
    history.edit(2, "half a \ud800 character, \x1b[31mred")
    history.update(1, problem="It broke.")
    chats = [history.chat(info.id) for info in history.conversations()]
    path = tmp_path / "chats.json"
    path.write_text(to_json(chats), "utf-8")
    assert "\x1b" not in path.read_text("utf-8")
    read = read_chats(path)
    assert (read.source, list(read.chats)) == ("Slipstream", chats)
    copies = [history.add(chat) for chat in read.chats]
    assert [texts(history.chat(info.id)) for info in copies] == [texts(chat) for chat in chats]
    history.close()


@pytest.mark.parametrize("names", [["conversations.json"], ["export/conversations-000.json", "conversations-001.json"]])
def test_the_archive_of_chatgpt_is_read_as_it_is(names: list[str], tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("chat.html", "<html>")
        for name in names:
            archive.writestr(name, json.dumps(CHATGPT))
    assert len(read_chats(path).chats) == len(names)


def test_an_archive_that_unpacks_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_FILE", 1 << 20)
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversations.json", b" " * (5 << 20))
    assert path.stat().st_size < 1 << 16
    with pytest.raises(ChatFileError, match="larger than 1 MiB"):
        read_chats(path)


def test_more_than_a_window_can_hold_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, CHATGPT * 3)
    monkeypatch.setattr(reading, "MAX_CHATS", 5)
    with pytest.raises(ChatFileError, match="more than 5 chats"):
        read_chats(path)
    monkeypatch.setattr(reading, "MAX_CHATS", 6)
    monkeypatch.setattr(reading, "MAX_TURNS", 14)
    with pytest.raises(ChatFileError, match="more than 14 messages"):
        read_chats(path)


def _zip_without_chats(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("other.json", "{}")


def _damaged_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversations.json", json.dumps(CHATGPT) * 20)
    content = bytearray(path.read_bytes())
    content[60:120] = b"\xa5" * 60
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: path.write_text("no JSON"), "is not JSON, or is damaged"),
        (lambda path: path.write_bytes(b"\xff\xfe\x00"), "is not JSON"),
        (lambda path: path.write_text("[" * 100_000), "is not JSON"),
        (lambda path: path.write_text('{"a": ' + "9" * 5000 + "}"), "is not JSON"),
        (lambda path: path.write_text('[{"a": 1}]'), "holds no chats that Slipstream knows"),
        (lambda path: path.write_text("[]"), "holds no chats"),
        (lambda path: path.mkdir(), "it is a folder"),
        (Path.exists, "cannot be read"),
        (_zip_without_chats, "archive without conversations.json"),
        (_damaged_zip, "the archive is damaged"),
    ],
)
def test_what_holds_no_chats_is_refused_with_what_can_be_read(
    make: Callable[[Path], object], sentence: str, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    make(path)
    with pytest.raises(ChatFileError, match=sentence):
        read_chats(path)


ODD = (None, True, -1, 1e308, float("nan"), "", "x" * 40, "1", [], {}, [None, [1], {"text": 5}], {"role": 7}, 2**70)


def _spoiled(document: Any, pick: random.Random) -> Any:
    """With one to three values replaced, anywhere."""
    document = copy.deepcopy(document)
    for _ in range(pick.randint(1, 3)):
        at = document
        while True:
            keys = list(at) if isinstance(at, dict) else range(len(at))
            if not keys:
                break
            key = pick.choice(list(keys))
            if not isinstance(at[key], dict | list) or not at[key] or pick.random() < 0.15:
                at[key] = copy.deepcopy(pick.choice(ODD))
                break
            at = at[key]
    return document


@pytest.mark.parametrize("name", ["ChatGPT", "LM Studio", "Open WebUI", "Slipstream"])
def test_no_value_of_a_file_is_trusted(name: str) -> None:
    documents = {
        "ChatGPT": CHATGPT[0],
        "LM Studio": LM_STUDIO,
        "Open WebUI": OPEN_WEBUI[0],
        "Slipstream": json.loads(to_json([from_chatgpt(CHATGPT[0])])),
    }
    pick, history = random.Random(name), History(None)
    num_read = 0
    for _ in range(300):
        spoiled = _spoiled(documents[name], pick)
        for _, chat in reading._chats(spoiled):
            info = history.add(chat)
            assert len(history.turns(info.id)) <= len(chat.turns)
            num_read += 1
    assert num_read > 100
    history.close()


JSON = some.recursive(
    some.none() | some.booleans() | some.floats() | some.integers() | some.text(max_size=8),
    lambda inner: some.lists(inner, max_size=4) | some.dictionaries(some.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=50)
@given(JSON)
def test_of_any_json_come_chats_or_none(document: Any) -> None:
    for form in ({"mapping": document}, {"messages": [{"versions": document}]}, {"history": {"messages": document}}):
        for _, chat in reading._chats(form):
            assert len(chat.path()) <= len(chat.turns)
    from_own({"chats": document})


def test_messages_that_follow_each_other_in_a_circle_are_kept() -> None:
    document = copy.deepcopy(CHATGPT[0])
    document["mapping"]["root"]["parent"] = "a2"
    chat = from_chatgpt(document)
    assert len(chat.turns) == 5
    assert {turn.text for turn in chat.turns} == {turn.text for turn in from_chatgpt(CHATGPT[0]).turns}
