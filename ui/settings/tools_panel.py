"""Tools in the settings: those that are built in, and servers, which are added, tested and removed here."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from app.errors import SettingsError, UsageError
from app.tools.secrets import ToolSecrets
from app.tools.servers import Grant, ToolServer, checked
from ui.bridge import Bridge
from ui.settings.server_form import ServerForm
from ui.settings.server_row import ServerRow
from ui.settings.tool_rows import ToolRows
from ui.widgets.labels import button, label

if TYPE_CHECKING:
    from app.services import Services

WHY = "MCP servers give models more tools. They start when a chat wants tools, and each call is asked for."
EMPTY = "No servers yet."


class ToolsPanel(QWidget):
    refused = Signal(str)  # a sentence: it could not be kept, and holds in this run

    def __init__(self, services: "Services", bridge: Bridge):
        super().__init__()
        self._services = services
        self._bridge = bridge
        self._secrets = ToolSecrets()
        self._gone: tuple[ToolServer, tuple[Grant, ...]] | None = None  # removed, and can come back
        self.own = ToolRows(services.toolbox)
        self.add = button("Add server…")
        self.form = ServerForm()
        self.form.hide()
        self._empty = label(EMPTY, "caption")
        self._undo_row, self.undo = QWidget(), button("Undo")
        self._undo_text = label("", "caption", wraps=True)
        self.servers: dict[str, ServerRow] = {}
        self._lay_out()

        self.own.refused.connect(self.refused)
        self.add.clicked.connect(self.form.begin)
        self.form.cancelled.connect(self.form.hide)
        self.form.submitted.connect(self._put)
        self.undo.clicked.connect(self._bring_back)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._refresh()  # a chat changes what tools may do as well

    def hideEvent(self, event: QHideEvent) -> None:
        super().hideEvent(event)
        self._forget_gone()

    def _put(self, server: ToolServer, secrets: Mapping[str, str]) -> None:
        """The secrets first: a server without them would only fail. A keyring takes its time."""
        try:
            checked(server)
            if any(each.name.casefold() == server.name.casefold() for each in self._services.tool_rules.servers):
                raise UsageError(f"There is already a server “{server.name}”. Choose another name.")
        except UsageError as error:
            self.form.complain(str(error))
            return
        if secrets:
            keep = partial(self._secrets.keep, server.name, secrets)
            self._bridge.call(keep, lambda _: self._keep(server), lambda error: self.form.complain(str(error)))
        else:
            self._keep(server)

    def _keep(self, server: ToolServer) -> None:
        try:
            self._services.tool_rules.put(server)
        except UsageError as error:
            self.form.complain(str(error))
            return
        except SettingsError as error:
            self.refused.emit(str(error))
        self.form.hide()
        self._refresh()
        self.servers[server.name].test.setFocus()

    def _switch(self, server: ToolServer, is_on: bool) -> None:
        try:
            self._services.tool_rules.put(replace(server, is_on=is_on), instead_of=server.name)
        except SettingsError as error:
            self.refused.emit(str(error))
        self._let_go()
        self._refresh()

    def _remove(self, server: ToolServer) -> None:
        self._forget_gone()
        grants = tuple(grant for grant in self._services.tool_rules.grants if grant.server == server.name)
        try:
            self._services.tool_rules.remove(server.name)
        except SettingsError as error:
            self.refused.emit(str(error))
        self._gone = server, grants
        self._undo_text.setText(f"“{server.name}” was removed.")
        self._let_go()
        self._refresh()
        self.undo.setFocus()

    def _bring_back(self) -> None:
        if not self._gone:
            return
        (server, grants), self._gone = self._gone, None
        try:
            self._services.tool_rules.put(server)
            for grant in grants:
                self._services.tool_rules.remember(grant)
        except (SettingsError, UsageError) as error:
            self.refused.emit(str(error))
        self._refresh()

    def _forget_gone(self) -> None:
        """The way back has closed: its secrets go as well."""
        gone, self._gone = self._gone, None
        if gone and gone[0].secrets and all(gone[0].name != each.name for each in self._services.tool_rules.servers):
            self._bridge.call(partial(self._secrets.keep, gone[0].name, {}), lambda _: None)
        self._undo_row.hide()

    def _let_go(self) -> None:
        """Of servers that are not wanted any more, which may take their time to end."""
        self._bridge.call(self._services.toolbox.forget, lambda _: None)

    def _refresh(self) -> None:
        self.own.show_tools(self._services.toolbox.built_in())
        while item := self._rows.takeAt(0):
            if widget := item.widget():
                widget.deleteLater()
        self.servers.clear()
        for server in self._services.tool_rules.servers:
            row = ServerRow(server, self._services.toolbox, self._bridge)
            row.switched.connect(self._switch)
            row.removed.connect(self._remove)
            row.tools.refused.connect(self.refused)
            self.servers[server.name] = row
            self._rows.addWidget(row)
        self._empty.setVisible(not self.servers)
        self._undo_row.setVisible(self._gone is not None)

    def _lay_out(self) -> None:
        texts = QVBoxLayout()
        texts.setSpacing(0)
        texts.addWidget(label("Servers", "strong"))
        texts.addWidget(label(WHY, "caption", wraps=True))
        texts.addWidget(self._empty)
        head = QHBoxLayout()
        head.setSpacing(24)
        head.addLayout(texts, 1)
        head.addWidget(self.add)
        undo = QHBoxLayout(self._undo_row)
        undo.setContentsMargins(0, 0, 0, 0)
        undo.addWidget(self._undo_text, 1)
        undo.addWidget(self.undo)
        self._rows = QVBoxLayout()
        self._rows.setSpacing(12)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(12)
        layout.addWidget(self.own)
        layout.addLayout(head)
        layout.addWidget(self.form)
        layout.addWidget(self._undo_row)
        layout.addLayout(self._rows)
