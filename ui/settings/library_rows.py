"""Which models the library lists besides its own: other applications', and those of a person's folders."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QCheckBox, QFileDialog, QGridLayout, QHBoxLayout, QVBoxLayout, QWidget

from app.errors import SlipstreamError
from app.library.folders import without_folder
from app.library.origin import FOREIGN
from ui.settings.settings_desk import SettingsDesk
from ui.widgets.labels import button, label

if TYPE_CHECKING:
    from app.services import Services


class LibrariesRow(QWidget):
    """A box for each application whose models can be read where they lie."""

    changed = Signal()

    def __init__(self, settings: SettingsDesk):
        super().__init__()
        self._settings = settings
        self.boxes = {origin.value: QCheckBox(origin.label) for origin in FOREIGN}
        grid = QGridLayout()
        grid.setHorizontalSpacing(24)
        for number, (name, box) in enumerate(self.boxes.items()):
            box.setChecked(name in settings.settings.libraries)
            box.toggled.connect(self._save)
            grid.addWidget(box, number // 2, number % 2)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(24)
        texts = QVBoxLayout()
        texts.setSpacing(0)
        texts.addStretch(1)
        texts.addWidget(label("Models of other applications", "strong"))
        why = "Listed where they lie, so that nothing is downloaded twice. Only read."
        texts.addWidget(label(why, "caption", wraps=True))
        texts.addStretch(1)
        row.addLayout(texts, 1)
        row.addLayout(grid)

    def _save(self) -> None:
        chosen = tuple(name for name, box in self.boxes.items() if box.isChecked())
        self._settings.set(libraries=chosen)
        self.changed.emit()


class FoldersRow(QWidget):
    """The folders that a person has added, each with a way to leave it out again."""

    changed = Signal()

    def __init__(self, services: "Services", settings: SettingsDesk):
        super().__init__()
        self._services = services
        self._settings = settings
        self.add = button("Add a folder…")
        self._problem = label("", "problem", wraps=True)
        self._rows = QVBoxLayout()
        self._rows.setSpacing(4)
        texts = QVBoxLayout()
        texts.setSpacing(0)
        texts.addWidget(label("Your folders", "strong"))
        texts.addWidget(
            label("Models are used in place, never modified, up to six folders deep.", "caption", wraps=True)
        )
        head = QHBoxLayout()
        head.setSpacing(24)
        head.addLayout(texts, 1)
        head.addWidget(self.add)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addLayout(head)
        layout.addLayout(self._rows)
        layout.addWidget(self._problem)
        self._refresh()

        self.add.clicked.connect(self._choose)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._refresh()  # the models page adds folders as well

    def add_folder(self, folder: Path) -> None:
        try:
            self._services.add_folder(folder)
        except SlipstreamError as error:
            self._problem.setText(str(error))
            self._problem.show()
            return
        self._refresh()
        self.changed.emit()

    def _choose(self) -> None:
        if name := QFileDialog.getExistingDirectory(self, "A folder with models"):
            self.add_folder(Path(name))

    def _leave_out(self, folder: str) -> None:
        self._settings.change(lambda known: replace(known, folders=without_folder(known.folders, folder)))
        self._refresh()
        self.changed.emit()

    def _refresh(self) -> None:
        self._problem.hide()
        while item := self._rows.takeAt(0):
            if widget := item.widget():
                widget.deleteLater()
        for folder in self._services.settings.folders:
            self._rows.addWidget(self._row(folder))

    def _row(self, folder: str) -> QWidget:
        result = QWidget()
        leave_out = button("Leave out", "small", f"Leave out {folder}")
        leave_out.clicked.connect(partial(self._leave_out, folder))
        row = QHBoxLayout(result)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(label(folder, "caption", wraps=True), 1)
        row.addWidget(leave_out)
        return result
