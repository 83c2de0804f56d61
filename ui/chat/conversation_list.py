"""The side list of conversations: new, search, open, rename (F2), delete (Del) with a way back."""

from functools import partial

from PySide6.QtCore import QEvent, QItemSelectionModel, QModelIndex, QPoint, QSize, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QFrame, QLineEdit, QListView, QMenu, QVBoxLayout, QWidget

from ui.chat.conversation_delegate import ConversationDelegate, section_height
from ui.chat.conversation_model import ConversationModel, ConversationRole
from ui.icons import icon
from ui.palette import Palette
from ui.theme import Theme
from ui.widgets.labels import button
from ui.widgets.own_escape import takes_escape

WIDTH = 248


class ConversationView(QListView):
    deleted = Signal(object)  # int, of more bits than Qt's own: a conversation that the person wants gone
    pinned = Signal(object, bool)
    duplicated = Signal(object)
    copied = Signal(object)

    def __init__(self, model: ConversationModel, theme: Theme):
        super().__init__()
        self.setModel(model)
        self.setItemDelegate(ConversationDelegate(theme, self))
        self.setAccessibleName("Conversations")
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setMouseTracking(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setEditTriggers(QListView.EditTrigger.EditKeyPressed)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        self.customContextMenuRequested.connect(self._open_menu)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Delete and self.currentIndex().isValid():
            self.deleted.emit(self.currentIndex().data(ConversationRole.ID))
            return
        super().keyPressEvent(event)

    def indexAt(self, point: QPoint) -> QModelIndex:
        """The name of a group is no conversation."""
        index = super().indexAt(point)
        is_head = point.y() < self.visualRect(index).top() + section_height(index)
        return QModelIndex() if is_head else index

    def _open_menu(self, position: QPoint) -> None:
        index = self.indexAt(position)
        if not index.isValid():
            return
        conversation, is_pinned = index.data(ConversationRole.ID), index.data(ConversationRole.IS_PINNED)
        menu = QMenu(self)
        menu.addAction("Rename", partial(self.edit, index))
        menu.addAction("Unpin" if is_pinned else "Pin", partial(self.pinned.emit, conversation, not is_pinned))
        menu.addAction("Duplicate", partial(self.duplicated.emit, conversation))
        menu.addAction("Copy as Markdown", partial(self.copied.emit, conversation))
        menu.addSeparator()
        menu.addAction("Delete", partial(self.deleted.emit, conversation))
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(self.viewport().mapToGlobal(position))


class SearchEdit(QLineEdit):
    """Keys that are the list's go there, while the words stay at hand."""

    moved = Signal(int)  # so many rows down
    entered = Signal()
    left = Signal()  # Escape, with nothing to clear

    def event(self, event: QEvent) -> bool:
        return takes_escape(event) or super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        match event.key():
            case Qt.Key.Key_Down:
                self.moved.emit(1)
            case Qt.Key.Key_Up:
                self.moved.emit(-1)
            case Qt.Key.Key_Return | Qt.Key.Key_Enter:
                self.entered.emit()
            case Qt.Key.Key_Escape if self.text():
                self.clear()
            case Qt.Key.Key_Escape:
                self.left.emit()
            case _:
                super().keyPressEvent(event)


class ConversationList(QWidget):
    new_clicked = Signal()
    opened = Signal(object)
    deleted = Signal(object)
    left = Signal()  # the person goes on to write

    def __init__(self, model: ConversationModel, theme: Theme):
        super().__init__()
        self._model = model
        self._shown: int | None = None
        self.setProperty("kind", "sidebar")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFixedWidth(WIDTH)
        self.new = button("New chat")
        self.new.setIconSize(QSize(16, 16))
        self.new.setToolTip("New chat (Ctrl+N)")
        self.search = SearchEdit(placeholderText="Search chats")
        self.search.setProperty("kind", "search")
        self.search.setAccessibleName("Search chats")
        self.search.setClearButtonEnabled(True)
        self.view = ConversationView(model, theme)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 16, 12, 8)
        layout.setSpacing(8)
        for widget in (self.new, self.search, self.view):
            layout.addWidget(widget)

        self.new.clicked.connect(self.new_clicked)
        self.search.textChanged.connect(model.search)
        self.search.moved.connect(self._move)
        self.search.entered.connect(self._enter)
        self.search.left.connect(self.left)
        # queued: where an editor closes, the list takes its focus
        model.renamed.connect(self.left, Qt.ConnectionType.QueuedConnection)
        self.view.deleted.connect(self.deleted)
        self.view.selectionModel().currentChanged.connect(self._open)
        model.modelReset.connect(lambda: self.select(self._shown))
        theme.changed.connect(self._recolor)
        self._recolor(theme.palette)

    def select(self, conversation: int | None) -> None:
        """Mark the open conversation, without opening it again."""
        self._shown = conversation
        selection = self.view.selectionModel()
        selection.blockSignals(True)
        flag = QItemSelectionModel.SelectionFlag.ClearAndSelect
        selection.setCurrentIndex(self._model.index_of(conversation), flag)
        if not self._model.index_of(conversation).isValid():
            selection.clear()
        selection.blockSignals(False)
        self.view.viewport().update()

    def _move(self, num_rows: int) -> None:
        """From the open conversation, or into the list."""
        current = self.view.currentIndex()
        row = current.row() + num_rows if current.isValid() else 0
        if 0 <= row < self._model.rowCount():
            self.view.setCurrentIndex(self._model.index(row))

    def _enter(self) -> None:
        """Open what is marked, or the first that was found."""
        if not self._model.rowCount():
            return
        if not self.view.currentIndex().isValid():
            self._move(0)
        self.left.emit()

    def _open(self, index: QModelIndex) -> None:
        conversation = index.data(ConversationRole.ID)
        if conversation is not None and conversation != self._shown:
            self._shown = conversation
            self.opened.emit(conversation)

    def _recolor(self, colors: Palette) -> None:
        self.new.setIcon(icon("plus", colors.text, 16))
        self.view.viewport().update()
