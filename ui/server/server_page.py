"""The local port for other programs: on or off, where it is, its key, and how to call it."""

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLineEdit, QVBoxLayout, QWidget

from app.errors import PortInUseError
from ui.engine_desk import EngineDesk
from ui.server.server_desk import ServerDesk
from ui.server.snippets import curl, openai_python
from ui.widgets.banner import BannerArea, Tone
from ui.widgets.code_card import CodeCard
from ui.widgets.copy_button import CopyButton
from ui.widgets.labels import button, label, restyle
from ui.widgets.page_column import PageColumn

if TYPE_CHECKING:
    from app.services import Services

COUNT_MS = 500
STOPPED = "the port stopped"


class ServerPage(QWidget):
    def __init__(self, services: "Services", server: ServerDesk, desk: EngineDesk, banners: BannerArea):
        super().__init__()
        self._services = services
        self._server = server
        self._desk = desk
        self._banners = banners
        self._state = label("", "section")
        self._address = label("", "lead")
        self._address.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._requests = label("", "caption")
        self.switch = button("Turn on", "primary")
        self._copy = CopyButton(lambda: f"{self._base()}/v1", "Copy address")
        self._key = QLineEdit(readOnly=True, placeholderText="No key: every program on this machine may call")
        self._key.setAccessibleName("API key")
        self._key.setEchoMode(QLineEdit.EchoMode.Password)
        self._show_key = button("Show", name="Show API key")
        self._copy_key = CopyButton(self._key.text, "Copy API key")
        self._new_key = button("New key", name="New API key")
        self._no_key = button("No key", name="Remove API key")
        self._curl = CodeCard("curl", 4)
        self._python = CodeCard("openai-python", 11)
        self._timer = QTimer(self, interval=COUNT_MS)
        self._lay_out()

        self.switch.clicked.connect(self._turn)
        self._show_key.clicked.connect(self._turn_key)
        self._new_key.clicked.connect(server.renew_key)
        self._no_key.clicked.connect(server.drop_key)
        self._timer.timeout.connect(self._count)
        server.changed.connect(self._refresh)
        server.port_taken.connect(self._offer_port)
        server.refused.connect(lambda text: banners.show_banner(Tone.ERROR, text))
        server.failed.connect(self._offer_start)
        desk.changed.connect(self._refresh)
        self._refresh()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._timer.start()
        self._refresh()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._timer.stop()

    def _base(self) -> str:
        return self._server.address or f"http://127.0.0.1:{self._services.settings.port}"

    def _turn(self) -> None:
        if self._server.address:
            self._server.stop()
        else:
            self._server.start()

    def _turn_key(self) -> None:
        is_hidden = self._key.echoMode() is QLineEdit.EchoMode.Password
        mode = QLineEdit.EchoMode.Normal if is_hidden else QLineEdit.EchoMode.Password
        self._key.setEchoMode(mode)
        self._show_key.setText("Hide" if is_hidden else "Show")

    def _refresh(self) -> None:
        is_on = self._server.address is not None
        if is_on:
            self._banners.withdraw(STOPPED)
        has_failed = bool(self._server.trouble) and not is_on
        self._state.setText("The port is open" if is_on else "The port stopped" if has_failed else "The port is closed")
        self._address.setText(f"{self._base()}/v1")
        self.switch.setText("Turn off" if is_on else "Start again" if has_failed else "Turn on")
        self.switch.setAccessibleName(f"{self.switch.text()} the server")
        restyle(self.switch, "kind", "" if is_on else "primary")
        self.switch.setEnabled(not self._server.is_switching)
        self._copy.setVisible(is_on)
        key = self._services.settings.api_key
        self._key.setText(key or "")
        for widget in (self._show_key, self._copy_key, self._no_key):
            widget.setVisible(bool(key))
        model = self._desk.handle.name if self._desk.handle else "MODEL"
        self._curl.set_text(curl(self._base(), model, key))
        self._python.set_text(openai_python(self._base(), model, key))
        self._count()

    def _count(self) -> None:
        number = self._server.num_requests
        served = "1 request in flight" if number == 1 else f"{number} requests in flight"
        is_off = "Only programs on this machine can reach it"
        closed = "It stopped by itself and can be started again" if self._server.trouble else is_off
        self._requests.setText(served if self._server.address else closed)

    def _offer_start(self, text: str) -> None:
        self._banners.show_banner(Tone.ERROR, text, [("Start again", self._server.start)], topic=STOPPED)

    def _offer_port(self, error: PortInUseError) -> None:
        actions = []
        if error.next_free is not None:
            port = error.next_free
            actions.append((f"Use {port}", lambda: self._server.start_at(port)))
        self._banners.show_banner(Tone.WARNING, str(error), actions)

    def _lay_out(self) -> None:
        card = QFrame()
        card.setProperty("kind", "card")
        state = QVBoxLayout()
        state.setSpacing(4)
        where = QHBoxLayout()
        where.setSpacing(8)
        where.addWidget(self._address)
        where.addWidget(self._copy)
        where.addStretch(1)
        state.addWidget(self._state)
        state.addLayout(where)
        state.addWidget(self._requests)
        inside = QHBoxLayout(card)
        inside.setContentsMargins(24, 16, 24, 16)
        inside.addLayout(state, 1)
        inside.addWidget(self.switch, 0, Qt.AlignmentFlag.AlignVCenter)
        keys = QHBoxLayout()
        keys.setSpacing(8)
        keys.addWidget(self._key, 1)
        for widget in (self._show_key, self._copy_key, self._new_key, self._no_key):
            keys.addWidget(widget)
        lead = "An OpenAI-compatible port: any program that speaks to OpenAI can use your model."
        column = PageColumn("Server", lead)
        column.rows.addWidget(card)
        column.rows.addWidget(label("API key", "section"))
        column.rows.addLayout(keys)
        column.rows.addWidget(label("How to call it", "section"))
        column.rows.addWidget(self._curl)
        column.rows.addWidget(self._python)
        column.rows.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(column)
