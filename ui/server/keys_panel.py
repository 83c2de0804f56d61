"""The port's keys as a list, with a field for another one. Revoking one and changing what it may do ask in the page."""

import time
from collections.abc import Callable
from datetime import datetime
from functools import partial

from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtGui import QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from app.server.keys import MAX_NAME, Key
from app.server.scope import Scope
from ui.server.keys_desk import KeysDesk
from ui.server.moments import ago, day
from ui.server.pressed_delegate import PressedDelegate
from ui.server.server_desk import ServerDesk
from ui.server.table_model import ROW_ROLE, Column, TableModel
from ui.server.table_view import ShortTable
from ui.settings.fields import Choice
from ui.theme import Theme
from ui.widgets.labels import button, label

EMPTY = "No keys yet. Give each program its own, so that you can revoke one without the others."
SCOPES = "Any key may ask models, which loads them. One that manages may load, unload, install and delete them, too."
SCOPE_NAMES = {Scope.USE: "Use models", Scope.MANAGE: "Manage models"}
QUESTIONS = {
    Scope.MANAGE: "Let “{}” also load, unload, install and delete models?",
    Scope.USE: "Let “{}” only use models, and no longer load, unload, install or delete them?",
}
OLD = "An earlier version left a key in the settings file in plain text. It still works."


def _used(key: Key) -> str:
    return ago(time.time() - datetime.fromisoformat(key.last_used).timestamp()) if key.last_used else "never"


COLUMNS: tuple[Column[Key], ...] = (
    Column("Name", lambda key: key.name, gives_way=True, tip=lambda key: key.name),
    Column("Scope", lambda key: SCOPE_NAMES[key.scope], tip=lambda _: "Change what this key may do (Enter)"),
    Column("Created", lambda key: day(key.created), is_figure=True),
    Column("Last used", _used, is_figure=True),
    Column("", lambda _: "Revoke", is_figure=True, tip=lambda _: "Revoke this key (Delete)"),
)
SCOPE, REVOKE = 1, len(COLUMNS) - 1


class KeysPanel(QWidget):
    def __init__(self, keys: KeysDesk, server: ServerDesk, theme: Theme):
        super().__init__()
        self._keys = keys
        self._server = server
        self._answer: Callable[[], None] | None = None  # what is done when the question is answered with yes
        self.model = TableModel(COLUMNS, lambda key: (key.name, key.digest), self)
        self.table = ShortTable(self.model, "API keys", EMPTY, 8)
        self.table.view.setItemDelegateForColumn(REVOKE, PressedDelegate(theme, self, ends=True))
        self.table.view.setItemDelegateForColumn(SCOPE, PressedDelegate(theme, self, ends=False))
        self.name = QLineEdit(placeholderText="Name of a program or machine", maxLength=MAX_NAME)
        self.name.setAccessibleName("Name of the new key")
        self.scope = Choice([(text, scope) for scope, text in SCOPE_NAMES.items()], Scope.USE)
        self.scope.setAccessibleName("What the new key may do")
        self.add = button("Add key")
        self.problem = label("", "problem", wraps=True)
        self._question = label("", wraps=True)
        self.revoke = button("Revoke", "danger", "Revoke the key")
        self.allow = button("Change", name="Change what the key may do")
        self.keep = button("Keep it", name="Keep the key as it is")
        self._ask = QWidget()
        self._old = QWidget()
        self.drop = button("Remove it", name="Remove the key of an earlier version")
        self._delete = QShortcut(QKeySequence(Qt.Key.Key_Delete), self.table.view)
        self._enter = QShortcut(QKeySequence(Qt.Key.Key_Return), self.table.view)
        for shortcut in (self._delete, self._enter):
            shortcut.setContext(Qt.ShortcutContext.WidgetShortcut)
        self._lay_out()

        self.add.clicked.connect(self._add)
        self.name.returnPressed.connect(self._add)
        self.table.view.clicked.connect(self._pressed)
        self._delete.activated.connect(lambda: self._ask_to_revoke(self.table.view.currentIndex()))
        self._enter.activated.connect(lambda: self._ask_to_change(self.table.view.currentIndex()))
        for yes in (self.revoke, self.allow):
            yes.clicked.connect(self._do)
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
        self._keys.add(self.name.text(), self.scope.values[self.scope.currentIndex()])

    def _pressed(self, index: QModelIndex) -> None:
        if index.column() == REVOKE:
            self._ask_to_revoke(index)
        elif index.column() == SCOPE:
            self._ask_to_change(index)

    def _ask_to_revoke(self, index: QModelIndex) -> None:
        if key := _key(index):
            question = f"Revoke “{key.name}”? Its programs are refused, and their running answers end."
            self._ask_whether(question, self.revoke, partial(self._keys.revoke, key.name))

    def _ask_to_change(self, index: QModelIndex) -> None:
        if key := _key(index):
            other = Scope.USE if key.scope is Scope.MANAGE else Scope.MANAGE
            self._ask_whether(QUESTIONS[other].format(key.name), self.allow, partial(self._keys.allow, key.name, other))

    def _ask_whether(self, question: str, yes: QWidget, answer: Callable[[], None]) -> None:
        self._answer = answer
        self._question.setText(question)
        for each in (self.revoke, self.allow):
            each.setVisible(each is yes)
        self._ask.show()
        self.keep.setFocus()

    def _do(self) -> None:
        if self._answer:
            self._answer()
        self._close_question()

    def _close_question(self) -> None:
        self._answer = None
        if self._ask.isAncestorOf(self.focusWidget()):
            self.table.view.setFocus()  # what is hidden would give it to anybody
        self._ask.hide()

    def _complain(self, text: str) -> None:
        self.problem.setText(text)
        self.problem.show()

    def _lay_out(self) -> None:
        asking = _row(self._ask, self._question, self.revoke, self.allow, self.keep)
        old = _row(self._old, label(OLD, "muted", wraps=True), self.drop)
        new = QHBoxLayout()
        new.setSpacing(8)
        new.addWidget(self.name, 1)
        new.addWidget(self.scope)
        new.addWidget(self.add)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        for widget in (self.table, asking, old):
            layout.addWidget(widget)
        layout.addLayout(new)
        layout.addWidget(label(SCOPES, "caption", wraps=True))
        layout.addWidget(self.problem)
        for widget in (self._ask, self._old, self.problem):
            widget.hide()


def _key(index: QModelIndex) -> Key | None:
    key = index.data(ROW_ROLE) if index.isValid() else None
    return key if isinstance(key, Key) else None


def _row(holder: QWidget, text: QWidget, *buttons: QWidget) -> QWidget:
    row = QHBoxLayout(holder)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(8)
    row.addWidget(text, 1)
    for each in buttons:
        row.addWidget(each)
    return holder
