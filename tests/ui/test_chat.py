"""A chat as a person has it: with keys and clicks, over a real engine process that plays the model."""

from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLineEdit, QWidget
from pytestqt.qtbot import QtBot

from app.conversation import Role, Turn
from backends.fake.loader import answer_to
from backends.protocol import CacheMiss, Timings
from tests.ui.conftest import load
from tests.ui.hands import answer, ask, let_go, press, wait_answer, wait_words
from tests.ui.stage import StageServices, entry
from ui import figures
from ui.application import listen
from ui.bridge import Bridge
from ui.chat.transcript import Transcript
from ui.chat.turn_widget import AnswerWidget, QuestionWidget
from ui.main_window import MainWindow
from ui.markdown.view import MarkdownView
from ui.theme import Theme


def test_enter_asks_and_the_answer_is_read_and_kept(quick: MainWindow, services: StageServices, qtbot: QtBot) -> None:
    ask(quick, "hello there")
    widget = wait_answer(quick, qtbot)
    assert "You said “hello there”" in widget.view.toPlainText()
    assert quick.chat.composer.edit.toPlainText() == ""
    kept = services.history.turns(services.history.conversations()[0].id)
    assert [turn.role for turn in kept] == [Role.USER, Role.ASSISTANT]
    assert kept[1].text == widget.turn.text
    assert kept[1].timings == widget.turn.timings


def test_the_second_turn_reuses_the_first_and_says_so(quick: MainWindow, qtbot: QtBot) -> None:
    ask(quick, "one")
    wait_answer(quick, qtbot)
    ask(quick, "two")
    widget = wait_answer(quick, qtbot)
    assert widget.turn.timings
    assert widget.turn.timings.cache_n > 0
    assert "prompt tokens reused" in widget._account.text()


def test_why_a_prompt_was_read_again_stands_behind_the_figures(theme: Theme, qtbot: QtBot) -> None:
    lost = Timings(10, 90, 5, cache_miss=CacheMiss.DIFFERENCE)
    widget = AnswerWidget(Turn(1, Role.ASSISTANT, "words", 0.0, timings=lost), theme.palette, is_running=False)
    qtbot.addWidget(widget)
    assert "\n" not in widget._account.text()
    assert widget._account.toolTip() == figures.loss(lost) != ""


def test_shift_enter_starts_a_line_and_the_field_grows(quick: MainWindow) -> None:
    edit = quick.chat.composer.edit
    low = edit.height()
    QTest.keyClicks(edit, "a")
    QTest.keyClick(edit, Qt.Key.Key_Return, Qt.KeyboardModifier.ShiftModifier)
    QTest.keyClicks(edit, "b")
    assert edit.toPlainText() == "a\nb"
    assert edit.height() > low
    assert not quick.chat.session.turns


def test_escape_stops_an_answer_and_what_came_stays(slow: MainWindow, services: StageServices, qtbot: QtBot) -> None:
    ask(slow, "long 50")
    wait_words(slow, qtbot)
    QTest.keyClick(slow.chat.composer.edit, Qt.Key.Key_Escape)
    widget = wait_answer(slow, qtbot)
    assert widget.turn.stopped
    assert 20 < len(widget.turn.text) < len(answer_to("long 50"))
    assert widget.problem == "You stopped this answer."
    assert services.history.turns((widget.turn.id and slow.chat.session.conversation) or 0)[-1].stopped


def test_an_answer_that_a_switch_ended_was_not_stopped_by_its_reader(slow: MainWindow, qtbot: QtBot) -> None:
    ask(slow, "long 50")
    wait_words(slow, qtbot)
    slow.desk.unload()
    widget = wait_answer(slow, qtbot)
    assert widget.problem == "The model was unloaded before this answer ended."
    assert widget.turn.timings is None or widget.turn.timings.predicted_n > 20


def test_an_answer_that_quitting_ended_says_that(slow: MainWindow, services: StageServices, qtbot: QtBot) -> None:
    ask(slow, "long 50")
    wait_words(slow, qtbot)
    slow.close()
    kept = services.history.turns(slow.chat.session.conversation or 0)[-1]
    assert (kept.problem, kept.stopped) == ("Slipstream was closed before this answer ended.", False)


