"""Prepares searching for what was said, in small slices between what a person does."""

from PySide6.QtCore import QObject, QTimer

from app.history import FAULTS, History

FIRST_MS = 2000  # after the start, or the last news: the window has better things to do at first
PAUSE_MS = 100  # between two slices: a tenth of the time at most is spent on this


class SearchPreparing(QObject):
    """At rest it costs nothing: its timer stands still until there is news."""

    def __init__(self, history: History, parent: QObject):
        super().__init__(parent)
        self._history = history
        self._timer = QTimer(self, interval=FIRST_MS, singleShot=True)
        self._timer.timeout.connect(self.prepare)

    @property
    def is_at_rest(self) -> bool:
        return not self._timer.isActive()

    def wake(self) -> None:
        """There may be something new."""
        self._timer.start(FIRST_MS)

    def stop(self) -> None:
        """The history is about to close."""
        self._timer.stop()

    def prepare(self) -> None:
        """One slice, and others while something is left."""
        try:
            is_left = self._history.index_more()
        except FAULTS:
            return  # who reads the chats is told of the disk; a search reads them without an index
        if is_left:
            self._timer.start(PAUSE_MS)
