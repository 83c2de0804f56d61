"""What of a repository can be installed, as Qt sees it: label, size, whether it runs here, whether it is here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from PySide6.QtCore import QAbstractListModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from app.hub.quantizations import DEFAULT, predicted_bytes
from app.hub.repository import Repository, Variant, VariantKind
from app.planner.verdict import Verdict
from backends.formats.gguf import Header
from ui.figures import size
from ui.plain import plain_tip

VerdictOn = Callable[..., Verdict | None]  # of bytes, and a header where one is known
Index = QModelIndex | QPersistentModelIndex
ROOT = QModelIndex()


class VariantRole(IntEnum):
    VARIANT = Qt.ItemDataRole.UserRole + 1
    NOTE = Qt.ItemDataRole.UserRole + 2
    DETAIL = Qt.ItemDataRole.UserRole + 3
    TONE = Qt.ItemDataRole.UserRole + 4  # a color of the palette, by name


@dataclass(frozen=True, slots=True)
class Row:
    variant: Variant
    fit: Verdict | None
    is_here: bool


class VariantsModel(QAbstractListModel):
    def __init__(self, parent: QObject):
        super().__init__(parent)
        self.rows: list[Row] = []

    def show_variants(
        self, repository: Repository, verdict_on: VerdictOn, headers: Mapping[str, Header], here: frozenset[str]
    ) -> None:
        """headers: those read so far, by path. here: sha256 of the files in the library."""
        rows = [_row(variant, repository, verdict_on, headers, here) for variant in repository.variants]
        if [row.variant for row in rows] == [row.variant for row in self.rows]:
            self.rows = rows  # the selection stays
            if rows:
                self.dataChanged.emit(self.index(0), self.index(len(rows) - 1))
            return
        self.beginResetModel()
        self.rows = rows
        self.endResetModel()

    def best(self) -> int | None:
        """The row to begin with: Q4_K_M if it runs here, else the largest that does, else the smallest."""
        running = [number for number, row in enumerate(self.rows) if row.fit is None or row.fit.runs]
        preferred = [number for number in running if self.rows[number].variant.quantization == DEFAULT]
        models = [number for number in running if self.rows[number].variant.kind is VariantKind.GGUF]
        return next(iter([*preferred, *reversed(models), *running, *range(len(self.rows))]), None)

    def rowCount(self, parent: Index = ROOT) -> int:
        return 0 if parent.isValid() else len(self.rows)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        row = self.rows[index.row()]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return _title(row.variant)
            case Qt.ItemDataRole.ToolTipRole:
                return plain_tip(row.variant.files[-1].path) if row.variant.kind is VariantKind.GGUF else None
            case Qt.ItemDataRole.AccessibleTextRole:
                return f"{_title(row.variant)}, {size(row.variant.bytes)}, {_detail(row)}"
            case VariantRole.VARIANT:
                return row.variant
            case VariantRole.NOTE:
                return size(row.variant.bytes)
            case VariantRole.DETAIL:
                return _detail(row)
            case VariantRole.TONE:
                return _tone(row)
        return None


def _row(
    variant: Variant,
    repository: Repository,
    verdict_on: VerdictOn,
    headers: Mapping[str, Header],
    here: frozenset[str],
) -> Row:
    first = variant.files[0]
    # quantizations of one model have the same layers, so the header of any tells the memory of its context
    header = headers.get(first.path) or next(iter(headers.values()), None)
    is_model = variant.kind is VariantKind.GGUF
    loaded = variant.bytes if is_model else predicted_bytes(repository, variant, DEFAULT)
    return Row(variant, verdict_on(loaded, header), is_model and first.sha256 in here)


def _title(variant: Variant) -> str:
    if variant.kind is VariantKind.CHECKPOINT:
        return "Checkpoint, to be quantized here"
    return f"{variant.label}, with image input" if variant.mmproj else variant.label


def _detail(row: Row) -> str:
    if row.is_here:
        return "You already have this"
    if row.fit is None:
        return ""
    if row.variant.kind is VariantKind.CHECKPOINT:
        return f"{row.fit.sentence} as {DEFAULT}" if row.fit.runs else row.fit.sentence
    return row.fit.sentence


def _tone(row: Row) -> str:
    if row.is_here:
        return "accent_text"
    if row.fit is None:
        return "muted"
    return "success_text" if row.fit.runs else "warning_text"
