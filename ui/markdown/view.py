"""A message's text: as high as its content, code on a panel of its own with a copy button. Knows no conversation."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QPointF, QRectF, QSize, QSizeF, Qt, QTimer, QUrl
from PySide6.QtGui import (
    QColor,
    QDesktopServices,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
    QTextBlock,
    QTextFormat,
    QTextOption,
    QWheelEvent,
)
from PySide6.QtWidgets import QFrame, QSizePolicy, QTextBrowser, QWidget

from ui.markdown.document import MarkdownDocument, show_plain
from ui.markdown.formats import CODE_FOOT, CODE_HEAD, IS_CODE, IS_DONE, IS_QUOTE
from ui.palette import Palette
from ui.theme import CAPTION
from ui.widgets.copy_button import CopyButton

STREAM_MS = 40
OPENABLE = ("http", "https")
BOX, BOX_GAP = 14, 8  # pixels of a task's box, and between it and the text
TICK = (QPointF(0.22, 0.52), QPointF(0.43, 0.73), QPointF(0.78, 0.3))
INTERACTION = (
    Qt.TextInteractionFlag.TextSelectableByMouse
    | Qt.TextInteractionFlag.TextSelectableByKeyboard
    | Qt.TextInteractionFlag.LinksAccessibleByMouse
    | Qt.TextInteractionFlag.LinksAccessibleByKeyboard
)


@dataclass(frozen=True, slots=True)
class CodePanel:
    """Where a run of code lies, in the view's coordinates."""

    rect: QRectF
    language: str
    code: str


@dataclass(frozen=True, slots=True)
class TaskBox:
    """Where the box of a task lies, in the view's coordinates."""

    rect: QRectF
    is_done: bool


