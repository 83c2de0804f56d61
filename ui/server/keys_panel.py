"""The port's keys as a list, with a field for another one. Revoking asks in the page."""

import time
from datetime import datetime

from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtGui import QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from app.server.keys import MAX_NAME, Key
from ui.server.keys_desk import KeysDesk
from ui.server.moments import ago, day
from ui.server.server_desk import ServerDesk
from ui.server.stop_delegate import StopDelegate
from ui.server.table_model import ROW_ROLE, Column, TableModel
from ui.server.table_view import ShortTable
from ui.theme import Theme
from ui.widgets.labels import button, label

EMPTY = "No keys yet. Give each program its own, so that you can revoke one without the others."
OLD = "An earlier version left a key in the settings file in plain text. It still works."


def _used(key: Key) -> str:
    return ago(time.time() - datetime.fromisoformat(key.last_used).timestamp()) if key.last_used else "never"


COLUMNS: tuple[Column[Key], ...] = (
    Column("Name", lambda key: key.name, gives_way=True, tip=lambda key: key.name),
    Column("Created", lambda key: day(key.created), is_figure=True),
    Column("Last used", _used, is_figure=True),
    Column("", lambda _: "Revoke", is_figure=True, tip=lambda _: "Revoke this key (Delete)"),
)
REVOKE = len(COLUMNS) - 1


class KeysPanel(QWidget):
    def __init__(self, keys: KeysDesk, server: ServerDesk, theme: Theme):
        super().__init__()
        self._keys = keys
        self._server = server
        self._asked: Key | None = None  # whether it is to be revoked
        self.model = TableModel(COLUMNS, lambda key: (key.name, key.digest), self)
        self.table = ShortTable(self.model, "API keys", EMPTY, 8)
        self.table.view.setItemDelegateForColumn(REVOKE, StopDelegate(theme, self))
        self.name = QLineEdit(placeholderText="Name of a program or machine", maxLength=MAX_NAME)
        self.name.setAccessibleName("Name of the new key")
        self.add = button("Add key")
        self.problem = label("", "problem", wraps=True)
        self._question = label("", wraps=True)
        self.revoke = button("Revoke", "danger", "Revoke the key")
        self.keep = button("Keep it", name="Keep the key")
        self._ask = QWidget()
        self._old = QWidget()
        self.drop = button("Remove it", name="Remove the key of an earlier version")
        self._delete = QShortcut(QKeySequence(Qt.Key.Key_Delete), self.table.view)
        self._delete.setContext(Qt.ShortcutContext.WidgetShortcut)
        self._lay_out()

        self.add.clicked.connect(self._add)
        self.name.returnPressed.connect(self._add)
        self.table.view.clicked.connect(lambda index: self._ask_for(index) if index.column() == REVOKE else None)
        self._delete.activated.connect(lambda: self._ask_for(self.table.view.currentIndex()))
        self.revoke.clicked.connect(self._revoke)
        self.keep.clicked.connect(self._close_question)
        self.drop.clicked.connect(server.drop_old_key)
        keys.changed.connect(self.refresh)
        keys.made.connect(lambda *_: self.name.clear())
        keys.refused.connect(self._complain)
        server.changed.connect(self.refresh)
        self.refresh()

    def refresh(self) -> None:
        self.model.show_rows(self._keys.all())
        self._old.setVisible(self._server.settings.api_key is not None)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self.refresh()

    def _add(self) -> None:
        self.problem.hide()
        self._keys.add(self.name.text())

    def _ask_for(self, index: QModelIndex) -> None:
        key = index.data(ROW_ROLE) if index.isValid() else None
        if isinstance(key, Key):
            self._asked = key
            self._question.setText(f"Revoke “{key.name}”? Its programs are refused, and their running answers end.")
            self._ask.show()
            self.keep.setFocus()

    def _revoke(self) -> None:
        if self._asked:
            self._keys.revoke(self._asked.name)
        self._close_question()

    def _close_question(self) -> None:
        self._asked = None
        self._ask.hide()

    def _complain(self, text: str) -> None:
        self.problem.setText(text)
        self.problem.show()

    def _lay_out(self) -> None:
        asking = _row(self._ask, self._question, self.revoke, self.keep)
        old = _row(self._old, label(OLD, "muted", wraps=True), self.drop)
        new = QHBoxLayout()
        new.setSpacing(8)
        new.addWidget(self.name, 1)
        new.addWidget(self.add)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        for widget in (self.table, asking, old):
            layout.addWidget(widget)
        layout.addLayout(new)
        layout.addWidget(self.problem)
        for widget in (self._ask, self._old, self.problem):
            widget.hide()


def _row(holder: QWidget, text: QWidget, *buttons: QWidget) -> QWidget:
    row = QHBoxLayout(holder)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(8)
    row.addWidget(text, 1)
    for each in buttons:
        row.addWidget(each)
    return holder
