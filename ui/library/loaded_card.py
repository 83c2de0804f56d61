"""The models that are loaded, by the window or by programs: what each takes, who uses it; pins and unloads them."""

from typing import TYPE_CHECKING

from PySide6.QtCore import QModelIndex, Qt, QTimer
from PySide6.QtGui import QHideEvent, QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from app.inference.engine_handle import EngineState
from ui.figures import UNKNOWN, rate, size
from ui.library.loaded_desk import LoadedDesk
from ui.server.pressed_delegate import PressedDelegate
from ui.server.table_model import ROW_ROLE, Column, TableModel
from ui.server.table_view import ShortTable
from ui.theme import Theme
from ui.widgets.labels import label

if TYPE_CHECKING:
    from app.residency.residency import Loaded

LOOK_MS = 500
MOST = 5  # rows that are seen at once
MINUTE = 60.0
PIN_TIP = "A pinned model stays loaded; others make room for what is asked for (P)"
NOBODY = "–"


class LoadedCard(QFrame):
    """Hidden while nothing is loaded."""

    def __init__(self, desk: LoadedDesk, theme: Theme):
        super().__init__()
        self._desk = desk
        self.setProperty("kind", "card")
        self.model = TableModel(COLUMNS, lambda row: row.snapshot.name, self)
        self.table = ShortTable(self.model, "Loaded models", "", MOST)
        self._room = label("", "caption")
        view = self.table.view
        for number in (PIN, UNLOAD):
            view.setItemDelegateForColumn(number, PressedDelegate(theme, self, ends=number == UNLOAD))
        self._unload_key = QShortcut(QKeySequence(Qt.Key.Key_Delete), view)
        self._pin_key = QShortcut(QKeySequence(Qt.Key.Key_P), view)
        for key in (self._unload_key, self._pin_key):
            key.setContext(Qt.ShortcutContext.WidgetShortcut)
        self._timer = QTimer(self, interval=LOOK_MS)
        self._lay_out()

        self._timer.timeout.connect(self.refresh)
        view.clicked.connect(self._press)
        self._unload_key.activated.connect(lambda: self._act(view.currentIndex(), UNLOAD))
        self._pin_key.activated.connect(lambda: self._act(view.currentIndex(), PIN))
        desk.changed.connect(self.refresh)
        self.hide()  # until it has its place in a window

    def refresh(self) -> None:
        rows = self._desk.loaded()
        self.model.show_rows(rows)
        self.setVisible(bool(rows))
        if rows:
            self._room.setText(self._desk.room())

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._timer.start()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._timer.stop()

    def _press(self, index: QModelIndex) -> None:
        self._act(index, index.column())

    def _act(self, index: QModelIndex, column: int) -> None:
        row: Loaded | None = index.data(ROW_ROLE) if index.isValid() else None
        if row is None:
            return
        if column == UNLOAD:
            self._desk.unload(row.snapshot.name)
        elif column == PIN:
            self._desk.pin(row.snapshot.name, not row.is_pinned)

    def _lay_out(self) -> None:
        head = QWidget()
        titles = QHBoxLayout(head)
        titles.setContentsMargins(0, 0, 0, 0)
        titles.addWidget(label("Loaded", "section"))
        titles.addStretch(1)
        titles.addWidget(self._room)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 12, 16, 12)
        layout.setSpacing(4)
        layout.addWidget(head)
        layout.addWidget(self.table)


def _state(row: "Loaded") -> str:
    snapshot = row.snapshot
    if snapshot.state is EngineState.LOADING:
        return "Waits for memory" if snapshot.waits else f"Loading {snapshot.fraction:.0%}"
    if snapshot.state is not EngineState.READY:
        return "Failed"
    return "No answer" if snapshot.is_silent else "In use" if row.is_busy else "Idle"


def _state_tip(row: "Loaded") -> str:
    if row.snapshot.error or row.snapshot.waits:
        return row.snapshot.error or row.snapshot.waits
    if row.leaves is None or row.is_busy:
        return _state(row)
    return f"Unloaded in {max(1, round(row.leaves / MINUTE))} min if nobody asks it for anything"


def _device(row: "Loaded") -> str:
    return row.snapshot.ready.device if row.snapshot.ready else UNKNOWN


def _memory(row: "Loaded") -> str:
    """Where it lies; of several devices the one that has most of it."""
    device = max(row.cost, key=lambda each: row.cost[each], default=None)
    if device is None:
        return UNKNOWN
    taken = size(row.taken[device]) if device in row.taken else NOBODY
    return f"{taken} of {size(row.cost[device])}"


def _memory_tip(row: "Loaded") -> str:
    lines = [f"{device}: holds {size(row.taken.get(device))}, may take {size(row.cost[device])}" for device in row.cost]
    return "\n".join(lines)


COLUMNS: tuple[Column["Loaded"], ...] = (
    Column("Model", lambda row: row.snapshot.name, gives_way=True, tip=lambda row: row.snapshot.name),
    Column("State", _state, gives_way=True, tip=_state_tip),
    Column("Runs on", _device, tip=_device),
    Column("Memory", _memory, is_figure=True, tip=_memory_tip),
    Column("Speed", lambda row: NOBODY if row.snapshot.speed is None else rate(row.snapshot.speed), is_figure=True),
    Column("Used by", lambda row: ", ".join(row.users) or NOBODY, tip=lambda row: "\n".join(row.users)),
    Column("", lambda row: "Unpin" if row.is_pinned else "Pin", is_figure=True, tip=lambda _: PIN_TIP),
    Column(
        "",
        lambda row: "Cancel" if row.snapshot.state is EngineState.LOADING else "Unload",
        is_figure=True,
        tip=lambda row: "Ends what it answers now (Delete)" if row.is_busy else "Gives its memory back (Delete)",
    ),
)
PIN, UNLOAD = len(COLUMNS) - 2, len(COLUMNS) - 1
