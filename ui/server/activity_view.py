"""Who calls the port: what is being answered, with a stop each; which programs have called; and the last requests."""

import time

from PySide6.QtCore import QModelIndex, Qt, QTimer
from PySide6.QtGui import QHideEvent, QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from app.server.core.calls import LEFT, LiveRequest, Logged, SeenCaller
from app.server.core.tally import Phase
from ui.figures import count, rate
from ui.server.moments import ago, clock, duration
from ui.server.pressed_delegate import PressedDelegate
from ui.server.server_desk import ServerDesk
from ui.server.table_model import ROW_ROLE, Column, TableModel
from ui.server.table_view import ShortTable
from ui.theme import Theme
from ui.widgets.labels import label

LOOK_MS = 500
NO_REQUEST = "No request is running. Requests from other programs are listed here while they run."
CLOSED = "The port is closed. Turn it on to let other programs send requests."
NO_CALLER = "No program has called since Slipstream started. Connect shows how to call it."
NO_LOG = "No requests yet."
NO_TEXTS = "The log never holds prompts or answers. It is kept in"
PHASES = {
    Phase.LOADING: "Loading the model",
    Phase.WAITING: "Waiting",
    Phase.READING: "Reading the prompt",
    Phase.ANSWERING: "Answering",
}

LIVE: tuple[Column[LiveRequest], ...] = (
    Column(
        "Program", lambda row: row.client, gives_way=True, tip=lambda row: f"{row.path}, {_who(row.key, row.address)}"
    ),
    Column("Model", lambda row: row.model, gives_way=True, tip=lambda row: row.model),
    Column("State", lambda row: _state(row)),
    Column("Tokens", lambda row: count(row.num_tokens), is_figure=True),
    Column("Speed", lambda row: rate(row.per_second) if row.per_second is not None else "–", is_figure=True),
    Column("", lambda _: "Stop", is_figure=True, tip=lambda _: "Stop this answer (Delete)"),
)
STOP = len(LIVE) - 1
CALLERS: tuple[Column[SeenCaller], ...] = (
    Column("Program", lambda row: row.client, gives_way=True, tip=lambda row: row.client),
    Column(
        "Key or address",
        lambda row: _who(row.key, row.address),
        gives_way=True,
        tip=lambda row: _who(row.key, row.address),
    ),
    Column("Model", lambda row: row.model or "–", gives_way=True, tip=lambda row: row.model),
    Column(
        "Requests",
        lambda row: count(row.num_requests),
        is_figure=True,
        tip=lambda row: f"{count(row.num_refused)} refused",
    ),
    Column("Tokens", lambda row: count(row.num_tokens), is_figure=True),
    Column("Last seen", lambda row: ago(time.time() - row.last_seen), is_figure=True),
)
LOG: tuple[Column[Logged], ...] = (
    Column("Request", lambda row: _request(row), gives_way=True, tip=lambda row: _asked(row)),
    Column("Program", lambda row: row.client, gives_way=True, tip=lambda row: row.client),
    Column("Result", lambda row: _result(row)),
    Column("Tokens", lambda row: count(row.num_tokens) if row.num_tokens else "–", is_figure=True),
    Column("Took", lambda row: duration(row.seconds), is_figure=True),
    Column("At", lambda row: clock(row.ended), is_figure=True),
)


class ActivityView(QWidget):
    def __init__(self, server: ServerDesk, theme: Theme):
        super().__init__()
        self._server = server
        self.live = TableModel(LIVE, lambda row: row.id, self)
        self.callers = TableModel(CALLERS, lambda row: row.id, self)
        self.log = TableModel(LOG, lambda row: row.id, self)
        self.live_table = ShortTable(self.live, "Requests being answered", NO_REQUEST, 6)
        self.callers_table = ShortTable(self.callers, "Programs that have called", NO_CALLER, 6)
        self.log_table = ShortTable(self.log, "Request log", NO_LOG, 10)
        self.live_table.view.setItemDelegateForColumn(STOP, PressedDelegate(theme, self, ends=True))
        self._timer = QTimer(self, interval=LOOK_MS)
        self._stop_key = QShortcut(QKeySequence(Qt.Key.Key_Delete), self.live_table.view)
        self._stop_key.setContext(Qt.ShortcutContext.WidgetShortcut)
        self._lay_out()

        self._timer.timeout.connect(self.refresh)
        self.live_table.view.clicked.connect(self._stop_clicked)
        self._stop_key.activated.connect(lambda: self._stop(self.live_table.view.currentIndex()))
        server.changed.connect(self.refresh)

    def refresh(self) -> None:
        calls = self._server.calls
        self.live_table.say_empty(NO_REQUEST if self._server.address else CLOSED)
        self.live.show_rows(calls.live())
        self.callers.show_rows(calls.callers())
        self.log.show_rows(calls.logged())

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._timer.start()
        self.refresh()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._timer.stop()

    def _stop_clicked(self, index: QModelIndex) -> None:
        if index.column() == STOP:
            self._stop(index)

    def _stop(self, index: QModelIndex) -> None:
        row = index.data(ROW_ROLE) if index.isValid() else None
        if isinstance(row, LiveRequest):
            self._server.stop_request(row.id)

    def _lay_out(self) -> None:
        where = label(f"{NO_TEXTS} {self._server.log_path}", "caption", wraps=True)
        where.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        sections = (("In progress", self.live_table), ("Programs", self.callers_table), ("Request log", self.log_table))
        for title, table in sections:
            layout.addWidget(label(title, "section"))
            layout.addWidget(table)
            layout.addSpacing(16)
        layout.addWidget(where)
        layout.addStretch(1)


def _state(row: LiveRequest) -> str:
    return f"{PHASES[row.phase]}, {row.read:.0%}" if row.read is not None else PHASES[row.phase]


def _who(key: str | None, address: str) -> str:
    if key is not None:
        return f"Key “{key}”"
    return "This machine" if address in ("127.0.0.1", "::1") else address


def _request(row: Logged) -> str:
    return row.path if row.method == "POST" else f"{row.method} {row.path}"  # nearly all of them are POST


def _asked(row: Logged) -> str:
    return f"{row.method} {row.path}: {row.model}" if row.model else f"{row.method} {row.path}"


def _result(row: Logged) -> str:
    if row.is_stopped:
        return "Stopped"
    if row.status == LEFT:
        return "Disconnected"
    return "OK" if row.status < 400 else f"Refused ({row.status})" if row.status < 500 else f"Failed ({row.status})"
