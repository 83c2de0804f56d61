"""Asks in place what to do with files or a folder that a person has dropped or chosen."""

from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout

from backends.bounds import printable
from ui.widgets.labels import button, label

MAX_FILES = 1000


class DropQuestion(QFrame):
    copy_wanted = Signal(object, bool)  # list of Path, whether to move them
    folder_wanted = Signal(object)  # Path

    def __init__(self) -> None:
        super().__init__()
        self._files: list[Path] = []
        self._folders: list[Path] = []
        self.setProperty("kind", "banner-info")
        self._text = label("", wraps=True)
        self.copy = button("Copy into the library")
        self.move_files = button("Move into the library")
        self.list_folder = button("Use the folder in place")
        self.drop_it = button("Cancel")
        row = QHBoxLayout()
        row.setSpacing(4)
        for widget in (self.copy, self.move_files, self.list_folder, self.drop_it):
            row.addWidget(widget)
        row.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 12, 16, 8)
        layout.setSpacing(4)
        layout.addWidget(self._text)
        layout.addLayout(row)
        self.hide()

        self.copy.clicked.connect(lambda: self._answer(False))
        self.move_files.clicked.connect(lambda: self._answer(True))
        self.list_folder.clicked.connect(self._add_folder)
        self.drop_it.clicked.connect(self.hide)

    def ask(self, paths: list[Path]) -> None:
        """Model files can be copied, moved, or listed with their folder; folders are listed."""
        folders = [path for path in paths if path.is_dir()]
        files = [path for path in paths if path.is_file()]
        self._files = [path for path in files if path.suffix.lower() == ".gguf"]
        self._folders = folders or [file.parent for file in self._files[:1]]
        self.copy.setVisible(bool(self._files))
        self.move_files.setVisible(bool(self._files))
        self.list_folder.setVisible(bool(self._folders))
        self.list_folder.setText("Use the folder in place" if len(self._folders) == 1 else "Use them in place")
        self.drop_it.setText("Cancel" if self._folders else "Dismiss")
        self.drop_it.setAccessibleName(self.drop_it.text())
        self._text.setText(self._sentence(len(files)))
        self.setVisible(True)

    def _sentence(self, num_files: int) -> str:
        if not self._folders:
            what = "Not a GGUF file." if num_files == 1 else "Not GGUF files."
            return f"{what} Drop model files, or a folder of them."
        folder = printable(str(self._folders[0]))
        if not self._files:
            if len(self._folders) > 1:
                count = len(self._folders)
                return f"{count} folders can be added to the library. They are used in place, never modified."
            return f"{folder} can be added to the library. It is used in place, never modified."
        names = printable(self._files[0].name) if len(self._files) == 1 else f"{len(self._files)} model files"
        return f"{names}: copy or move into the library, or use all of {folder} in place?"

    def _answer(self, is_move: bool) -> None:
        self.hide()
        self.copy_wanted.emit(list(self._files[:MAX_FILES]), is_move)

    def _add_folder(self) -> None:
        self.hide()
        for folder in self._folders:
            self.folder_wanted.emit(folder)
