"""The library as Qt sees it; picker and models page share it. Reads the library on a worker, knows no widget."""

from enum import IntEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QPersistentModelIndex, Qt, Signal

from app.errors import SlipstreamError
from app.library.origin import Origin
from app.planner.verdict import Fits, Verdict
from ui.bridge import Bridge
from ui.figures import count, size

if TYPE_CHECKING:
    from app.library.entry import ModelEntry
    from app.library.library import Library, Listing
    from app.library.store import Removal

Index = QModelIndex | QPersistentModelIndex
ROOT = QModelIndex()
PATIENCE = 0.3  # seconds that one look may read headers; the list grows meanwhile


class ModelRole(IntEnum):
    ENTRY = Qt.ItemDataRole.UserRole + 1
    NOTE = Qt.ItemDataRole.UserRole + 2
    DETAIL = Qt.ItemDataRole.UserRole + 3
    TAG = Qt.ItemDataRole.UserRole + 4
    TONE = Qt.ItemDataRole.UserRole + 5  # a color of the palette, by name


class ModelsModel(QAbstractListModel):
    refreshed = Signal()
    refused = Signal(str)

    def __init__(self, library: "Library", bridge: Bridge):
        super().__init__(bridge)
        self._library = library
        self._bridge = bridge
        self._loaded: frozenset[Path] = frozenset()
        self._is_looking = False
        self._looks_again = False
        self.entries: list[ModelEntry] = []
        self.verdicts: dict[Path, Verdict] = {}  # by path, as far as they are known
        self.notices: tuple[str, ...] = ()  # places that could not be read
        self.is_known = False  # the library has been read at least once

    def refresh(self) -> None:
        """One look at a time; what is asked for meanwhile is one more look afterwards."""
        if self._is_looking:
            self._looks_again = True
            return
        self._is_looking, self._looks_again = True, False
        self._bridge.call(partial(self._library.look, PATIENCE), self._show, self._fail)

    def remove(self, entry: "ModelEntry", shown: "Removal | None" = None) -> None:
        """shown: the files that the person has seen and agreed to."""
        work = partial(self._library.remove, entry.id, shown)
        self._bridge.call(work, lambda _: self.refresh(), self._tell)

    def is_loaded(self, entry: "ModelEntry") -> bool:
        """By whomever."""
        return entry.path in self._loaded

    def mark_loaded(self, files: frozenset[Path]) -> None:
        """files: of the models that are loaded."""
        if files != self._loaded:
            self._loaded = files
            if self.entries:
                self.dataChanged.emit(self.index(0), self.index(len(self.entries) - 1))

    def show_verdicts(self, verdicts: dict[Path, Verdict]) -> None:
        if verdicts != self.verdicts:
            self.verdicts = verdicts
            if self.entries:
                self.dataChanged.emit(self.index(0), self.index(len(self.entries) - 1))

    @property
    def offered(self) -> "list[ModelEntry]":
        """Those that a person may choose to answer."""
        return [entry for entry in self.entries if entry.can_chat]

    def find(self, model_id: str | None) -> "ModelEntry | None":
        return next((entry for entry in self.entries if entry.id == model_id), None)

    def named(self, name: str) -> "ModelEntry | None":
        return next((entry for entry in self.entries if entry.name == name), None)

    def at(self, path: Path) -> "ModelEntry | None":
        return next((entry for entry in self.entries if entry.path == path), None)

    def rowCount(self, parent: Index = ROOT) -> int:
        return 0 if parent.isValid() else len(self.entries)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        return self.value(self.entries[index.row()], role) if index.isValid() else None

    def value(self, entry: "ModelEntry", role: int) -> Any:
        """What a list shows of an entry."""
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return entry.name
            case Qt.ItemDataRole.AccessibleTextRole:
                star = ", a favourite" if entry.is_favourite else ""
                loaded = ", loaded" if self.is_loaded(entry) else ""
                verdict = self.verdicts.get(entry.path)
                fits = f", {verdict.sentence}" if verdict else ""
                return f"{entry.full_name}, {detail(entry)}{fits}{star}{loaded}"
            case ModelRole.ENTRY:
                return entry
            case ModelRole.NOTE:
                note = "Loaded" if self.is_loaded(entry) else size(entry.bytes)
                return f"★ {note}" if entry.is_favourite else note
            case ModelRole.DETAIL:
                return detail(entry) if self._is_at_ease(entry) else self.verdicts[entry.path].sentence
            case ModelRole.TONE:
                return "muted" if self._is_at_ease(entry) else "warning_text"
            case ModelRole.TAG:
                return entry.quantization
        return None

    def _is_at_ease(self, entry: "ModelEntry") -> bool:
        """Its figures are what there is to say of it."""
        verdict = self.verdicts.get(entry.path)
        return verdict is None or entry.problem is not None or verdict.fits in (Fits.YES, Fits.WITH)

    def _show(self, listing: "Listing") -> None:
        self._is_looking = False
        self.is_known = True
        self.notices = listing.notices
        if listing.entries != self.entries:
            self.beginResetModel()
            self.entries = listing.entries
            self.endResetModel()
        self.refreshed.emit()
        if listing.num_unread or self._looks_again:
            self.refresh()

    def _fail(self, error: Exception) -> None:
        self._is_looking = False
        self._tell(error)

    def _tell(self, error: Exception) -> None:
        text = str(error) if isinstance(error, SlipstreamError) else f"The library could not be read: {error}"
        self.refused.emit(text)


def detail(entry: "ModelEntry") -> str:
    if entry.problem:
        return entry.problem
    if not entry.is_read:
        return "Its header is being read…"
    origin = "" if entry.origin is Origin.MANAGED else entry.origin.label
    parts = [
        origin,
        "" if entry.place == entry.origin.label else entry.place,
        entry.kind,
        "checkpoint" if entry.is_checkpoint else "",
        entry.architecture,
        f"{count(entry.context)} tokens" if entry.context else "",
    ]
    return "  ·  ".join(part for part in parts if part)
