"""The item models hold what Qt asks of one, and what a person asks of them."""

from datetime import datetime, timedelta

import pytest
from PySide6.QtCore import Qt
from pytestqt.modeltest import ModelTester
from pytestqt.qtbot import QtBot

from app.conversation import Chat, Role
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


def test_pinned_chats_stand_on_top_and_the_others_by_their_day(history: History) -> None:
    now = datetime.now()
    ages = {"new": 0, "older": 1, "week": 5, "old": 40, "ancient": 400}
    for title, days in ages.items():
        history.add(Chat(title, (), updated=(now - timedelta(days=days)).timestamp()))
    model = ConversationModel(history)
    history.pin(model.index(4).data(ConversationRole.ID), True)
    model.refresh()
    rows = [model.index(number) for number in range(model.rowCount())]
    shown = [(row.data(ConversationRole.SECTION), row.data()) for row in rows]
    days_shown = [("Today", "new"), ("Yesterday", "older"), ("Previous 7 days", "week"), ("Older", "old")]
    assert shown == [("Pinned", "ancient"), *days_shown]
    history.pin(rows[0].data(ConversationRole.ID), False)
    model.refresh()
    assert model.index(4).data(ConversationRole.SECTION) is None  # it follows another old one


def test_what_was_found_stands_below_its_title(history: History) -> None:
    conversation = history.create("garden").id
    history.append(conversation, Role.USER, "How are ROSES cut?")
    model = ConversationModel(history)
    assert model.index(0).data(ConversationRole.EXCERPT) is None
    model.search("roses")
    found = model.index(0).data(ConversationRole.EXCERPT)
    assert (found.before, found.found, found.after) == ("How are ", "ROSES", " cut?")
    assert model.index(0).data(ConversationRole.SECTION) is None
    model.search("gard")
    assert model.index(0).data(ConversationRole.EXCERPT) is None  # only its title holds it


def test_a_row_says_that_an_answer_is_written_and_that_it_is_unread(history: History, qtbot: QtBot) -> None:
    conversation = history.create("garden").id
    model = ConversationModel(history)
    with qtbot.waitSignal(model.dataChanged):
        model.set_running({conversation})
    assert model.index(0).data(ConversationRole.WHEN) == "Writing…"
    history.mark(conversation, True)
    model.set_running(frozenset())
    model.refresh()
    assert model.index(0).data(Qt.ItemDataRole.AccessibleTextRole) == "garden, unread"
    with qtbot.waitSignal(model.dataChanged):
        model.mark_read(conversation)
    assert not history.info(conversation).is_unread
    assert model.index(0).data(Qt.ItemDataRole.AccessibleTextRole) == "garden"


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
