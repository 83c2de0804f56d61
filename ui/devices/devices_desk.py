"""What `slipstream doctor` knows, looked at on a worker. Knows no widget."""

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from ui.bridge import Bridge

if TYPE_CHECKING:
    from app.builds.doctor import Findings
    from app.services import Services


class DevicesDesk(QObject):
    changed = Signal()
    failed = Signal(str)  # a sentence

    def __init__(self, services: "Services", bridge: Bridge):
        super().__init__(bridge)
        self._services = services
        self._bridge = bridge
        self._looks_again = False
        self.is_looking = False
        self.findings: Findings | None = None

    def look(self) -> None:
        """Some seconds: each build is asked in a process of its own."""
        if self.is_looking:
            self._looks_again = True
            return
        self.is_looking, self._looks_again = True, False
        self._bridge.call(self._services.examine, self._take, self._fail)
        self.changed.emit()

    def _take(self, findings: "Findings") -> None:
        self.is_looking = False
        self.findings = findings
        self.changed.emit()
        if self._looks_again:
            self.look()

    def _fail(self, error: Exception) -> None:
        self.is_looking = False
        self.failed.emit(str(error))
        self.changed.emit()
