"""Paints a conversation in the list: its group's name above the first one, a dot for news, what was found below."""

from PySide6.QtCore import QPointF, QRect, QSize, Qt
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import QStyleOptionViewItem, QWidget

from app.text_search import Excerpt
from ui.chat.conversation_model import ConversationRole
from ui.theme import CAPTION, Theme
from ui.widgets.row_delegate import INSET, Index, RowDelegate

SECTION_HEIGHT, ROW_HEIGHT, EXCERPT_HEIGHT = 32, 36, 56
DOT = 7  # pixels across
BEFORE_SHARE = 0.4  # of an excerpt's width, for what stands before the words that were found


class ConversationDelegate(RowDelegate):
    def __init__(self, theme: Theme, parent: QWidget):
        super().__init__(theme, ConversationRole.WHEN, parent=parent)

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:  # noqa: ARG002
        height = EXCERPT_HEIGHT if index.data(ConversationRole.EXCERPT) else ROW_HEIGHT
        return QSize(120, height + section_height(index))

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        if section := index.data(ConversationRole.SECTION):
            head = QRect(option.rect)
            head.setHeight(SECTION_HEIGHT)
            painter.save()
            self._text(painter, head.adjusted(INSET, 8, 0, 0), section, self._theme.palette.muted, CAPTION)
            painter.restore()
        super().paint(painter, _below_section(option, index), index)

    def updateEditorGeometry(self, editor: QWidget, option: QStyleOptionViewItem, index: Index) -> None:
        super().updateEditorGeometry(editor, _below_section(option, index), index)

    def _paint_texts(self, painter: QPainter, option: QStyleOptionViewItem, index: Index, is_selected: bool) -> None:
        excerpt = index.data(ConversationRole.EXCERPT)
        if excerpt is None:
            super()._paint_texts(painter, option, index, is_selected)
            return
        above, below = QStyleOptionViewItem(option), QRect(option.rect)
        middle = option.rect.height() // 2
        above.rect = option.rect.adjusted(0, 6, 0, -middle)
        super()._paint_texts(painter, above, index, is_selected)
        self._excerpt(painter, below.adjusted(INSET, middle, -INSET, -6), excerpt)

    def _title(self, painter: QPainter, rect: QRect, index: Index, color: str) -> None:
        if index.data(ConversationRole.IS_UNREAD):
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(self._theme.palette.accent))
            painter.drawEllipse(QPointF(rect.left() + DOT / 2, rect.center().y() + 0.5), DOT / 2, DOT / 2)
            rect = rect.adjusted(DOT + INSET, 0, 0, 0)
        super()._title(painter, rect, index, color)

    def _excerpt(self, painter: QPainter, rect: QRect, excerpt: Excerpt) -> None:
        colors = self._theme.palette
        before = QRect(rect)
        before.setWidth(int(BEFORE_SHARE * rect.width()))
        left = Qt.TextElideMode.ElideLeft
        width = self._text(painter, before, excerpt.before, colors.muted, CAPTION, elides=left)
        rest = rect.adjusted(width, 0, 0, 0)
        font = painter.font()
        font.setBold(True)
        painter.setFont(font)
        width = self._text(painter, rest, excerpt.found, colors.accent_text, CAPTION)
        font.setBold(False)
        painter.setFont(font)
        self._text(painter, rest.adjusted(width, 0, 0, 0), excerpt.after, colors.muted, CAPTION)


def section_height(index: Index) -> int:
    return SECTION_HEIGHT if index.data(ConversationRole.SECTION) else 0


def _below_section(option: QStyleOptionViewItem, index: Index) -> QStyleOptionViewItem:
    result = QStyleOptionViewItem(option)
    result.rect = option.rect.adjusted(0, section_height(index), 0, 0)
    return result
