"""A person who has heard of a model: searches the Hub, has it made small, watches, talks with it, and deletes it."""

from typing import Any

from PySide6.QtCore import QPoint, Qt, QTimer
from PySide6.QtWidgets import QLabel, QWidget

from tests.e2e.person import Person, Until, Visit
from ui.lab.card_view import CardView

REPOSITORY = "acme/guide"
QUESTION = "What is Slipstream?"
DISCOVER, DOWNLOADS, CHAT, MODELS = Qt.Key.Key_3, Qt.Key.Key_4, Qt.Key.Key_1, Qt.Key.Key_2


def shopping_visit(person: Person) -> Visit:
    window = person.window
    session, downloads = window.chat.session, window.downloads
    window.activateWindow()  # there is no window manager to do it
    yield Until(window.isActiveWindow, "the window in front")
    person.key(DISCOVER, control=True)
    person.write("guide")
    results = window.discover.results
    yield Until(lambda: results.rowCount() > 0, "an answer of the Hub")
    _click_row(person, window.discover.view, 0)
    pane = window.discover.pane
    yield Until(lambda: pane.variants.rowCount() == 1 and pane.bar.install.isVisible(), "what it holds")
    yield from person.look("discover")
    offer = pane.bar.note.text()
    person.click(pane.bar.install)
    person.key(DOWNLOADS, control=True)
    seen_steps: list[str] = []

    def watch() -> bool:
        """Whether it is on its way."""
        seen_steps.extend(card.job.steps[card.job.step] for card in downloads.cards.values())
        return bool(downloads.cards)

    watching = QTimer(window, interval=20)  # a step may be over before a picture of the page is taken
    watching.timeout.connect(watch)
    watching.start()
    yield Until(watch, "its card among the downloads")
    yield from person.look("downloads")
    yield Until(lambda: not watch() and downloads.finished.model.rowCount() == 1, "the model")
    watching.stop()
    yield from person.look("arrived")
    arrived = downloads.finished.model.rows[0]
    _click_row(person, downloads.finished.view, 0)
    person.click(downloads.finished.chat)  # the rail has a “Chat”, too
    yield Until(lambda: window.desk.is_ready, "the model to be loaded")
    person.key(Qt.Key.Key_L, control=True)
    person.write(QUESTION)
    person.key(Qt.Key.Key_Return)
    yield Until(lambda: len(session.turns) == 2 and not session.is_busy, "its answer")
    answer = session.turns[1].text
    yield from person.look("its-answer")
    person.key(MODELS, control=True)
    card = window.models_page.findChild(CardView)
    yield Until(lambda: card.isVisible() and "same next token" in _texts(card), "its card")
    verdict = _texts(card)
    yield from person.look("its-page")
    person.press("Unload")
    yield Until(lambda: person.button("Remove…"), "it to be unloaded")
    person.press("Remove…")
    yield Until(lambda: person.button("Remove from this machine"), "the question")
    yield from person.look("removal")
    person.press("Remove from this machine")
    yield Until(lambda: not window.models.entries, "it to be gone")
    return {
        "offer": offer,
        "steps": list(dict.fromkeys(seen_steps)),
        "arrived": arrived.detail,
        "answer": answer,
        "card": verdict,
    }


def _texts(widget: QWidget) -> str:
    return "\n".join(label.text() for label in widget.findChildren(QLabel) if label.isVisible())


def _click_row(person: Person, view: Any, row: int) -> None:
    place: QPoint = view.visualRect(view.model().index(row, 0)).center()
    person.click(view.viewport(), place)