def test_try_again_asks_the_same_question_once_more(held: MainWindow, services: StageServices, qtbot: QtBot) -> None:
    ask(held, "long 2")
    wait_words(held, qtbot)
    held.chat.session.stop()
    wait_answer(held, qtbot)
    let_go(held)
    press(answer(held), "Try again")
    widget = wait_answer(held, qtbot)
    assert not widget.turn.stopped
    assert widget.turn.text.endswith("keeps what holds. ")
    assert len(services.history.turns(held.chat.session.conversation or 0)) == 2
    assert len(held.chat.transcript.widgets()) == 2


def test_a_running_answer_is_saved_once_a_second(slow: MainWindow, services: StageServices, qtbot: QtBot) -> None:
    ask(slow, "long 50")
    conversation = slow.chat.session.conversation or 0
    qtbot.waitUntil(lambda: len(services.history.turns(conversation)[-1].text) > 20)
    assert slow.chat.session.is_busy
    slow.chat.session.stop()
    wait_answer(slow, qtbot)


def test_a_selection_outlives_the_words_that_follow(slow: MainWindow, qtbot: QtBot) -> None:
    view = MarkdownView(slow.rail._theme.palette, "Answer")
    qtbot.addWidget(view)
    view.stream("first words\n\nsecond\n")
    qtbot.waitUntil(lambda: "second" in view.toPlainText())
    cursor = view.textCursor()
    cursor.setPosition(0)
    cursor.setPosition(5, cursor.MoveMode.KeepAnchor)
    view.setTextCursor(cursor)
    view.stream("first words\n\nsecond\n\nthird")
    qtbot.waitUntil(lambda: "third" in view.toPlainText())
    view.finish("first words\n\nsecond\n\nthird and last")
    assert view.textCursor().selectedText() == "first"


def test_a_selection_in_the_growing_paragraph_outlives_it_too(theme: Theme, qtbot: QtBot) -> None:
    view = MarkdownView(theme.palette, "Answer")
    qtbot.addWidget(view)
    for end in ("", " more", " more words"):
        view.stream("growing paragraph" + end)
        qtbot.waitUntil(lambda end=end: view.toPlainText().endswith(end or "paragraph"))
        cursor = view.textCursor()
        cursor.setPosition(8)
        cursor.setPosition(17, cursor.MoveMode.KeepAnchor)
        view.setTextCursor(cursor)
    view.finish("growing paragraph more words.")
    assert view.textCursor().selectedText() == "paragraph"


def test_two_chats_can_be_answered_at_once(slow: MainWindow, qtbot: QtBot) -> None:
    ask(slow, "long 3")
    first = slow.chat.session.conversation
    QTest.keyClick(slow, Qt.Key.Key_N, Qt.KeyboardModifier.ControlModifier)
    assert not slow.chat.session.turns
    ask(slow, "long 2")
    wait_answer(slow, qtbot)
    assert first
    slow.chat.session.open(first)
    widget = wait_answer(slow, qtbot)
    assert widget.turn.text.count("keeps what holds") == 3


def test_copying_an_answer_and_its_code(quick: MainWindow, services: StageServices, qtbot: QtBot) -> None:
    conversation = services.history.create("code").id
    services.history.append(conversation, Role.USER, "code, please")
    text = "Here:\n\n```python\nx = 1\ny = 2\n```\n"
    services.history.append(conversation, Role.ASSISTANT, text)
    quick.chat.session.open(conversation)
    qtbot.waitUntil(lambda: bool(answer(quick).view.panels()))
    press(answer(quick).view, "Copy")
    assert QGuiApplication.clipboard().text() == "x = 1\ny = 2"
    press(answer(quick)._foot, "Copy")
    assert QGuiApplication.clipboard().text() == text


def test_the_reader_who_scrolled_up_is_left_in_peace(slow: MainWindow, qtbot: QtBot) -> None:
    slow.resize(900, 600)
    ask(slow, "long 60")
    bar = slow.chat.transcript.verticalScrollBar()
    qtbot.waitUntil(lambda: bar.maximum() > 200)
    assert bar.value() == bar.maximum()
    bar.setValue(0)
    before = bar.maximum()
    qtbot.waitUntil(lambda: bar.maximum() > before)
    assert bar.value() == 0
    press(slow.chat.transcript, "Jump to latest")
    assert bar.value() == bar.maximum()
    slow.chat.session.stop()
    wait_answer(slow, qtbot)


