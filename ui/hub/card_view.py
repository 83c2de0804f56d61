"""A model card, shown piece by piece: a long one rendered at once would hold the window for a moment."""

import re

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QWidget

from ui.markdown.view import MarkdownView
from ui.palette import Palette

PIECE = 400  # characters per turn of the event loop, and then on to the end of the paragraph or the table
MOST = 4000  # where neither ends: a table that grows is drawn anew each time
PARAGRAPH_END = re.compile(r"\n[ \t\r]*\n")


class CardView(MarkdownView):
    def __init__(self, colors: Palette, parent: QWidget | None = None):
        super().__init__(colors, "Model card", parent)
        self._rest = ""
        self._feed = QTimer(self, interval=0)
        self._feed.timeout.connect(self._show_more)

    def show_card(self, text: str) -> None:
        self._text, self._rest = "", text
        self.recolor(self._colors)  # away with the last one
        self._show_more()
        self._feed.start()

    def _show_more(self) -> None:
        end = piece_end(self._rest)
        self._text, self._rest = self._text + self._rest[:end], self._rest[end:]
        self._markdown.stream(self._text)
        if not self._rest:
            self._feed.stop()


def piece_end(text: str) -> int:
    found = PARAGRAPH_END.search(text, PIECE, MOST)
    return found.end() if found else text.find("\n", MOST) + 1 or len(text)
