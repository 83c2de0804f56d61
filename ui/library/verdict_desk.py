"""Finds out on a worker whether the models of the library run here, while somebody looks. Knows no widget."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject

from app.planner.verdict import Verdict
from ui.bridge import Bridge
from ui.library.models_model import ModelsModel

if TYPE_CHECKING:
    from app.services import Services

PATIENCE = 0.5  # seconds that one look may take; what is found meanwhile is shown


class VerdictDesk(QObject):
    def __init__(self, services: "Services", bridge: Bridge, models: ModelsModel):
        super().__init__(bridge)
        self._services = services
        self._bridge = bridge
        self._models = models
        self._is_looking = False

    def look(self) -> None:
        """Where machine, settings and files are as before, it costs nothing."""
        if self._is_looking or not self._models.offered:
            return
        self._is_looking = True
        entries = [entry for entry in self._models.entries if entry.is_offered]
        self._bridge.call(partial(self._services.outlook.of_all, entries, PATIENCE), self._take, self._fail)

    def _take(self, found: dict[Path, Verdict]) -> None:
        self._is_looking = False
        is_growing = len(found) > len(self._models.verdicts)
        self._models.show_verdicts(found)
        if is_growing:
            self.look()

    def _fail(self, _: Exception) -> None:
        self._is_looking = False
