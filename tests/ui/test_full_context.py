"""A chat that has filled its context says so, and goes on by whichever way its writer takes."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from pytestqt.qtbot import QtBot

from app.conversation import Role, Turn, last_turns
from tests.ui.conftest import load
from tests.ui.hands import ask, press, wait_answer
from tests.ui.stage import StageServices
from ui.chat.chat_page import LAST, ROLL
from ui.main_window import MainWindow

CONTEXT = 512


@pytest.fixture
def small(window: MainWindow, services: StageServices, qtbot: QtBot) -> MainWindow:
    """A window whose model has a small context."""
    services.settings = replace(services.settings, context=CONTEXT)
    return load(window, qtbot, "Quick")


def fill(window: MainWindow, qtbot: QtBot) -> None:
    ask(window, "hello")
    wait_answer(window, qtbot)
    ask(window, "long 9")
    widget = wait_answer(window, qtbot)
    assert widget.problem == "The context of 512 tokens is full, so this answer ends here."
    (banner,) = window.banners.banners()
    assert banner.text == widget.problem


def test_dropping_the_oldest_lets_it_answer(small: MainWindow, qtbot: QtBot) -> None:
    fill(small, qtbot)
    press(small.banners, ROLL)
    widget = wait_answer(small, qtbot)
    assert widget.problem == ""
    assert widget.turn.timings
    assert widget.turn.timings.rolled_n > 0
    assert not small.banners.banners()


def test_a_question_that_no_longer_fits_is_answered_in_a_new_chat(small: MainWindow, qtbot: QtBot) -> None:
    fill(small, qtbot)
    old = small.chat.session.conversation
    ask(small, "and now?")
    assert "512" in wait_answer(small, qtbot).problem
    assert len(small.banners.banners()) == 1, "the newest alone"
    press(small.banners, LAST)
    widget = wait_answer(small, qtbot)
    assert "You said “and now?”" in widget.turn.text
    assert small.chat.session.conversation != old
    assert [turn.text for turn in small.chat.session.turns] == ["and now?", widget.turn.text]
    assert not small.banners.banners()
    assert small.chat.conversations.rowCount() == 2


def test_the_offer_goes_with_its_chat(small: MainWindow, qtbot: QtBot) -> None:
    fill(small, qtbot)
    small.chat.start_new()
    assert not small.banners.banners()


def turns(*texts: str) -> Sequence[Turn]:
    roles = (Role.USER, Role.ASSISTANT)
    return [Turn(number, roles[number % 2], text, 0.0) for number, text in enumerate(texts)]


def test_the_last_turns_begin_with_a_question_and_fit() -> None:
    chat = turns("a" * 500, "b" * 300, "c" * 30, "d" * 30, "e" * 40, "f" * 60)
    assert [turn.text[0] for turn in last_turns(chat)] == ["c", "d", "e", "f"]
    assert [turn.text[0] for turn in last_turns(chat, 0.001)] == ["e", "f"], "one question at least"
    assert [turn.text for turn in last_turns(turns("ask", "", "again"))] == ["again"]
    with pytest.raises(ValueError, match="without a question"):
        last_turns([])
