"""The table of the benchmark's runs, newest first."""

from datetime import datetime
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QPersistentModelIndex, Qt

from ui.figures import UNKNOWN
from ui.plain import plain_tip

if TYPE_CHECKING:
    from app.bench.history import Run

Index = QModelIndex | QPersistentModelIndex
ROOT = QModelIndex()
RUN_ROLE = Qt.ItemDataRole.UserRole + 1
BUSY = "Other programs were at work: do not trust these figures."
FOREIGN = "Brought in from another machine."


class Column(IntEnum):
    MEASURED, MODEL, ANSWER, PROMPT, LIMIT, BUILD, MACHINE = range(7)


TITLES = {
    Column.MEASURED: "Measured",
    Column.MODEL: "Model",
    Column.ANSWER: "Answer,\ntokens/s",
    Column.PROMPT: "Prompt,\ntokens/s",
    Column.LIMIT: "Of the\nmemory's limit",
    Column.BUILD: "Build",
    Column.MACHINE: "Machine",
}
NUMBERS = (Column.ANSWER, Column.PROMPT, Column.LIMIT)


class RunsModel(QAbstractTableModel):
    def __init__(self) -> None:
        super().__init__()
        self.runs: list[Run] = []

    def set_runs(self, runs: "list[Run]") -> None:
        if runs != self.runs:
            self.beginResetModel()
            self.runs = runs
            self.endResetModel()

    def rowCount(self, parent: Index = ROOT) -> int:
        return 0 if parent.isValid() else len(self.runs)

    def columnCount(self, parent: Index = ROOT) -> int:
        return 0 if parent.isValid() else len(Column)

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if orientation is not Qt.Orientation.Horizontal or not 0 <= section < len(Column):
            return None
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return _alignment(section)
        return TITLES[Column(section)] if role == Qt.ItemDataRole.DisplayRole else None

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        run = self.runs[index.row()]
        match role:
            case Qt.ItemDataRole.DisplayRole:
                return _text(run, Column(index.column()))
            case Qt.ItemDataRole.ToolTipRole:
                return plain_tip("\n".join(notes)) if (notes := _notes(run)) else None
            case Qt.ItemDataRole.TextAlignmentRole:
                return _alignment(index.column())
            case int(value) if value == RUN_ROLE:
                return run
        return None


def _text(run: "Run", column: Column) -> str:
    subject = run.figures.subject
    match column:
        case Column.MEASURED:
            when = f"{datetime.fromisoformat(subject.measured):%Y-%m-%d %H:%M}"
            return f"{when} (busy)" if run.figures.is_busy else when
        case Column.MODEL:
            return run.title
        case Column.ANSWER:
            return UNKNOWN if run.speed is None else f"{run.speed:,.1f}"
        case Column.PROMPT:
            readings = run.figures.readings
            return f"{readings[0].speed.median:,.0f}" if readings else UNKNOWN
        case Column.LIMIT:
            answers = run.figures.answers
            share = run.figures.share(answers[0]) if answers else None
            return UNKNOWN if share is None else f"{share:.0%}"
        case Column.BUILD:
            return subject.build
        case Column.MACHINE:
            return subject.machine


def _notes(run: "Run") -> list[str]:
    notes = [BUSY] if run.figures.is_busy else []
    return [*notes, FOREIGN] if run.is_foreign else notes


def _alignment(section: int) -> Qt.AlignmentFlag:
    side = Qt.AlignmentFlag.AlignRight if section in NUMBERS else Qt.AlignmentFlag.AlignLeft
    return side | Qt.AlignmentFlag.AlignVCenter
