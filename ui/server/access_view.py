"""Who may call the port: its number, other computers, keys, names and web pages, encryption."""

from functools import partial

from PySide6.QtWidgets import QCheckBox, QHBoxLayout, QVBoxLayout, QWidget

from app.access import host_from, origin_from
from ui.server.keys_desk import KeysDesk
from ui.server.keys_panel import KeysPanel
from ui.server.names_row import NamesRow
from ui.server.server_desk import ServerDesk
from ui.server.tls_row import TlsRow
from ui.settings.fields import Field, Number
from ui.settings.settings_desk import SettingsDesk
from ui.theme import Theme
from ui.widgets.labels import label

PORT = "Changing it stops running answers."
SHARED = "Programs on your network can connect. Every program needs a key then, those of this machine too."
LOCAL = "Programs on this machine need a key, also while no other computer can connect."
WIDTH = 712  # a control stays near what it is for
HOSTS = "How containers, Tailscale or a proxy name this machine. “*” allows any name while a key is required."
ORIGINS = "Web pages and browser or editor extensions that may call. All others are refused."


class AccessView(QWidget):
    def __init__(self, server: ServerDesk, keys: KeysDesk, settings: SettingsDesk, theme: Theme):
        super().__init__()
        self._server = server
        self._keys = keys
        self.port = Number(1, 65_535, server.settings.port)
        self.port.setGroupSeparatorShown(False)
        self.port.setButtonSymbols(Number.ButtonSymbols.NoButtons)  # each step would move an open port
        self.shared = QCheckBox("Allowed")
        self.local = QCheckBox("Required")
        self.keys_panel = KeysPanel(keys, server, theme)
        self.hosts = NamesRow("Host names", HOSTS, "desk.tailnet.ts.net", host_from)
        self.origins = NamesRow("Web pages", ORIGINS, "http://localhost:3000", origin_from)
        self.tls = TlsRow(server)
        self._lay_out()

        self.port.picked.connect(server.move_to)
        self.shared.clicked.connect(keys.share)
        self.local.clicked.connect(keys.require)
        self.hosts.changed.connect(partial(self._allow, settings, "allow_hosts"))
        self.origins.changed.connect(partial(self._allow, settings, "allow_origins"))
        server.changed.connect(self.refresh)
        server.stayed.connect(self._show_port)
        keys.changed.connect(self.refresh)
        self.refresh()

    def _show_port(self) -> None:
        self.port.blockSignals(True)
        self.port.setValue(self._server.settings.port)
        self.port.blockSignals(False)

    def refresh(self) -> None:
        settings = self._server.settings
        if not self.port.hasFocus():
            self._show_port()
        self.shared.setChecked(self._server.is_shared)
        self.local.setChecked(self._server.is_shared or self._keys.is_required)
        self.local.setEnabled(not self._server.is_shared)
        self.hosts.show_names(settings.allow_hosts)
        self.origins.show_names(settings.allow_origins)
        self.tls.refresh()

    def _allow(self, settings: SettingsDesk, field: str, names: tuple[str, ...]) -> None:
        settings.set(**{field: names})
        self.refresh()

    def _lay_out(self) -> None:
        column = QWidget()
        column.setMaximumWidth(WIDTH)
        layout = QVBoxLayout(column)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(16)
        layout.addWidget(Field("Port", PORT, self.port))
        layout.addWidget(Field("Other computers", SHARED, self.shared))
        layout.addWidget(Field("Key on this machine", LOCAL, self.local))
        layout.addWidget(label("API keys", "section"))
        layout.addWidget(self.keys_panel)
        layout.addWidget(label("Allowed names", "section"))
        for row in (self.hosts, self.origins):
            layout.addWidget(row)
        layout.addWidget(label("Encryption", "section"))
        layout.addWidget(self.tls)
        layout.addStretch(1)
        outer = QHBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(column, 1000)
        outer.addStretch(1)
