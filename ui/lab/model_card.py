"""The card of one model of the library, ready to be placed: the view and its desk in one widget."""

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QVBoxLayout, QWidget

from ui.bridge import Bridge
from ui.lab.card_desk import CardDesk
from ui.lab.card_view import CardView

if TYPE_CHECKING:
    from app.library.entry import ModelEntry
    from app.services import Services


class ModelCard(QWidget):
    """`show_entry` for each model that is chosen; hidden for what cannot be measured."""

    def __init__(self, services: "Services", bridge: Bridge):
        super().__init__()
        self.desk = CardDesk(services, bridge)
        self.view = CardView()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.view)

        self.view.measure_clicked.connect(self.desk.measure)
        self.view.cancel_clicked.connect(self.desk.cancel)
        self.desk.changed.connect(self._refresh)

    def show_entry(self, entry: "ModelEntry | None", entries: "list[ModelEntry]") -> None:
        """entries: the whole library, for a file to compare with."""
        self.setVisible(entry is not None and not entry.is_checkpoint)
        self.desk.look_at(entry, entries)

    def _refresh(self) -> None:
        self.view.show_card(self.desk.card, self.desk.against.path.name if self.desk.against else None)
        self.view.show_job(self.desk.job)