class MarkdownView(QTextBrowser):
    def __init__(self, colors: Palette, name: str, parent: QWidget | None = None):
        super().__init__(parent)
        self._colors = colors
        self._text = ""
        self._copy_buttons: list[CopyButton] = []
        self._panels: list[CodePanel] = []
        self._quotes: list[QRectF] = []
        self._tasks: list[TaskBox] = []
        self.setAccessibleName(name)
        self.setProperty("kind", "bare")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setOpenLinks(False)
        self.setTabChangesFocus(True)
        self.setTextInteractionFlags(INTERACTION)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setWordWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self.document().setUndoRedoEnabled(False)
        self._markdown = MarkdownDocument(self.document(), colors)
        self._timer = QTimer(self, interval=STREAM_MS, singleShot=True)

        self._timer.timeout.connect(self._show_stream)
        self.anchorClicked.connect(self._open_link)
        self.document().documentLayout().documentSizeChanged.connect(self._fit)

    @property
    def text(self) -> str:
        return self._text

    def stream(self, text: str) -> None:
        """Show a text that is still growing, soon; what comes in between is shown with it."""
        self._text = text
        if not self._timer.isActive():
            self._timer.start()

    def _show_stream(self) -> None:
        """A paragraph without end costs more and more: it gets a fifth of the time at most."""
        started = time.perf_counter()
        with self._selection_kept():
            self._markdown.stream(self._text)
        cost_ms = 1000 * (time.perf_counter() - started)
        self._timer.setInterval(max(STREAM_MS, int(4 * cost_ms)))

    def finish(self, text: str) -> None:
        self._timer.stop()
        self._text = text
        with self._selection_kept():
            self._markdown.finish(text)
        self._fit()

    def recolor(self, colors: Palette) -> None:
        self._colors = colors
        with self._selection_kept():
            self._markdown.recolor(colors, self._text)
        self._fit()

    @contextmanager
    def _selection_kept(self) -> Iterator[None]:
        """What is rendered anew begins with what was there, so the same positions hold the same words."""
        cursor = self.textCursor()
        anchor, position = cursor.anchor(), cursor.position()
        yield
        if anchor != position and max(anchor, position) < self.document().characterCount():
            cursor = self.textCursor()
            cursor.setPosition(anchor)
            cursor.setPosition(position, cursor.MoveMode.KeepAnchor)
            self.setTextCursor(cursor)

    def panels(self) -> list[CodePanel]:
        return self._panels

    def loadResource(self, kind: int, name: QUrl | str) -> Any:  # noqa: ARG002
        """Nothing is ever fetched, from the disk or from the network: a message may not call home."""
        return None

    def wheelEvent(self, event: QWheelEvent) -> None:
        event.ignore()  # the transcript scrolls, not the message

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._fit()

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        for panel in self._panels:
            self._paint_panel(painter, panel, QRectF(event.rect()))
        painter.setBrush(QColor(self._colors.border))
        for rect in self._quotes:
            painter.drawRoundedRect(QRectF(rect.left(), rect.top(), 3, rect.height()), 1.5, 1.5)
        for task in self._tasks:
            self._paint_task(painter, task)
        painter.end()
        super().paintEvent(event)

    def sizeHint(self) -> QSize:
        return self.document().size().toSize()

    def _paint_panel(self, painter: QPainter, panel: CodePanel, dirty: QRectF) -> None:
        if not panel.rect.intersects(dirty):
            return
        painter.setBrush(QColor(self._colors.code))
        painter.setPen(QColor(self._colors.line))
        painter.drawRoundedRect(panel.rect.adjusted(0.5, 0.5, -0.5, -0.5), 8, 8)
        font = painter.font()
        font.setPixelSize(CAPTION)
        painter.setFont(font)
        painter.setPen(QColor(self._colors.muted))
        head = QRectF(panel.rect.left() + 16, panel.rect.top(), panel.rect.width() - 96, CODE_HEAD - 4)
        painter.drawText(head, Qt.AlignmentFlag.AlignVCenter, panel.language or "code")
        painter.setPen(Qt.PenStyle.NoPen)

    def _paint_task(self, painter: QPainter, task: TaskBox) -> None:
        """An empty box, or one with a tick: Qt would cross it out."""
        box = task.rect
        painter.setBrush(QColor(self._colors.accent) if task.is_done else Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(QColor(self._colors.accent if task.is_done else self._colors.muted), 1.5))
        painter.drawRoundedRect(box, 3, 3)
        if task.is_done:
            painter.setPen(QPen(QColor(self._colors.on_accent), 2, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
            painter.drawPolyline([box.topLeft() + corner * float(BOX) for corner in TICK])
        painter.setPen(Qt.PenStyle.NoPen)

    def _fit(self) -> None:
        height = max(24, int(self.document().size().height() + 0.999))
        if height != self.height():
            self.setFixedHeight(height)
        self._measure()
        self._place_buttons()

    def _measure(self) -> None:
        self._panels, self._quotes, self._tasks = [], [], []
        block = self.document().begin()
        while block.isValid():
            form = block.blockFormat()
            if form.hasProperty(IS_CODE):
                block = self._measure_code(block)
                continue
            if form.hasProperty(IS_QUOTE):
                self._quotes.append(self.document().documentLayout().blockBoundingRect(block))
            if form.hasProperty(IS_DONE) and block.layout().lineCount():  # a view that was never shown has no lines
                self._tasks.append(self._measure_task(block))
            block = block.next()

    def _measure_task(self, block: QTextBlock) -> TaskBox:
        line = block.layout().lineAt(0)
        x, y = line.x() - BOX_GAP - BOX, line.y() + (line.ascent() + line.descent() - BOX) / 2
        return TaskBox(
            QRectF(block.layout().position() + QPointF(x, y), QSizeF(BOX, BOX)),
            bool(block.blockFormat().property(IS_DONE)),
        )

    def _measure_code(self, block: QTextBlock) -> QTextBlock:
        layout = self.document().documentLayout()
        language = block.blockFormat().stringProperty(QTextFormat.Property.BlockCodeLanguage)
        top = layout.blockBoundingRect(block).top()
        lines: list[str] = []
        bottom = top
        while block.isValid() and block.blockFormat().hasProperty(IS_CODE):
            if lines and block.blockFormat().topMargin():  # the next fence follows at once
                break
            bottom = layout.blockBoundingRect(block).bottom()
            lines.append(block.text())
            block = block.next()
        rect = QRectF(0, top - CODE_HEAD, self.viewport().width(), bottom - top + CODE_HEAD + CODE_FOOT)
        self._panels.append(CodePanel(rect, language, "\n".join(lines)))
        return block

    def _place_buttons(self) -> None:
        while len(self._copy_buttons) > len(self._panels):
            self._copy_buttons.pop().deleteLater()
        while len(self._copy_buttons) < len(self._panels):
            self._copy_buttons.append(self._make_button(len(self._copy_buttons)))
        for button, panel in zip(self._copy_buttons, self._panels, strict=True):
            button.move(int(panel.rect.right()) - button.width() - 8, int(panel.rect.top()) + 6)

    def _make_button(self, index: int) -> CopyButton:
        button = CopyButton(lambda: self._panels[index].code, "Copy code", self.viewport())
        button.setFixedSize(72, 24)
        button.show()
        return button

    def _open_link(self, url: QUrl) -> None:
        if url.scheme().lower() in OPENABLE:
            QDesktopServices.openUrl(url)


class PlainView(MarkdownView):
    """What a person wrote, as it was written; no wider than it needs to be."""

    def __init__(self, colors: Palette, name: str, max_width: int, parent: QWidget | None = None):
        self._max_width = max_width
        self._is_fitting = False  # measuring changes the document's size, which asks to fit again
        super().__init__(colors, name, parent)

    def limit(self, max_width: int) -> None:
        if max_width != self._max_width:
            self._max_width = max_width
            self._fit()

    def finish(self, text: str) -> None:
        self._text = text
        show_plain(self.document(), text, self._colors)
        self._fit()

    def recolor(self, colors: Palette) -> None:
        self._colors = colors
        self.finish(self._text)

    def _fit(self) -> None:
        if self._is_fitting:
            return
        self._is_fitting = True
        self.document().setTextWidth(-1)
        width = min(self._max_width, int(self.document().idealWidth() + 2))
        self.document().setTextWidth(width)
        self.setFixedSize(width, int(self.document().size().height() + 0.999))
        self._is_fitting = False
