"""The local port for other programs: whether it is open, how to call it, who calls, and who may."""

from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QVBoxLayout, QWidget

from app.errors import PortInUseError
from ui.bridge import Bridge
from ui.engine_desk import EngineDesk
from ui.server.access_view import AccessView
from ui.server.activity_view import ActivityView
from ui.server.connect_view import UNKNOWN_MODEL, ConnectView
from ui.server.key_card import KeyCard
from ui.server.keys_desk import KeysDesk
from ui.server.server_desk import ServerDesk
from ui.server.snippets import Target
from ui.server.status_card import StatusCard
from ui.settings.settings_desk import SettingsDesk
from ui.theme import Theme
from ui.widgets.banner import BannerArea, Tone
from ui.widgets.choice_bar import ChoiceBar
from ui.widgets.page_column import WIDE, PageColumn

if TYPE_CHECKING:
    from app.services import Services

LEAD = "Programs written for OpenAI, Anthropic, Ollama or llama-server can use your models through this port."
COUNT_MS = 500
STOPPED = "the port stopped"
CONNECT, ACTIVITY, ACCESS = range(3)


class ServerPage(QWidget):
    def __init__(
        self,
        services: "Services",
        server: ServerDesk,
        settings: SettingsDesk,
        desk: EngineDesk,
        bridge: Bridge,
        banners: BannerArea,
        theme: Theme,
    ):
        super().__init__()
        self._server = server
        self._desk = desk
        self._banners = banners
        self.keys = KeysDesk(services, server, bridge)
        self.status = StatusCard(server)
        self.key_card = KeyCard()
        self.tabs = ChoiceBar(("Connect", "Activity", "Access"), "tab", 16)
        self.connect_view = ConnectView()
        self.activity = ActivityView(server, theme)
        self.access = AccessView(server, self.keys, settings, theme)
        self._views: tuple[QWidget, ...] = (self.connect_view, self.activity, self.access)
        self._timer = QTimer(self, interval=COUNT_MS)
        self._column = PageColumn("Server", LEAD, WIDE)
        self._lay_out()

        self._timer.timeout.connect(self.status.count)
        self.tabs.chosen.connect(self.show_view)
        self.keys.made.connect(self._show_key)
        self.key_card.changed.connect(self._show_target)
        self.key_card.left.connect(self.tabs.focus)
        server.changed.connect(self._refresh)
        server.port_taken.connect(self._offer_port)
        server.refused.connect(lambda text: banners.show_banner(Tone.ERROR, text))
        server.failed.connect(self._offer_start)
        desk.changed.connect(self._show_target)
        self._refresh()

    def show_view(self, number: int) -> None:
        for each, view in enumerate(self._views):
            view.setVisible(each == number)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._timer.start()
        self._refresh()

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._timer.stop()

    def _refresh(self) -> None:
        if self._server.address:
            self._banners.withdraw(STOPPED)
        self.status.refresh()
        self._show_target()

    def _show_target(self) -> None:
        model = self._desk.handle.name if self._desk.handle else self._server.settings.last_model or UNKNOWN_MODEL
        address = self._server.elsewhere or self._server.here
        self.connect_view.show_target(Target(address, model, self._server.needs_key, self.key_card.seen_key))

    def _show_key(self, name: str, key: str) -> None:
        self.key_card.show_new(name, key)
        QTimer.singleShot(0, self, self._scroll_to_key)  # once it has its place

    def _scroll_to_key(self) -> None:
        self._column.ensureWidgetVisible(self.key_card)

    def _offer_start(self, text: str) -> None:
        self._banners.show_banner(Tone.ERROR, text, [("Start again", self._server.start)], topic=STOPPED)

    def _offer_port(self, error: PortInUseError) -> None:
        actions = []
        if error.next_free is not None:
            port = error.next_free
            actions.append((f"Use {port}", lambda: self._server.start_at(port)))
        self._banners.show_banner(Tone.WARNING, str(error), actions)

    def _lay_out(self) -> None:
        column = self._column
        for widget in (self.status, self.key_card, self.tabs, *self._views):
            column.rows.addWidget(widget)
        column.rows.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(column)
        self.show_view(CONNECT)
