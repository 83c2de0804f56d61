"""One repository: what it is, which of its models run here, and its card. Nothing in it loads from afar."""

from PySide6.QtCore import QItemSelectionModel, Qt, QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QFrame, QHBoxLayout, QListView, QScrollArea, QVBoxLayout, QWidget

from app.errors import HubError, HubFault
from app.hub.repository import Gate, Variant
from app.planner.fit import fit
from app.planner.machine import Machine
from app.planner.verdict import Verdict
from backends.formats.gguf import Header
from backends.protocol import EngineOptions
from ui.hub.card_view import CardView
from ui.hub.gate_card import GateCard
from ui.hub.install_bar import InstallBar
from ui.hub.notices import wants_access
from ui.hub.repository_desk import RepositoryDesk
from ui.hub.variants_model import VariantRole, VariantsModel
from ui.hub.words import figures
from ui.theme import Theme
from ui.widgets.labels import button, label, rule
from ui.widgets.row_delegate import RowDelegate

ROW_HEIGHT = 56
CARD_GAP = 16
NOTHING = "There is nothing here that Slipstream can run: no GGUF file, and no checkpoint of a language model."
GATED = "This repository is gated. Request access on Hugging Face, then enter your access token here."


class RepositoryPane(QWidget):
    install_clicked = Signal(object, object, object)  # Repository, Variant, str | None
    show_clicked = Signal(str)  # SHA-256 of a file of the library

    def __init__(self, desk: RepositoryDesk, theme: Theme):
        super().__init__()
        self._desk = desk
        self._machine: Machine | None = None
        self._options: EngineOptions | None = None
        self._here: frozenset[str] = frozenset()
        self._problems: dict[str, str] = {}  # by path: what its header says against it
        self._name = label("", "section", wraps=True)
        self._figures = label("", "muted", wraps=True)
        self._license = label("", "muted", wraps=True)
        self.read = button("Model card", "link")
        self.page = button("View on Hugging Face", "link")
        self.gate = GateCard()
        self._heading = label("Choose a file", "strong", wraps=True)
        self.variants = VariantsModel(self)
        self.view = QListView()
        self.bar = InstallBar()
        self.card = CardView(theme.palette)
        self._lay_out(theme)

        self.read.clicked.connect(lambda: self._scroll.verticalScrollBar().setValue(self.card.y() - CARD_GAP))
        self.page.clicked.connect(self._open_page)
        self.view.selectionModel().currentChanged.connect(self._choose)
        self.bar.clicked.connect(self._install)
        self.bar.show_clicked.connect(self.show_clicked)
        self.gate.token_entered.connect(desk.use_token)
        desk.noted.connect(self.gate.show_note)
        desk.opened.connect(self._show)
        desk.header_read.connect(self._refresh)
        desk.header_failed.connect(self._take_header_fault)
        theme.changed.connect(self.card.recolor)
        theme.changed.connect(self.view.viewport().update)

    @property
    def variant(self) -> Variant | None:
        index = self.view.currentIndex()
        return index.data(VariantRole.VARIANT) if index.isValid() else None

    def take_ground(self, machine: Machine, options: EngineOptions) -> None:
        """options: what a model would be loaded with."""
        self._machine, self._options = machine, options
        self._refresh()

    def take_library(self, hashes: frozenset[str]) -> None:
        self._here = hashes
        self._refresh()

    def _show(self) -> None:
        repository = self._desk.repository
        assert repository is not None
        self._problems = {}
        self._scroll.verticalScrollBar().setValue(0)
        self._name.setText(repository.id.replace("/", "/\u200b"))  # a place to break a long name at
        self._license.setText(f"License: {repository.license or 'not named'}")
        self.gate.setVisible(False)
        if repository.gate is not Gate.NO:
            self.gate.show_gate(GATED, repository.page)
        self.card.show_card(repository.card or "*This repository has no card.*")
        self._refresh()
        best = self.variants.best()
        if best is not None:
            self.view.selectionModel().setCurrentIndex(
                self.variants.index(best), QItemSelectionModel.SelectionFlag.ClearAndSelect
            )
        self._choose()

    def _refresh(self) -> None:
        repository = self._desk.repository
        if repository is None:
            return
        header = next(iter(self._desk.headers.values()), None)
        self._figures.setText(figures(repository, header.number("context_length") if header else None))
        self.variants.show_variants(repository, self._verdict_on, self._desk.headers, self._here)
        num_rows = self.variants.rowCount()
        self.view.setFixedHeight(num_rows * ROW_HEIGHT)  # the pane scrolls, not the list in it
        self.view.setVisible(num_rows > 0)
        self._heading.setText("Choose a file" if num_rows else NOTHING)
        self._show_bar()

    def _choose(self) -> None:
        variant = self.variant
        if variant:
            self._desk.peek(variant)
        self._show_bar()

    def _show_bar(self) -> None:
        index, repository = self.view.currentIndex(), self._desk.repository
        self.bar.setVisible(index.isValid() and repository is not None)
        if index.isValid() and repository is not None:
            row = self.variants.rows[index.row()]
            problem = self._problems.get(row.variant.files[0].path, "")
            self.bar.show_variant(repository, row.variant, self._verdict_on, row.is_here, problem)

    def _verdict_on(self, num_bytes: int, header: Header | None = None) -> Verdict | None:
        return fit(num_bytes, self._machine, header, self._options) if self._machine else None

    def _take_header_fault(self, path: str, error: HubError) -> None:
        if wants_access(error):
            self.gate.show_gate(str(error), error.link or "")
        elif error.kind is HubFault.BROKEN:
            self._problems[path] = str(error)
        self._show_bar()

    def _install(self, quantization: str | None) -> None:
        if self._desk.repository and self.variant:
            self.install_clicked.emit(self._desk.repository, self.variant, quantization)

    def _open_page(self) -> None:
        if self._desk.repository:
            QDesktopServices.openUrl(QUrl(self._desk.repository.page))

    def _prepare_list(self, theme: Theme) -> None:
        self.view.setModel(self.variants)
        self.view.setItemDelegate(
            RowDelegate(theme, VariantRole.NOTE, VariantRole.DETAIL, self.view, tone_role=VariantRole.TONE)
        )
        self.view.setAccessibleName("Files to install")
        self.view.setFrameShape(QFrame.Shape.NoFrame)
        self.view.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.view.setUniformItemSizes(True)
        self.view.setMouseTracking(True)

    def _lay_out(self, theme: Theme) -> None:
        self._scroll = QScrollArea()
        self._scroll.setWidgetResizable(True)
        self._scroll.setFrameShape(QFrame.Shape.NoFrame)
        self._scroll.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._prepare_list(theme)
        links = QHBoxLayout()
        links.setSpacing(16)
        links.addWidget(self._license, 1)
        links.addWidget(self.read)
        links.addWidget(self.page)
        column = QWidget()
        column.setProperty("kind", "transparent")
        layout = QVBoxLayout(column)
        layout.setContentsMargins(0, 0, 16, 16)
        layout.setSpacing(8)
        layout.addWidget(self._name)
        layout.addWidget(self._figures)
        layout.addLayout(links)
        layout.addSpacing(8)
        layout.addWidget(self.gate)
        layout.addWidget(self._heading)
        layout.addWidget(self.view)
        layout.addSpacing(8)
        layout.addWidget(rule())
        layout.addSpacing(8)
        layout.addWidget(self.card)
        layout.addStretch(1)
        self._scroll.setWidget(column)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(8)
        whole.addWidget(self._scroll, 1)
        whole.addWidget(rule())
        whole.addWidget(self.bar)
