"""A person at the real window: finds what is to be seen, clicks and types, and writes down what happened.

Run as a program of its own, inside the real application: `python person.py VISIT REPORT BACKEND`. Its events go to the
native window, so they take the whole way: hit test, focus, shortcut, widget.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, QPoint, Qt, QTimer
from PySide6.QtGui import QWindow
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication, QWidget

PATIENCE = 240.0  # seconds that any single thing may take on a slow machine
LOOK_MS = 40
NUM_TRIES = 20  # a person needs one, but for a machine that stands still while they reach for the key


@dataclass
class Until:
    """The person waits until this is true."""

    is_true: Callable[[], object]
    what: str


Visit = Generator[Until, None, dict[str, Any]]


class Person(QObject):
    def __init__(self, window: Any, visit: "Callable[[Person], Visit]", report: Path):
        super().__init__(window)
        self.window = window
        self._report = report
        self._visit = visit(self)
        self._until: Until | None = None
        self._since = time.monotonic()
        self._timer = QTimer(self, interval=LOOK_MS)
        self._timer.timeout.connect(self._look)
        self._timer.start()

    @property
    def native(self) -> QWindow:
        handle = self.window.windowHandle()
        assert isinstance(handle, QWindow)
        return handle

    def button(self, text: str) -> QAbstractButton | None:
        for candidate in self.window.findChildren(QAbstractButton):
            if candidate.text() == text and candidate.isVisible() and candidate.isEnabled():
                return candidate
        return None

    def click(self, widget: QWidget, at: QPoint | None = None) -> None:
        place = widget.mapTo(self.window, at or widget.rect().center())
        QTest.mouseClick(self.native, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, place)

    def press(self, text: str) -> None:
        found = self.button(text)
        assert found, f"there is no button “{text}”"
        self.click(found)

    def key(self, key: Qt.Key, control: bool = False) -> None:
        modifier = Qt.KeyboardModifier.ControlModifier if control else Qt.KeyboardModifier.NoModifier
        QTest.keyClick(self.native, key, modifier)

    def write(self, text: str) -> None:
        for letter in text:
            QTest.keyClick(self.native, letter)

    def photograph(self, name: str) -> None:
        self.window.grab().save(str(self._report.parent / f"{name}.png"))

    def look(self, name: str) -> Visit:
        """A picture in each theme, once everything is painted."""
        for theme in ("light", "dark"):
            self.window.theme.choose(theme)
            yield Until(lambda: True, "a moment")
            self.photograph(f"{name}-{theme}")

    def _look(self) -> None:
        if self._until and not self._until.is_true():
            if time.monotonic() - self._since > PATIENCE:
                self.photograph("stuck")
                self._leave({"problem": f"waited in vain for {self._until.what}"})
            return
        try:
            self._until = next(self._visit)
            self._since = time.monotonic()
        except StopIteration as end:
            self._leave(end.value)
        except Exception as error:
            self._leave({"problem": f"{type(error).__name__}: {error}"})

    def _leave(self, seen: dict[str, Any]) -> None:
        self._timer.stop()
        self._report.write_text(json.dumps(seen))
        self.window.close()


def first_visit(person: Person) -> Visit:
    """Install by a click, ask a question, read the answer, stop a second one."""
    from app.guide import SUGGESTED_QUESTIONS, TOUR_QUESTION
    from ui.settings.fields import Decimal

    window, session = person.window, person.window.chat.session
    window.activateWindow()  # there is no window manager to do it
    yield Until(window.isActiveWindow, "the window in front")
    yield Until(lambda: person.button("Install the Slipstream Guide"), "the offer to install the guide")
    person.photograph("first-start")
    person.key(Qt.Key.Key_Comma, control=True)
    temperature = window.settings_page.findChild(Decimal)
    person.click(temperature, QPoint(40, temperature.height() // 2))
    person.key(Qt.Key.Key_A, control=True)
    person.write("0")
    person.key(Qt.Key.Key_Tab)
    person.key(Qt.Key.Key_1, control=True)
    person.press("Install the Slipstream Guide")
    started = time.monotonic()
    yield Until(lambda: person.button(SUGGESTED_QUESTIONS[0]), "the suggested questions")
    install_seconds = time.monotonic() - started
    person.press(SUGGESTED_QUESTIONS[0])
    yield Until(lambda: len(session.turns) == 2 and not session.is_busy, "the first answer")
    first = session.turns[1]
    shown = window.chat.transcript.widgets()[-1].view.toPlainText()
    person.photograph("answer-light")
    for number in range(1, NUM_TRIES + 1):
        person.key(Qt.Key.Key_L, control=True)
        person.write(TOUR_QUESTION)
        person.key(Qt.Key.Key_Return)
        num_turns = 2 + 2 * number
        yield Until(lambda n=num_turns: len(session.turns) == n and len(session.turns[-1].text) > 40, "the first words")
        person.photograph("running")
        person.key(Qt.Key.Key_Escape)
        yield Until(lambda: not session.is_busy, "the stop")
        if session.turns[-1].stopped:  # else the answer was there before the key
            break
    return {
        "install_seconds": install_seconds,
        "question": SUGGESTED_QUESTIONS[0],
        "answer": first.text,
        "shown": shown,
        "stopped": session.turns[-1].stopped,
        "tour": session.turns[-1].text,
        "num_turns": len(session.turns),
        "tokens_per_second": first.timings.predicted_per_second if first.timings else None,
        "temperature": window._services.settings.temperature,
    }


def second_visit(person: Person) -> Visit:
    """Find yesterday's chat, and see that the model is back by itself."""
    window = person.window
    view = window.chat.list.view
    yield Until(lambda: view.model().rowCount() == 1, "the chat in the list")
    person.click(view.viewport(), view.visualRect(view.model().index(0, 0)).center())
    session = window.chat.session
    yield Until(lambda: len(session.turns) >= 4, "the turns of the chat")
    yield Until(lambda: window.desk.is_ready, "the model of last time")
    texts = [widget.turn.text for widget in window.chat.transcript.widgets()]
    person.photograph("second-visit")
    return {"texts": texts, "stopped": session.turns[-1].stopped}


def visits() -> dict[str, Callable[[Person], Visit]]:
    from tests.e2e.shopping import shopping_visit  # it knows the person

    return {"first": first_visit, "second": second_visit, "shopping": shopping_visit}


def main() -> int:
    visit, report, backend = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    sys.argv[1:] = []
    import ui.application
    from ui.main_window import MainWindow

    class AttendedWindow(MainWindow):
        def __init__(self, *arguments: Any):
            super().__init__(*arguments)
            self.theme = arguments[-1]
            Person(self, visits()[visit], report)

    ui.application.MainWindow = AttendedWindow  # type: ignore[misc]
    if backend == "fake":
        _play_the_guide()
    from app.__main__ import main as application

    code = application([])
    assert QApplication.instance() is not None
    return code


def _play_the_guide() -> None:
    """The services as they are, but the guide's work and its model are played."""
    import app.services
    from tests.ui.stage import StageServices, entry

    home = Path(os.environ["SLIPSTREAM_HOME"])
    installed = home / "installed"

    class PlayedServices(StageServices):
        def __init__(self, _paths: object, _standby: object):
            from app.guide import GUIDE_NAME

            guide = entry(GUIDE_NAME, "guide-20ms.gguf")
            super().__init__(home, [guide] if installed.exists() else [])
            self.guide.entry = guide
            self.guide.go_on.set()

        def install_guide(self) -> int:
            installed.touch()
            return super().install_guide()

    app.services.Services = PlayedServices  # type: ignore[misc]


if __name__ == "__main__":
    sys.exit(main())
