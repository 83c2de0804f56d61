"""Every loaded model is seen, whoever loaded it; and a chat whose model had to leave goes on all the same."""

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.modeltest import ModelTester
from pytestqt.qtbot import QtBot

from app.library.entry import ModelEntry
from tests.ui.conftest import ENTRIES, load
from tests.ui.hands import ask, wait_answer
from tests.ui.stage import StageServices
from ui.library.loaded_card import PIN, UNLOAD, LoadedCard
from ui.main_window import MODELS, MainWindow

QUICK, SLOW, _ = ENTRIES


def shown(card: LoadedCard) -> list[list[str]]:
    model = card.model
    return [[model.index(row, column).data() for column in range(UNLOAD + 1)] for row in range(model.rowCount())]


def press(card: LoadedCard, row: int, column: int) -> None:
    view = card.table.view
    place = view.visualRect(card.model.index(row, column)).center()
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=place)


def load_for_a_program(services: StageServices, entry: ModelEntry) -> None:
    services.load_model(entry, is_person=False).wait_ready(180.0)


def test_a_model_that_a_program_has_loaded_is_seen_pinned_and_unloaded(
    window: MainWindow, services: StageServices, qtbot: QtBot, qtmodeltester: ModelTester
) -> None:
    window.go_to(MODELS)
    card = window.models_page.loaded
    assert card.isHidden()
    load_for_a_program(services, QUICK)
    qtbot.waitUntil(lambda: card.isVisible() and shown(card)[0][1] == "Idle")
    assert shown(card)[0][:1] + shown(card)[0][2:3] == ["stage/quick", "CPU"]
    qtmodeltester.check(card.model)
    window.models_page.choose("stage/quick")
    assert not window.models_page.details.remove.isEnabled()
    press(card, 0, PIN)
    qtbot.waitUntil(lambda: shown(card)[0][PIN] == "Unpin")
    assert services.residency.loaded()[0].is_pinned
    card.table.view.setCurrentIndex(card.model.index(0, 0))
    QTest.keyClick(card.table.view, Qt.Key.Key_P)
    qtbot.waitUntil(lambda: shown(card)[0][PIN] == "Pin")
    press(card, 0, UNLOAD)
    qtbot.waitUntil(card.isHidden)
    assert not services.supervisor.engines()


def test_who_uses_a_model_is_told(slow: MainWindow, qtbot: QtBot) -> None:
    slow.go_to(MODELS)
    card = slow.models_page.loaded
    ask(slow, "long 3")
    qtbot.waitUntil(lambda: card.isVisible() and shown(card)[0][5] == "Chat" and shown(card)[0][4].endswith("tok/s"))
    assert shown(card)[0][1] == "In use"
    slow.chat.session.stop()
    wait_answer(slow, qtbot)
    qtbot.waitUntil(lambda: shown(card)[0][1] == "Idle")


def test_a_chat_whose_model_had_to_leave_loads_it_again_with_the_next_message(
    quick: MainWindow, services: StageServices, qtbot: QtBot
) -> None:
    assert services.supervisor.get("stage/quick").retire()
    qtbot.waitUntil(lambda: quick.desk.is_resting)
    assert "your next message loads it again" in quick.chat.picker._sentence()
    ask(quick, "Are you there")
    qtbot.waitUntil(lambda: quick.desk.is_ready)
    qtbot.waitUntil(lambda: len(quick.chat.session.turns) == 2)
    assert "Are you there" in wait_answer(quick, qtbot).turn.text


def test_choosing_another_model_leaves_alone_what_a_program_uses(
    quick: MainWindow, services: StageServices, qtbot: QtBot
) -> None:
    hold = services.supervisor.get("stage/quick").hold("a program")
    assert hold
    load(quick, qtbot, "Slow")
    assert [handle.name for handle in services.supervisor.engines()] == ["stage/quick", "stage/slow"]
    pid = services.supervisor.get("stage/quick").pid
    load(quick, qtbot, "Quick")
    assert services.supervisor.get("stage/quick").pid == pid, "it is taken up as it is"
    hold.end()


@pytest.mark.parametrize("name", ["model_memory", "unload_minutes"])
def test_its_settings_are_kept(window: MainWindow, services: StageServices, name: str) -> None:
    value = {"model_memory": 8 << 30, "unload_minutes": 5}[name]
    window.settings_page._save(name, value)
    assert getattr(services.settings, name) == value
