"""Paints the rows of the window's lists: a title, a note at the right, and perhaps a second line."""

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QSize, Qt
from PySide6.QtGui import QColor, QFontMetrics, QPainter
from PySide6.QtWidgets import QStyle, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from ui.theme import BODY, CAPTION, Theme

Index = QModelIndex | QPersistentModelIndex
INSET = 8


class RowDelegate(QStyledItemDelegate):
    """`note_role` and `detail_role` name the model's roles for the text at the right and for the second line.

    tag_role: of a short text after the title, which is never cut; the title is, in its middle.
    tone_role: the palette's color of the second line, by name; without it the line is muted.
    """

    def __init__(
        self,
        theme: Theme,
        note_role: int,
        detail_role: int | None = None,
        parent: QWidget | None = None,
        tone_role: int | None = None,
        tag_role: int | None = None,
    ):
        super().__init__(parent)
        self._theme = theme
        self._note_role = note_role
        self._detail_role = detail_role
        self._tone_role = tone_role
        self._tag_role = tag_role

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:  # noqa: ARG002
        return QSize(120, 56 if self._detail_role else 36)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        is_selected = self._paint_ground(painter, option)
        self._paint_texts(painter, option, index, is_selected)
        painter.restore()

    def updateEditorGeometry(self, editor: QWidget, option: QStyleOptionViewItem, index: Index) -> None:  # noqa: ARG002
        editor.setGeometry(option.rect.adjusted(0, 2, 0, -2))

    def _paint_ground(self, painter: QPainter, option: QStyleOptionViewItem) -> bool:
        colors = self._theme.palette
        state = option.state
        is_selected = bool(state & QStyle.StateFlag.State_Selected)
        rect = option.rect.adjusted(0, 1, 0, -1)
        painter.setPen(Qt.PenStyle.NoPen)
        if is_selected:
            painter.setBrush(QColor(colors.accent_soft))
            painter.drawRoundedRect(rect, 8, 8)
        elif state & QStyle.StateFlag.State_MouseOver:
            painter.setBrush(QColor(colors.hover))
            painter.drawRoundedRect(rect, 8, 8)
        if state & QStyle.StateFlag.State_HasFocus and is_selected:
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QColor(colors.accent))
            painter.drawRoundedRect(rect.adjusted(0, 0, -1, -1), 8, 8)
        return is_selected

    def _paint_texts(self, painter: QPainter, option: QStyleOptionViewItem, index: Index, is_selected: bool) -> None:
        colors = self._theme.palette
        inner: QRect = option.rect.adjusted(INSET, 0, -INSET, 0)
        top = QRect(inner)
        if self._detail_role:
            top = inner.adjusted(0, 8, 0, -inner.height() // 2)
            bottom = inner.adjusted(0, inner.height() // 2, 0, -8)
            detail = str(index.data(self._detail_role) or "")
            tone = index.data(self._tone_role) if self._tone_role else None
            self._text(painter, bottom, detail, getattr(colors, tone or "muted"), CAPTION)
        note = str(index.data(self._note_role) or "")
        width = self._text(painter, top, note, colors.muted, CAPTION, is_right=True)
        color = colors.accent_text if is_selected else colors.text
        self._title(painter, top.adjusted(0, 0, -(width + INSET if width else 0), 0), index, color)

    def _title(self, painter: QPainter, rect: QRect, index: Index, color: str) -> None:
        title = str(index.data(Qt.ItemDataRole.DisplayRole) or "")
        tag = str(index.data(self._tag_role) or "") if self._tag_role else ""
        if not tag:
            self._text(painter, rect, title, color, BODY)
            return
        font = painter.font()
        font.setPixelSize(CAPTION)
        room = QFontMetrics(font).horizontalAdvance(tag) + INSET
        middle = Qt.TextElideMode.ElideMiddle
        width = self._text(painter, rect.adjusted(0, 0, -room, 0), title, color, BODY, elides=middle)
        self._text(painter, rect.adjusted(width + INSET, 0, 0, 0), tag, self._theme.palette.muted, CAPTION)

    def _text(
        self,
        painter: QPainter,
        rect: QRect,
        text: str,
        color: str,
        pixels: int,
        is_right: bool = False,
        elides: Qt.TextElideMode = Qt.TextElideMode.ElideRight,
    ) -> int:
        """Draw one elided line and return its width."""
        font = painter.font()
        font.setPixelSize(pixels)
        painter.setFont(font)
        painter.setPen(QColor(color))
        metrics = painter.fontMetrics()
        shown = metrics.elidedText(text, elides, rect.width())
        side = Qt.AlignmentFlag.AlignRight if is_right else Qt.AlignmentFlag.AlignLeft
        painter.drawText(rect, side | Qt.AlignmentFlag.AlignVCenter, shown)
        return metrics.horizontalAdvance(shown)
