"""The one door through which the window changes settings: what the disk does not take is said. Knows no widget."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

from app.errors import SettingsError

if TYPE_CHECKING:
    from app.services import Services
    from app.settings import Settings

PATIENCE = 0.5  # seconds that the window waits for a command that writes


class SettingsDesk(QObject):
    refused = Signal(str)  # a sentence: it could not be kept, and holds in this run

    def __init__(self, services: "Services", parent: QObject):
        super().__init__(parent)
        self._services = services

    @property
    def settings(self) -> "Settings":
        return self._services.settings

    def set(self, **values: Any) -> bool:
        """Whether any of them was another before."""
        before = self._services.settings
        if all(getattr(before, name) == value for name, value in values.items()):
            return False
        self.change(lambda settings: replace(settings, **values))
        return True

    def change(self, change: "Callable[[Settings], Settings]") -> None:
        """Of what the disk says now: a command may have changed other settings meanwhile."""
        try:
            self._services.change_settings(change, PATIENCE)
        except SettingsError as error:
            self.refused.emit(f"{error} Your choice holds until Slipstream is closed.")
