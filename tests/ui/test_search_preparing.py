"""Searching is prepared in slices, and at rest nothing runs."""

import pytest
from PySide6.QtCore import QObject
from pytestqt.qtbot import QtBot

from app.conversation import Chat, Role, Turn
from app.history import History
from ui.chat import search_preparing
from ui.chat.search_preparing import SearchPreparing


def test_all_that_was_said_is_prepared_in_slices_and_then_it_rests(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_preparing, "FIRST_MS", 0)
    monkeypatch.setattr(search_preparing, "PAUSE_MS", 0)
    history, parent = History(None), QObject()
    turns = tuple(Turn(number, Role.USER, f"word{number} " * 800, 0.0) for number in range(1, 200))
    history.add(Chat("long", turns))
    preparing = SearchPreparing(history, parent)
    assert preparing.is_at_rest
    preparing.prepare()
    assert not preparing.is_at_rest  # a slice was not enough
    qtbot.waitUntil(lambda: preparing.is_at_rest)
    assert not history.index_more()
    history.append(history.conversations()[0].id, Role.USER, "and more")
    preparing.wake()
    assert not preparing.is_at_rest
    preparing.stop()
    assert preparing.is_at_rest
    history.close()
