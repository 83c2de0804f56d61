"""Names that a person allows, each with a way to take it back, and a field for another one."""

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from app.errors import UsageError
from ui.widgets.labels import button, label


class NamesRow(QWidget):
    changed = Signal(tuple)  # all of them

    def __init__(self, title: str, why: str, example: str, checked: Callable[[str], str]):
        """checked: the name as it is kept; raises UsageError for what is none."""
        super().__init__()
        self._title = title
        self._checked = checked
        self.names: tuple[str, ...] = ()
        self.edit = QLineEdit(placeholderText=example)
        self.edit.setAccessibleName(title)
        self.edit.setAccessibleDescription(why)
        self.add = button("Allow", name=f"Allow: {title}")
        self.problem = label("", "problem", wraps=True)
        self._rows = QVBoxLayout()
        self._rows.setSpacing(0)
        new = QHBoxLayout()
        new.setSpacing(8)
        new.addWidget(self.edit, 1)
        new.addWidget(self.add)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(label(title, "strong"))
        layout.addWidget(label(why, "caption", wraps=True))
        layout.addLayout(self._rows)
        layout.addLayout(new)
        layout.addWidget(self.problem)
        self.problem.hide()

        self.add.clicked.connect(self._add)
        self.edit.returnPressed.connect(self._add)

    def show_names(self, names: tuple[str, ...]) -> None:
        if names == self.names:
            return
        self.names = names
        while item := self._rows.takeAt(0):
            if widget := item.widget():
                widget.deleteLater()
        for name in names:
            self._rows.addWidget(self._row(name))

    def _add(self) -> None:
        self.problem.hide()
        try:
            name = self._checked(self.edit.text())
        except UsageError as error:
            self.problem.setText(str(error))
            self.problem.show()
            return
        self.edit.clear()
        if name not in self.names:
            self.changed.emit((*self.names, name))

    def _remove(self, name: str) -> None:
        self.changed.emit(tuple(each for each in self.names if each != name))

    def _row(self, name: str) -> QWidget:
        result = QWidget()
        remove = button("Remove", "small", f"Remove {name}")
        remove.clicked.connect(partial(self._remove, name))
        row = QHBoxLayout(result)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(label(name), 1)
        row.addWidget(remove)
        return result
