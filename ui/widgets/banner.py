"""Sentences that need a reader, over the page, with buttons that help. Never a dialog."""

from collections.abc import Callable, Sequence
from enum import StrEnum

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPlainTextEdit, QVBoxLayout, QWidget

from backends.bounds import sentence
from ui.theme import mono_font
from ui.widgets.labels import button, label
from ui.widgets.overlay import Overlay

Action = tuple[str, Callable[[], None]]


class Tone(StrEnum):
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Banner(QFrame):
    """Gone after one of its actions, after Dismiss (which may be called otherwise), or after `seconds`."""

    closed = Signal()

    def __init__(
        self,
        tone: Tone,
        text: str,
        actions: Sequence[Action] = (),
        details: str = "",
        topic: str = "",
        dismiss: str = "Dismiss",
    ):
        super().__init__()
        self.text = text
        self.topic = topic
        self.setProperty("kind", f"banner-{tone}")
        self.setAccessibleName(text)
        self._details = self._make_details(details)
        self._sentence = label(text, wraps=True)
        self._sentence.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        row = QHBoxLayout()
        row.setSpacing(4)
        row.addStretch(1)
        for title, action in actions:
            row.addWidget(self._make_button(title, action))
        if details:
            row.addWidget(self._make_log_button())
        row.addWidget(self._make_button(dismiss, lambda: None))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 12, 8, 8)
        layout.setSpacing(4)
        layout.addWidget(self._sentence)
        layout.addLayout(row)
        layout.addWidget(self._details)

    def rephrase(self, text: str) -> None:
        """The same news, later; it is not announced again."""
        self.text = text
        self.setAccessibleName(text)
        self._sentence.setText(text)

    def close_after(self, seconds: float) -> None:
        QTimer.singleShot(int(seconds * 1000), self, self.finish)

    def finish(self) -> None:
        self.closed.emit()

    def _make_button(self, title: str, action: Callable[[], None]) -> QWidget:
        result = button(title, name=f"{title}: {self.text}")
        result.clicked.connect(self.finish)
        result.clicked.connect(lambda: action())
        return result

    def _make_log_button(self) -> QWidget:
        result = button("Show log")

        def turn() -> None:
            self._details.setVisible(self._details.isHidden())
            result.setText("Show log" if self._details.isHidden() else "Hide log")

        result.clicked.connect(turn)
        return result

    def _make_details(self, text: str) -> QPlainTextEdit:
        result = QPlainTextEdit(text)
        result.setProperty("kind", "code")
        result.setAccessibleName("Last lines of the log")
        result.setReadOnly(True)
        result.setFont(mono_font(12))
        result.setFixedHeight(152)
        result.setTabChangesFocus(True)
        result.hide()
        return result


class BannerArea(Overlay):
    """Holds the banners of a window; equal sentences are shown once."""

    def __init__(self) -> None:
        super().__init__()
        self._banners: list[Banner] = []

    def show_banner(
        self,
        tone: Tone,
        text: str,
        actions: Sequence[Action] = (),
        details: str = "",
        topic: str = "",
        dismiss: str = "Dismiss",
    ) -> Banner:
        """topic: what it is about, for `withdraw`. dismiss: what the button says that only closes it."""
        text = sentence(text)
        for old in list(self._banners):
            if old.text == text:
                old.finish()
        banner = Banner(tone, text, actions, details, topic, dismiss)
        banner.closed.connect(lambda: self._remove(banner))
        self._banners.append(banner)
        self.add_note(banner)
        QAccessible.updateAccessibility(QAccessibleAnnouncementEvent(banner, text))
        return banner

    def withdraw(self, topic: str) -> None:
        """Its reader has come to see it for themselves."""
        for banner in [banner for banner in self._banners if banner.topic == topic]:
            banner.finish()

    def banners(self) -> list[Banner]:
        return self._banners

    def _remove(self, banner: Banner) -> None:
        if banner not in self._banners:  # its button and its time can both close it
            return
        self._banners.remove(banner)
        self.take_note(banner)
        banner.deleteLater()
