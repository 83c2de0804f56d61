"""The item models hold what Qt asks of one, and what a person asks of them."""

from datetime import datetime

import pytest
from pytestqt.modeltest import ModelTester
from pytestqt.qtbot import QtBot

from app.history import History
from tests.ui.stage import StageServices
from ui.bridge import Bridge
from ui.chat.conversation_model import ConversationModel, ConversationRole, when
from ui.library.models_model import ModelRole, ModelsModel


@pytest.fixture
def history() -> History:
    return History(None)


def test_conversations_are_a_sound_item_model(history: History, qtmodeltester: ModelTester) -> None:
    for title in ("one", "two", "three"):
        history.create(title)
    model = ConversationModel(history)
    qtmodeltester.check(model)
    assert [model.index(row).data() for row in range(model.rowCount())] == ["three", "two", "one"]


def test_searching_and_renaming_go_to_the_history(history: History) -> None:
    history.create("garden")
    wanted = history.create("regex")
    model = ConversationModel(history)
    model.search("REG")
    assert [model.index(0).data(ConversationRole.ID), model.rowCount()] == [wanted.id, 1]
    assert model.setData(model.index(0), "  regular expressions ")
    assert not model.setData(model.index(0), "   ")
    assert history.conversations()[0].title == "regular expressions"


def test_a_hidden_conversation_comes_back(history: History) -> None:
    conversation = history.create("one").id
    model = ConversationModel(history)
    model.hide(conversation)
    assert model.rowCount() == 0
    model.unhide(conversation)
    assert model.index_of(conversation).row() == 0


def test_times_are_short() -> None:
    now = datetime(2026, 11, 22, 12, 0)
    assert when(datetime(2026, 11, 22, 9, 5).timestamp(), now) == "09:05"
    assert when(datetime(2026, 11, 20, 9, 5).timestamp(), now) == "Fri"
    assert when(datetime(2026, 3, 1, 9, 5).timestamp(), now) == "01 Mar"


def test_the_library_is_a_sound_item_model(
    services: StageServices, bridge: Bridge, qtbot: QtBot, qtmodeltester: ModelTester
) -> None:
    model = ModelsModel(services.library, bridge)
    with qtbot.waitSignal(model.refreshed):
        model.refresh()
    qtmodeltester.check(model)
    assert model.rowCount() == 3
    model.mark_loaded(frozenset({model.entries[1].path}))
    assert [model.index(row).data(ModelRole.NOTE) for row in range(3)] == ["1.2 GB", "Loaded", "1.2 GB"]


def test_removing_tells_the_store(services: StageServices, bridge: Bridge, qtbot: QtBot) -> None:
    model = ModelsModel(services.library, bridge)
    with qtbot.waitSignal(model.refreshed):
        model.refresh()
    with qtbot.waitSignal(model.refreshed):
        model.remove(model.entries[0])
    assert [entry.name for entry in model.entries] == ["Slow", "Broken"]