def test_deleting_can_be_undone_and_is_final_after(quick: MainWindow, services: StageServices, qtbot: QtBot) -> None:
    ask(quick, "keep me")
    wait_answer(quick, qtbot)
    view = quick.chat.list.view
    view.setCurrentIndex(view.model().index(0, 0))
    QTest.keyClick(view, Qt.Key.Key_Delete)
    assert quick.chat.conversations.rowCount() == 0
    press(quick.banners, "Undo")
    assert quick.chat.conversations.rowCount() == 1
    assert services.history.conversations()
    view.setCurrentIndex(view.model().index(0, 0))
    QTest.keyClick(view, Qt.Key.Key_Delete)
    press(quick.banners, "Dismiss")
    qtbot.waitUntil(lambda: not services.history.conversations())


def test_searching_finds_what_was_said(quick: MainWindow, qtbot: QtBot) -> None:
    for text in ("about gardens", "about engines"):
        quick.chat.start_new()
        ask(quick, text)
        wait_answer(quick, qtbot)
    QTest.keyClick(quick, Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
    QTest.keyClicks(quick.chat.list.search, "GARDEN")
    assert quick.chat.conversations.rowCount() == 1


def test_the_search_is_used_with_keys(quick: MainWindow, qtbot: QtBot) -> None:
    for text in ("about gardens", "more gardens", "about engines"):
        quick.chat.start_new()
        ask(quick, text)
        wait_answer(quick, qtbot)
    search, edit = quick.chat.list.search, quick.chat.composer.edit
    QTest.keyClick(quick, Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
    QTest.keyClicks(search, "garden")
    QTest.keyClick(search, Qt.Key.Key_Down)
    assert quick.chat.session.turns[0].text == "more gardens"
    QTest.keyClick(search, Qt.Key.Key_Down)
    assert quick.chat.session.turns[0].text == "about gardens"
    QTest.keyClick(search, Qt.Key.Key_Up)
    QTest.keyClick(search, Qt.Key.Key_Return)
    assert quick.chat.session.turns[0].text == "more gardens"
    assert edit.hasFocus()
    QTest.keyClick(quick, Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
    QTest.keyClick(search, Qt.Key.Key_Escape)
    assert search.text() == ""
    assert quick.chat.conversations.rowCount() == 3
    assert search.hasFocus()
    QTest.keyClick(search, Qt.Key.Key_Escape)
    assert edit.hasFocus()


def test_enter_in_the_search_opens_the_first_that_was_found(quick: MainWindow, qtbot: QtBot) -> None:
    ask(quick, "about gardens")
    wait_answer(quick, qtbot)
    quick.chat.start_new()
    QTest.keyClicks(quick.chat.list.search, "garden")
    QTest.keyClick(quick.chat.list.search, Qt.Key.Key_Return)
    assert quick.chat.session.turns[0].text == "about gardens"


def test_after_a_click_that_was_done_with_the_person_writes(quick: MainWindow, qtbot: QtBot) -> None:
    edit = quick.chat.composer.edit
    ask(quick, "hello")
    wait_answer(quick, qtbot)
    answer(quick)._again.setFocus()
    press(answer(quick), "Try again")
    assert edit.hasFocus()
    wait_answer(quick, qtbot)
    view = quick.chat.list.view
    view.setFocus()
    view.setCurrentIndex(view.model().index(0, 0))
    QTest.keyClick(view, Qt.Key.Key_F2)
    editor = view.viewport().findChild(QLineEdit)
    QTest.keyClicks(editor, "A name")
    QTest.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(edit.hasFocus)
    assert view.model().index(0, 0).data() == "A name"


def test_a_model_that_loads_is_not_called_loaded(
    window: MainWindow, services: StageServices, qtbot: QtBot, tmp_path: Path
) -> None:
    services.stage_store.entries.append(entry("Waiting", str(tmp_path / "waits.gguf")))
    with qtbot.waitSignal(window.models.refreshed):
        window.models.refresh()
    waiting = window.models.named("Waiting")
    assert waiting
    window.desk.load(waiting)
    qtbot.waitUntil(lambda: window.desk.handle is not None and window.desk.is_loading)
    assert not window.models.is_loaded(waiting)
    assert "loaded" not in window.chat.picker._line(waiting)
    waiting.path.touch()
    qtbot.waitUntil(lambda: window.models.is_loaded(waiting))


def test_a_long_chat_is_there_at_once_and_whole_soon(services: StageServices, quick: MainWindow, qtbot: QtBot) -> None:
    conversation = services.history.create("long").id
    for number in range(20):
        services.history.append(conversation, Role.USER, f"question {number}")
        services.history.append(conversation, Role.ASSISTANT, "An *answer*. " * 30)
    quick.chat.session.open(conversation)
    transcript = quick.chat.transcript
    assert len(transcript.widgets()) < 40, "the rest comes when the event loop has time"
    qtbot.waitUntil(lambda: len(transcript.widgets()) == 40)
    assert [widget.turn.id for widget in transcript.widgets()] == [turn.id for turn in quick.chat.session.turns]
    bar = transcript.verticalScrollBar()
    qtbot.waitUntil(lambda: bar.maximum() > 0 and bar.value() == bar.maximum())


def test_chats_survive_a_restart(
    services: StageServices, bridge: Bridge, theme: Theme, quick: MainWindow, qtbot: QtBot
) -> None:
    ask(quick, "remember me")
    said = wait_answer(quick, qtbot).turn.text
    quick.close()
    stop = listen(services, bridge)
    again = MainWindow(services, bridge, theme)
    qtbot.addWidget(again)
    again.show()
    view = again.chat.list.view
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=view.visualRect(view.model().index(0, 0)).center())
    assert answer(again).turn.text == said
    qtbot.waitUntil(lambda: again.desk.is_ready)  # the model of last time comes back by itself
    again.close()
    stop()


def test_choosing_another_model_unloads_the_first(quick: MainWindow, services: StageServices, qtbot: QtBot) -> None:
    load(quick, qtbot, "Slow")
    assert [handle.name for handle in services.supervisor.engines()] == ["stage/slow"]
    assert quick.chat.picker.button.text() == "Slow  Q4_K_M"


# a popup asks its platform for things that the offscreen one does not have
@pytest.mark.qt_log_ignore("This plugin does not support")
def test_the_picker_offers_the_library(window: MainWindow, qtbot: QtBot) -> None:
    QTest.mouseClick(window.chat.picker.button, Qt.MouseButton.LeftButton)
    menu = window.chat.picker.menu
    assert [action.text() for action in menu.actions() if not action.isSeparator()] == [
        *(f"{name}  Q4_K_M\t1.2 GB" for name in ("Quick", "Slow", "Broken")),
        "Plan a load",
    ]
    menu.actions()[0].trigger()
    menu.close()
    qtbot.waitUntil(lambda: window.desk.is_ready)


def test_a_model_that_cannot_be_loaded_says_why(window: MainWindow, qtbot: QtBot) -> None:
    entry = window.models.named("Broken")
    assert entry
    window.desk.load(entry)
    qtbot.waitUntil(lambda: bool(window.banners.banners()))
    assert "is not a model that the fake backend can load" in window.banners.banners()[0].text
    assert window.chat.composer.edit.placeholderText() == "Choose a model first, above"


@pytest.mark.parametrize("text", ["word " * 4000, "x" * 4000], ids=["words", "one word"])
def test_a_long_question_keeps_within_a_narrow_page(theme: Theme, qtbot: QtBot, text: str) -> None:
    transcript = Transcript(theme)
    qtbot.addWidget(transcript)
    transcript.resize(500, 400)
    transcript.show()
    transcript.add(Turn(1, Role.USER, text, 0.0), is_running=False)
    (question,) = transcript.widgets()
    assert isinstance(question, QuestionWidget)
    for width in (500, 900, 420):
        transcript.resize(width, 400)
        qtbot.waitUntil(lambda: is_within(question.view, transcript.viewport()))
        assert question.view.document().size().width() <= question.view.width()
    assert question.view.width() > 200


def is_within(view: QWidget, page: QWidget) -> bool:
    left = view.mapTo(page, QPoint(0, 0)).x()
    return left >= 0 and left + view.width() <= page.width()


def test_an_answer_that_goes_round_in_circles_can_be_stopped(
    window: MainWindow, services: StageServices, qtbot: QtBot
) -> None:
    services.stage_store.entries.append(entry("Brisk", "brisk-4ms.gguf"))
    with qtbot.waitSignal(window.models.refreshed):
        window.models.refresh()
    brisk = load(window, qtbot, "Brisk")
    ask(brisk, "long 200")
    qtbot.waitUntil(lambda: bool(brisk.banners.banners()))
    assert f"The last {len(answer_to('long 1'))} characters came" in brisk.banners.banners()[0].text
    press(brisk.banners, "Stop")
    widget = wait_answer(brisk, qtbot)
    assert widget.turn.stopped
    assert not brisk.banners.banners()
