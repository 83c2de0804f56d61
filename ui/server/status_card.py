"""Whether the port is open, and where; with the switch."""

from collections.abc import Callable

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication, QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from ui.server.server_desk import ServerDesk
from ui.widgets.copy_button import CopyButton
from ui.widgets.labels import button, label, restyle

CLOSED = "Turn it on to let other programs use your models."
FAILED = "It stopped unexpectedly. You can start it again."
OPENING = "The first start takes a few seconds."

NAME_WIDTH = 84


class StatusCard(QFrame):
    def __init__(self, server: ServerDesk):
        super().__init__()
        self._server = server
        self._stand_in: QWidget | None = None  # has had the focus since the switch could not have it
        self.setProperty("kind", "card")
        self._state = label("", "section")
        self._requests = label("", "caption")
        self.here, self._here = _address("This machine", lambda: f"{server.here}/v1")
        self.elsewhere, self._elsewhere = _address("Your network", lambda: f"{server.elsewhere}/v1")
        self.switch = button("Turn on", "primary")
        texts = QVBoxLayout()
        texts.setSpacing(4)
        for widget in (self._state, self._here, self._elsewhere, self._requests):
            texts.addWidget(widget)
        inside = QHBoxLayout(self)
        inside.setContentsMargins(24, 16, 24, 16)
        inside.addLayout(texts, 1)
        inside.addWidget(self.switch, 0, Qt.AlignmentFlag.AlignVCenter)

        self.switch.clicked.connect(self._turn)
        self.refresh()

    def refresh(self) -> None:
        server = self._server
        is_on = server.address is not None
        has_failed = bool(server.trouble) and not is_on
        self._state.setText(_state(server))
        self.here.setText(f"{server.here}/v1")
        self._here.setVisible(is_on)
        self.elsewhere.setText(f"{server.elsewhere}/v1")
        self._elsewhere.setVisible(server.elsewhere is not None)
        self.switch.setText("Turn off" if is_on else "Start again" if has_failed else "Turn on")
        self.switch.setAccessibleName(f"{self.switch.text()} the server")
        restyle(self.switch, "kind", "" if is_on else "primary")
        self._set_enabled(not server.is_switching)
        self.count()

    def count(self) -> None:
        """The one thing that changes all the time."""
        server = self._server
        if server.is_switching and not server.address:
            self._requests.setText(OPENING if server.settings.serve else "")
            return
        if not server.address:
            self._requests.setText(FAILED if server.trouble else CLOSED)
            return
        number = server.num_requests
        served = "1 request in flight" if number == 1 else f"{number} requests in flight"
        key = "key required" if server.needs_key else "no key required"
        self._requests.setText(f"{served}  ·  {key}")

    def _set_enabled(self, is_enabled: bool) -> None:
        """Its focus comes back to it, unless somebody has taken it elsewhere meanwhile."""
        had_focus = self.switch.hasFocus()
        self.switch.setEnabled(is_enabled)
        if had_focus and not is_enabled:
            self._stand_in = QApplication.focusWidget()
        elif is_enabled and self._stand_in is not None:
            if self._stand_in is QApplication.focusWidget():
                self.switch.setFocus()
            self._stand_in = None

    def _turn(self) -> None:
        if self._server.address:
            self._server.stop()
        else:
            self._server.start()


def _state(server: ServerDesk) -> str:
    if server.is_switching:
        return "Opening the port…" if server.settings.serve else "Closing the port…"
    if server.address:
        return "The port is open"
    return "The port stopped" if server.trouble else "The port is closed"


def _address(where: str, text: Callable[[], str]) -> tuple[QLabel, QWidget]:
    """The label of the address, and the row that it stands in."""
    shown = label("", "lead")
    shown.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    holder = QWidget()
    row = QHBoxLayout(holder)
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(8)
    name = label(where, "caption")
    name.setMinimumWidth(NAME_WIDTH)
    row.addWidget(name)
    row.addWidget(shown)
    row.addWidget(CopyButton(text, f"Copy address for {where[0].lower()}{where[1:]}"))
    row.addStretch(1)
    return shown, holder
