"""A conversation is a tree: what a person changes stands beside what was there, and what goes can come back."""

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.conversation import Role, Turn
from tests.ui.hands import answer, ask, let_go, press, wait_answer, wait_words
from tests.ui.stage import StageServices
from ui.chat.conversation_model import ConversationRole
from ui.chat.transcript import FIRST_TURNS, Transcript
from ui.chat.turn_edit import EditField
from ui.chat.turn_widget import TurnWidget
from ui.main_window import MainWindow
from ui.theme import Theme

Key, Modifier = Qt.Key, Qt.KeyboardModifier


def texts(window: MainWindow) -> list[str]:
    return [turn.text for turn in window.chat.session.turns]


def turn(window: MainWindow, number: int) -> TurnWidget:
    return window.chat.transcript.widgets()[number]


def place(window: MainWindow, number: int) -> str | None:
    switcher = turn(window, number).switcher
    return switcher.place if switcher.isVisible() else None


def choose(widget: TurnWidget, title: str) -> None:
    """What the button “More” offers."""
    (action,) = [action for action in widget._more.menu().actions() if action.text() == title]
    action.trigger()


def write_over(window: MainWindow, number: int, text: str) -> EditField:
    """Opens the message, writes and leaves the field open."""
    press(turn(window, number), "Edit")
    (field,) = (field for field in turn(window, number).findChildren(EditField) if field.isVisible())
    field.selectAll()
    QTest.keyClicks(field, text)
    return field


def test_another_answer_stands_beside_the_one_before_and_keys_switch(quick: MainWindow, qtbot: QtBot) -> None:
    ask(quick, "hello")
    first = wait_answer(quick, qtbot).turn
    assert place(quick, 1) is None
    press(answer(quick), "Try again")
    second = wait_answer(quick, qtbot).turn
    assert place(quick, 1) == "2/2"
    QTest.mouseClick(answer(quick).switcher.back, Qt.MouseButton.LeftButton)
    assert (answer(quick).turn.id, place(quick, 1)) == (first.id, "1/2")
    QTest.keyClick(quick.focusWidget(), Key.Key_Right, Modifier.AltModifier)
    assert (answer(quick).turn.id, place(quick, 1)) == (second.id, "2/2")
    QTest.keyClick(quick.focusWidget(), Key.Key_Right, Modifier.AltModifier)  # there is no third
    assert answer(quick).turn.id == second.id
    ask(quick, "and on")
    wait_answer(quick, qtbot)
    answer(quick).view.setFocus()
    QTest.keyClick(quick.focusWidget(), Key.Key_Left, Modifier.AltModifier)  # beside it stands none
    assert len(texts(quick)) == 4


def test_both_sides_are_edited_in_place_and_the_old_text_stays_beside(
    quick: MainWindow, services: StageServices, qtbot: QtBot
) -> None:
    ask(quick, "hello")
    old = wait_answer(quick, qtbot).turn
    field = write_over(quick, 0, "never mind")
    QTest.keyClick(field, Key.Key_Escape)
    assert texts(quick) == ["hello", old.text]
    assert turn(quick, 0)._edit.hasFocus()

    field = write_over(quick, 0, "goodbye")
    QTest.keyClick(field, Key.Key_Return, Modifier.ControlModifier)
    wait_answer(quick, qtbot)
    assert texts(quick)[0] == "goodbye"
    assert "You said “goodbye”" in answer(quick).view.toPlainText()
    assert place(quick, 0) == "2/2"

    field = write_over(quick, 1, "I am the person's own words.")
    press(turn(quick, 1), "Save")
    assert texts(quick) == ["goodbye", "I am the person's own words."]
    assert (place(quick, 1), answer(quick).problem) == ("2/2", "Edited by you.")
    assert not quick.chat.session.is_busy
    assert quick.chat.composer.edit.hasFocus()
    assert len(services.history.chat(quick.chat.session.conversation or 0).turns) == 5


def test_a_message_and_a_tail_are_deleted_and_come_back(
    quick: MainWindow, services: StageServices, qtbot: QtBot
) -> None:
    for question in ("one", "two"):
        ask(quick, question)
        wait_answer(quick, qtbot)
    before = texts(quick)
    choose(turn(quick, 1), "Delete message")
    assert texts(quick) == [before[0], *before[2:]]
    press(quick.banners, "Undo")
    assert texts(quick) == before
    choose(turn(quick, 2), "Delete from here on")
    assert texts(quick) == before[:2]
    assert [widget.turn.text for widget in quick.chat.transcript.widgets()] == before[:2]
    press(quick.banners, "Undo")
    assert texts(quick) == before

    first = quick.chat.session.conversation
    choose(turn(quick, 1), "New chat up to here")
    assert texts(quick) == before[:2]
    assert quick.chat.session.conversation != first
    assert len(services.history.conversations()) == 2


def test_while_an_answer_runs_its_chat_is_not_changed(slow: MainWindow, qtbot: QtBot) -> None:
    ask(slow, "long 50")
    wait_words(slow, qtbot)
    choose(turn(slow, 0), "Delete message")
    assert slow.chat.session.is_busy
    assert len(texts(slow)) == 2
    assert "Stop it first" in slow.banners.banners()[0].text
    slow.chat.session.stop()
    wait_answer(slow, qtbot)


def test_an_answer_that_ends_unseen_is_marked_and_the_list_duplicates_and_copies(
    held: MainWindow, services: StageServices, qtbot: QtBot
) -> None:
    ask(held, "long 2")
    wait_words(held, qtbot)
    model, view = held.chat.conversations, held.chat.list.view
    conversation = held.chat.session.conversation
    held.chat.start_new()
    assert model.index(0).data(ConversationRole.WHEN) == "Writing…"
    let_go(held)
    qtbot.waitUntil(lambda: bool(model.index(0).data(ConversationRole.IS_UNREAD)))
    view.setCurrentIndex(model.index(0))
    assert held.chat.session.conversation == conversation
    assert not services.history.info(conversation or 0).is_unread

    view.copied.emit(conversation)
    assert QGuiApplication.clipboard().text().startswith("# long 2\n\n## You\n\nlong 2")
    view.duplicated.emit(conversation)
    assert sorted(info.title for info in services.history.conversations()) == ["long 2", "long 2 (copy)"]
    head = view.visualRect(model.index(0)).topLeft()
    assert not view.indexAt(head).isValid()  # “Today”
    assert view.indexAt(view.visualRect(model.index(0)).bottomLeft()).row() == 0


def test_another_branch_leaves_what_both_share_in_its_place(theme: Theme, qtbot: QtBot) -> None:
    transcript = Transcript(theme)
    qtbot.addWidget(transcript)
    old = [Turn(number, Role.USER, f"old {number}", 0.0) for number in range(1, 4)]
    new = [old[0], *(Turn(number, Role.USER, f"new {number}", 0.0) for number in range(4, 8 + FIRST_TURNS))]
    transcript.show_turns(old, None)
    first = transcript.widgets()[0]
    transcript.show_path(new)
    assert transcript.widgets()[0] is first
    qtbot.waitUntil(lambda: [widget.turn for widget in transcript.widgets()] == new)
    transcript.show_path(old)
    transcript.show_path(new)
    transcript.remove_from(new[-1].id)  # before it could be shown
    transcript.add(new[-1], is_running=False)
    assert [widget.turn for widget in transcript.widgets()] == new
    transcript.show_path(old)
    transcript.add(Turn(40, Role.USER, "one more", 0.0), is_running=False)
    assert [widget.turn.id for widget in transcript.widgets()] == [1, 2, 3, 40]
