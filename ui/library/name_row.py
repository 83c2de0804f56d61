"""A model's name, which can be changed in place, and the star that makes it a favourite."""

from typing import cast

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QSizePolicy, QStackedWidget, QToolButton, QWidget

from ui.widgets.labels import button, label


class NameEdit(QLineEdit):
    given_up = Signal()

    def event(self, event: QEvent) -> bool:
        """Escape is meant for the name here, not for the window's shortcut."""
        if event.type() == QEvent.Type.ShortcutOverride and cast(QKeyEvent, event).key() == Qt.Key.Key_Escape:
            event.accept()
            return True
        return super().event(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Escape:
            self.given_up.emit()
        else:
            super().keyPressEvent(event)


class NameRow(QWidget):
    renamed = Signal(str)
    starred = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        self._name = label("", "section", wraps=True)
        self.edit = NameEdit()
        self.edit.setAccessibleName("Name of the model")
        self.edit.setPlaceholderText("The model's own name")
        self.star = QToolButton()
        self.star.setCheckable(True)
        self.star.setAccessibleName("Favourite")
        self.star.setFixedSize(32, 32)
        self.rename = button("Rename", "small")
        self._stack = QStackedWidget()
        self._stack.addWidget(self._name)
        self._stack.addWidget(self.edit)
        self._stack.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(8)
        row.addWidget(self.star, 0, Qt.AlignmentFlag.AlignTop)
        row.addWidget(self._stack, 1)
        row.addWidget(self.rename, 0, Qt.AlignmentFlag.AlignTop)

        self.star.clicked.connect(self.starred)
        self.star.toggled.connect(self._show_star)
        self.rename.clicked.connect(self._begin)
        self.edit.returnPressed.connect(self._finish)
        self.edit.given_up.connect(self._give_up)

    def show_name(self, name: str, is_favourite: bool) -> None:
        if name != self._name.text():
            self.end()
        self._name.setText(name)
        self.star.setChecked(is_favourite)
        self._show_star(is_favourite)

    def _show_star(self, is_favourite: bool) -> None:
        self.star.setText("★" if is_favourite else "☆")
        self.star.setToolTip("No favourite any more" if is_favourite else "Make it a favourite")

    def _begin(self) -> None:
        self.edit.setText(self._name.text())
        self._stack.setCurrentWidget(self.edit)
        self.rename.hide()
        self.edit.setFocus(Qt.FocusReason.OtherFocusReason)
        self.edit.selectAll()

    def _finish(self) -> None:
        self.renamed.emit(self.edit.text())
        self.end()
        self.rename.setFocus(Qt.FocusReason.OtherFocusReason)

    def _give_up(self) -> None:
        self.end()
        self.rename.setFocus(Qt.FocusReason.OtherFocusReason)

    def end(self) -> None:
        """No other name is being written any more."""
        self._stack.setCurrentWidget(self._name)
        self.rename.show()
