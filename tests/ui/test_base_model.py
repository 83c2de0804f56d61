"""A model without a chat format in the chat page: what is said is what is done, a dialogue or a text that goes on."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from backends.protocol import Generate, Message
from tests.ui.conftest import load
from tests.ui.hands import ask, wait_answer
from tests.ui.stage import StageServices, entry
from ui.main_window import MainWindow


@pytest.fixture
def services(tmp_path: Path) -> Iterator[StageServices]:
    result = StageServices(tmp_path, [entry("Base", "x-base.gguf"), entry("Quick")])
    yield result
    result.close()


@pytest.fixture
def asked(window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> list[Generate]:
    """What the engine is asked, once the base model is loaded."""
    load(window, qtbot, "Base")
    found: list[Generate] = []
    submit = window.desk.submit
    monkeypatch.setattr(window.desk, "submit", lambda request: (found.append(request), submit(request))[1])
    return found


def said(window: MainWindow) -> str:
    texts = [each.text() for each in window.chat.findChildren(QLabel) if each.isVisible()]
    return "\n".join([*texts, window.chat.composer.edit.placeholderText()])


def test_a_base_model_is_asked_as_the_page_says(window: MainWindow, asked: list[Generate], qtbot: QtBot) -> None:
    assert "A chat with it is a plain dialogue." in said(window)
    assert "Begin a text" not in said(window)
    assert "Ask Base" in said(window)
    ask(window, "Who wrote it?")
    wait_answer(window, qtbot)
    assert asked[-1].prompt == (Message("user", "Who wrote it?"),)


def test_a_text_goes_on_where_that_is_chosen(window: MainWindow, asked: list[Generate], qtbot: QtBot) -> None:
    window.chat.composer.complete.click()
    assert "Begin a text, and it goes on." in said(window)
    assert "Write with Base" in said(window)
    ask(window, "Once upon a time")
    first = wait_answer(window, qtbot).turn.text
    assert (asked[-1].prompt, asked[-1].special) == ("Once upon a time", False)
    ask(window, "The king")
    wait_answer(window, qtbot)
    so_far = f"Once upon a time{first}"
    assert asked[-1].prompt == so_far + ("" if so_far[-1].isspace() else " ") + "The king"
    assert [turn.role for turn in window.chat.session.turns] == ["user", "assistant"] * 2


def test_other_models_have_no_such_choice(window: MainWindow, asked: list[Generate], qtbot: QtBot) -> None:
    window.chat.composer.complete.click()
    load(window, qtbot, "Quick")
    assert not window.chat.composer.complete.isVisible()
    ask(window, "Hello")
    wait_answer(window, qtbot)
    assert len(asked) == 1
    assert isinstance(asked[0].prompt, tuple)
