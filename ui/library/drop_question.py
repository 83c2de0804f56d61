"""Asks in place what to do with files or a folder that a person has dropped or chosen."""

from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout

from ui.widgets.labels import button, label

MAX_FILES = 1000


class DropQuestion(QFrame):
    copy_wanted = Signal(object, bool)  # list of Path, whether to move them
    folder_wanted = Signal(object)  # Path

    def __init__(self) -> None:
        super().__init__()
        self._files: list[Path] = []
        self._folder: Path | None = None
        self.setProperty("kind", "banner-info")
        self._text = label("", wraps=True)
        self.copy = button("Copy into the library")
        self.move_files = button("Move into the library")
        self.list_folder = button("List the folder as it lies")
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
        """Model files, or folders: of these the first can be listed, and all files in them be copied."""
        folders = [path for path in paths if path.is_dir()]
        files = [path for path in paths if path.is_file()]
        self._files = [path for path in files if path.suffix.lower() == ".gguf"]
        self._folder = folders[0] if folders else self._files[0].parent if self._files else None
        self.copy.setVisible(bool(self._files))
        self.move_files.setVisible(bool(self._files))
        self.list_folder.setVisible(self._folder is not None)
        self._text.setText(self._sentence(len(files)))
        self.setVisible(True)

    def _sentence(self, num_files: int) -> str:
        if self._folder is None:
            what = "This is" if num_files == 1 else "These are"
            return f"{what} no GGUF file. Drop model files, or a folder that holds some."
        if not self._files:
            return f"{self._folder} can be listed in the library as it lies; nothing in it is changed."
        names = self._files[0].name if len(self._files) == 1 else f"{len(self._files)} model files"
        return f"{names}: copied, moved, or left where they are and listed with all of {self._folder}?"

    def _answer(self, is_move: bool) -> None:
        self.hide()
        self.copy_wanted.emit(list(self._files[:MAX_FILES]), is_move)

    def _add_folder(self) -> None:
        self.hide()
        self.folder_wanted.emit(self._folder)
