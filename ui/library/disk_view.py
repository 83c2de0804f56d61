"""Where the disk went: all models as areas, whose they are, and what lies there more than once."""

from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from app.library.usage import disk_use
from ui.bridge import Bridge
from ui.figures import size
from ui.library.models_model import ModelsModel
from ui.library.treemap import Treemap, ground
from ui.palette import Palette
from ui.theme import Theme
from ui.widgets.flow_layout import FlowLayout
from ui.widgets.labels import button, label

if TYPE_CHECKING:
    from app.library.duplicates import Duplicates
    from app.library.entry import ModelEntry
    from app.library.usage import Share
    from app.services import Services

MAX_GROUPS = 8


class DiskView(QFrame):
    chosen = Signal(object)  # ModelEntry
    check_wanted = Signal(object)  # list of ModelEntry: of one size, not hashed yet

    def __init__(self, services: "Services", bridge: Bridge, models: ModelsModel, theme: Theme):
        super().__init__()
        self._services = services
        self._bridge = bridge
        self._models = models
        self._theme = theme
        self._shares: list[Share] = []
        self._suspects: list[ModelEntry] = []
        self.setProperty("kind", "card")
        self._total = label("", "section")
        self.map = Treemap(theme)
        self._colors = QWidget()
        self._legend = FlowLayout(self._colors, 8)
        self.doubles = label("", wraps=True)
        self.compare = button("Compare them")
        self._lay_out()

        self.map.chosen.connect(self.chosen)
        self.compare.clicked.connect(self._compare)
        theme.changed.connect(self._show_legend)

    def refresh(self) -> None:
        """Measured on a worker: it asks the disk for every file."""
        self._bridge.call(partial(disk_use, list(self._models.entries)), self._show_use)
        self._bridge.call(self._services.library.duplicates, self._show_doubles, lambda _: None)

    def _show_use(self, shares: "list[Share]") -> None:
        self._shares = shares
        count = sum(len(share.models) for share in shares)
        models = "1 model" if count == 1 else f"{count} models"
        self._total.setText(f"{models} on {size(sum(share.bytes for share in shares))}")
        self.map.show_shares(shares)
        self._show_legend(self._theme.palette)

    def _show_legend(self, colors: Palette) -> None:
        while item := self._legend.takeAt(0):
            if widget := item.widget():
                widget.deleteLater()
        for share in self._shares:
            self._legend.addWidget(_legend(share, ground(share.origin, colors).name()))

    def _show_doubles(self, found: "Duplicates") -> None:
        lines = []
        for group in found.groups[:MAX_GROUPS]:
            places = ", ".join(dict.fromkeys(entry.origin.label for entry in group.entries))
            lines.append(f"{group.entries[0].name}: {len(group.entries)} times ({places}), {size(group.wasted)} to win")
        self._suspects = [entry for same in found.suspects for entry in same if entry.sha256 is None]
        if not lines and not self._suspects:
            lines.append("No duplicates found")
        if self._suspects:
            count = len(self._suspects)
            files = "1 file has" if count == 1 else f"{count} files have"
            lines.append(f"{files} the same size as another; comparing them reads each to its end.")
        self.doubles.setText("\n".join(lines))
        self.compare.setVisible(bool(self._suspects))
        self.compare.setEnabled(True)

    def _compare(self) -> None:
        self.compare.setEnabled(False)  # a second click would read them all twice
        self.check_wanted.emit(self._suspects)

    def _lay_out(self) -> None:
        lower = QHBoxLayout()
        lower.setSpacing(16)
        lower.addWidget(self.doubles, 1)
        lower.addWidget(self.compare)
        self.compare.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(24, 24, 24, 24)
        layout.setSpacing(16)
        layout.addWidget(self._total)
        layout.addWidget(self.map, 1)
        layout.addWidget(self._colors)
        layout.addWidget(label("Duplicates", "section"))
        layout.addLayout(lower)


def _legend(share: "Share", color: str) -> QWidget:
    result = QWidget()
    row = QHBoxLayout(result)
    row.setContentsMargins(0, 0, 8, 0)
    row.setSpacing(6)
    row.addWidget(_swatch(color))
    row.addWidget(label(f"{share.origin.label}  {size(share.bytes)}", "caption"))
    return result


def _swatch(color: str) -> QLabel:
    result = label("")
    result.setFixedSize(12, 12)
    result.setStyleSheet(f"background: {color}; border-radius: 3px;")
    return result
