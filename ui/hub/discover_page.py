"""Discover: a search over the Hub at the left, the repository that is looked at on the right."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QListView, QStackedWidget, QVBoxLayout, QWidget

from app.errors import SlipstreamError
from app.hub.repository import Repository, Variant
from app.jobs.install_request import InstallRequest
from app.planner.machine import Machine
from backends.protocol import EngineOptions
from ui.bridge import Bridge
from ui.hub.gate_card import GateCard
from ui.hub.notices import Beginning, NothingFound, Trouble, at_top, sentence, wants_access
from ui.hub.repository_desk import RepositoryDesk
from ui.hub.repository_pane import RepositoryPane
from ui.hub.results_model import ResultRole, ResultsModel
from ui.hub.search_bar import SearchBar
from ui.library.models_model import ModelsModel
from ui.theme import Theme
from ui.widgets.labels import button, label
from ui.widgets.row_delegate import RowDelegate

if TYPE_CHECKING:
    from app.services import Services

LIST_WIDTH = 336
HITS, NOTHING, TROUBLE = range(3)
BEGINNING, SEARCH = range(2)
HINT, LOADING, OPENED, LOST, SHUT = range(5)


class DiscoverPage(QWidget):
    install_wanted = Signal(object)  # InstallRequest
    show_wanted = Signal(str)  # SHA-256 of a file of the library
    refused = Signal(str)

    def __init__(
        self,
        services: "Services",
        bridge: Bridge,
        models: ModelsModel,
        theme: Theme,
        read_ground: Callable[[], tuple[Machine, EngineOptions]] | None = None,
    ):
        """read_ground: what verdicts stand on; None: what all others do."""
        super().__init__()
        self._services = services
        self._bridge = bridge
        self._models = models
        self._read_ground = read_ground or self._look_at_ground
        self.results = ResultsModel(services.hub, bridge)
        self.desk = RepositoryDesk(services.hub, services.tokens, bridge)
        self.bar = SearchBar()
        self.view = QListView()
        self.status = label("", "caption", wraps=True)
        self.again = button("Retry", "link")
        self.beginning = Beginning()
        self.trouble = Trouble()
        self.pane = RepositoryPane(self.desk, theme)
        self.lost = Trouble()
        self.gate = GateCard()
        self._loading = label("", "muted", wraps=True)
        self._lay_out(theme)
        self._connect()
        theme.changed.connect(self.view.viewport().update)

    def close_down(self) -> None:
        """End what is under way, so that nobody waits for a server that is silent."""
        self._services.hub.close()

    def _connect(self) -> None:
        self.bar.asked.connect(self.results.search)
        self.bar.emptied.connect(self._empty)
        self.beginning.chosen.connect(self.bar.look_for)
        self.results.began.connect(self._show_search)
        self.results.arrived.connect(self._show_hits)
        self.results.failed.connect(self._show_trouble)
        self.trouble.retry_clicked.connect(self.results.retry)
        self.again.clicked.connect(self.results.retry)
        self.view.selectionModel().currentChanged.connect(self._open)
        self.desk.began.connect(self._show_loading)
        self.desk.opened.connect(lambda: self._right.setCurrentIndex(OPENED))
        self.desk.failed.connect(self._show_lost)
        self.desk.noted.connect(self.gate.show_note)
        self.lost.retry_clicked.connect(self.desk.retry)
        self.gate.token_entered.connect(self.desk.use_token)
        self.pane.install_clicked.connect(self._install)
        self.pane.show_clicked.connect(self.show_wanted)
        self._models.refreshed.connect(self._take_library)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        self._bridge.call(self._read_ground, lambda ground: self.pane.take_ground(*ground))
        self.bar.edit.setFocus(Qt.FocusReason.OtherFocusReason)

    def _look_at_ground(self) -> tuple[Machine, EngineOptions]:
        """On a worker."""
        return self._services.outlook.ground(self._services.settings.engine_options())

    def _empty(self) -> None:
        self.results.clear()
        self._whole.setCurrentIndex(BEGINNING)

    def _show_search(self) -> None:
        self._whole.setCurrentIndex(SEARCH)
        self._say("Searching…")

    def _show_hits(self) -> None:
        num_hits = len(self.results.hits)
        more = ". More come as you scroll." if self.results.canFetchMore(self.view.rootIndex()) else ""
        self._say(f"{num_hits} {'model' if num_hits == 1 else 'models'}{more}" if num_hits else "")
        self._left.setCurrentIndex(HITS if num_hits else NOTHING)
        self._right.setVisible(num_hits > 0)
        self._find_again()

    def _show_trouble(self, error: Exception) -> None:
        """In place of an empty list; what was found already stays, with a word above it."""
        self.trouble.show_error(error)
        self._say(sentence(error) if self.results.hits else "", has_retry=True)
        self._left.setCurrentIndex(HITS if self.results.hits else TROUBLE)
        self._find_again()

    def _say(self, text: str, has_retry: bool = False) -> None:
        self.status.setText(text)
        self.status.setVisible(bool(text))
        self.again.setVisible(bool(text) and has_retry)

    def _open(self) -> None:
        index = self.view.currentIndex()
        if index.isValid():
            id_ = index.data(ResultRole.SUMMARY).id
            if id_ != self.desk.asked:
                self.desk.open(id_)
        else:
            self.desk.close()
            self._right.setCurrentIndex(HINT)

    def _find_again(self) -> None:
        """A new list has no current row: what is open stays so while it is among the hits, else it is closed."""
        if self.view.currentIndex().isValid():
            return
        row = self.results.row_of(self.desk.asked)
        if row is None:
            self._open()
        else:
            self.view.setCurrentIndex(self.results.index(row))

    def _show_loading(self, name: str) -> None:
        self._loading.setText(f"Reading {name}…")
        self._right.setCurrentIndex(LOADING)

    def _show_lost(self, error: Exception) -> None:
        if wants_access(error):
            self.gate.show_gate(sentence(error), getattr(error, "link", "") or "")
            self._right.setCurrentIndex(SHUT)
        else:
            self.lost.show_error(error)
            self._right.setCurrentIndex(LOST)

    def _take_library(self) -> None:
        self.pane.take_library(frozenset(entry.sha256 for entry in self._models.entries if entry.sha256))

    def _install(self, repository: Repository, variant: Variant, quantization: str | None) -> None:
        try:
            self.install_wanted.emit(InstallRequest.of(repository, variant, quantization))
        except SlipstreamError as error:
            self.refused.emit(str(error))

    def _lay_out(self, theme: Theme) -> None:
        self.view.setModel(self.results)
        self.view.setItemDelegate(RowDelegate(theme, ResultRole.NOTE, ResultRole.DETAIL, self.view))
        self.view.setAccessibleName("Models of the Hub")
        self.view.setFrameShape(QFrame.Shape.NoFrame)
        self.view.setUniformItemSizes(True)
        self.view.setMouseTracking(True)
        self._left = _stack(self.view, NothingFound(), at_top(self.trouble))
        hint = label("Choose a model to see its files, and which of them run on this machine.", "muted", wraps=True)
        self._right = _stack(at_top(hint), at_top(self._loading), self.pane, at_top(self.lost), at_top(self.gate))
        left_side = QWidget()
        left_side.setFixedWidth(LIST_WIDTH)
        left = QVBoxLayout(left_side)
        left.setContentsMargins(0, 0, 0, 0)
        left.setSpacing(8)
        left.addWidget(self.status)
        left.addWidget(self.again, 0, Qt.AlignmentFlag.AlignLeft)
        left.addWidget(self._left, 1)
        search = QWidget()
        row = QHBoxLayout(search)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(24)
        row.addWidget(left_side)
        row.addWidget(self._right, 1)
        self._whole = _stack(self.beginning, search)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(32, 24, 32, 24)
        layout.setSpacing(16)
        layout.addWidget(self.bar)
        layout.addWidget(self._whole, 1)


def _stack(*widgets: QWidget) -> QStackedWidget:
    result = QStackedWidget()
    for widget in widgets:
        result.addWidget(widget)
    return result
