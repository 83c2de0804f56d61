"""Tools in a chat, as a person has them: a real engine process calls, and nothing runs before it is allowed."""

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.conversation import Role
from app.tools.call import CallState
from tests.ui.conftest import load
from tests.ui.hands import answer, ask, press, wait_answer
from tests.ui.stage import StageServices, entry
from ui.chat.tool_card import ToolCard
from ui.chat.tools_switch import UNKNOWN
from ui.main_window import MainWindow

CALL = '<tool_call>{"name": "calculator", "arguments": {"expression": "2 ^ 100"}}</tool_call>'


@pytest.fixture
def offered(quick: MainWindow, qtbot: QtBot) -> MainWindow:
    """Tools are on, and the model wants a call."""
    switch = quick.chat.composer.tools
    assert not switch.isChecked()
    switch.setFocus()
    QTest.keyClick(switch, Qt.Key.Key_Space)
    ask(quick, CALL)
    qtbot.waitUntil(lambda: bool(answer(quick).calls.cards))
    return quick


def card(window: MainWindow) -> ToolCard:
    return answer(window).calls.cards[0]


def test_a_call_waits_is_allowed_by_a_key_and_its_result_is_kept(
    offered: MainWindow, services: StageServices, qtbot: QtBot
) -> None:
    waiting = card(offered)
    assert (waiting.call.state, waiting.arguments.toPlainText()) == (
        CallState.WAITING,
        '{\n  "expression": "2 ^ 100"\n}',
    )
    assert waiting.arguments.verticalScrollBar().maximum() == 0  # all of it is to be seen
    waiting.choices["Allow once"].setFocus()
    QTest.keyClick(waiting.choices["Allow once"], Qt.Key.Key_Space)
    wait_answer(offered, qtbot)
    assert waiting.result.isHidden()
    QTest.mouseClick(waiting.fold, Qt.MouseButton.LeftButton)
    assert (waiting.result.isVisible(), waiting.result.toPlainText()) == (True, str(2**100))
    assert str(2**100) in answer(offered).turn.text
    kept = services.history.turns(offered.chat.session.conversation or 0)[-1]
    assert [step.role for step in kept.steps] == [Role.ASSISTANT, "tool", Role.ASSISTANT]
    offered.chat.session.open(offered.chat.session.conversation or 0)
    assert card(offered).result.toPlainText() == str(2**100)


def test_a_denied_call_never_runs_and_the_model_is_told(offered: MainWindow, qtbot: QtBot) -> None:
    press(offered.chat, "Deny")
    wait_answer(offered, qtbot)
    assert card(offered).result.toPlainText() == "The person did not allow this call."
    assert not offered.chat.session._services.settings.tool_grants


def test_what_is_always_allowed_is_not_asked_for_again(
    offered: MainWindow, services: StageServices, qtbot: QtBot
) -> None:
    press(offered.chat, "Always allow")
    wait_answer(offered, qtbot)
    ask(offered, CALL)
    wait_answer(offered, qtbot)
    assert card(offered).result.toPlainText() == str(2**100)
    assert [grant.tool for grant in services.settings.tool_grants] == ["calculator"]


def test_escape_stops_an_answer_whose_call_waits(offered: MainWindow, qtbot: QtBot) -> None:
    offered.chat.composer.focus()
    QTest.keyClick(offered.chat.composer.edit, Qt.Key.Key_Escape)
    assert wait_answer(offered, qtbot).problem == "You stopped this answer."
    assert card(offered).call.state is CallState.ENDED


def test_without_the_switch_no_tool_is_told_of(quick: MainWindow, qtbot: QtBot) -> None:
    ask(quick, CALL)
    assert CALL in wait_answer(quick, qtbot).turn.text


def test_a_model_without_tools_says_why_there_are_none(
    window: MainWindow, services: StageServices, qtbot: QtBot
) -> None:
    services.stage_store.entries.append(entry("Plain", "plain-untooled.gguf"))
    with qtbot.waitSignal(window.models.refreshed):
        window.models.refresh()
    load(window, qtbot, "Plain")
    switch = window.chat.composer.tools
    assert not switch.isEnabled()
    assert switch.toolTip() == UNKNOWN
