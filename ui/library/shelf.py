"""The left side of the models page: search, filter, order, and the list."""

from PySide6.QtCore import QItemSelectionModel, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLineEdit, QListView, QVBoxLayout, QWidget

from app.library.entry import ModelEntry
from app.library.origin import Origin
from ui.library.models_model import ModelRole, ModelsModel
from ui.library.shelf_model import ALL, FAVOURITES, Order, ShelfModel
from ui.settings.fields import Choice
from ui.theme import Theme
from ui.widgets.labels import label
from ui.widgets.row_delegate import RowDelegate

LEAST_WIDTH, WIDTH = 256, 360
FILTERS = (("All models", ALL), ("Favourites", FAVOURITES), *((origin.label, origin.value) for origin in Origin))


class Shelf(QWidget):
    chosen = Signal()  # another model, or none, is the current one
    load_wanted = Signal(object)  # ModelEntry

    def __init__(self, models: ModelsModel, theme: Theme):
        super().__init__()
        self.model = ShelfModel(models)
        self._current: str | None = None
        self._place: int | None = None  # where the list was scrolled to, if its current row was out of sight
        self.filter = QLineEdit(placeholderText="Filter models")
        self.filter.setAccessibleName("Filter models")
        self.filter.setClearButtonEnabled(True)
        self.only = Choice(FILTERS, ALL)
        self.only.setAccessibleName("Show")
        self.order = Choice([(order.value, order) for order in Order], Order.NAME)
        self.order.setAccessibleName("Sort by")
        self.view = QListView()
        self._nothing = label("No model is like that.", "muted", wraps=True)
        self._lay_out(theme)

        self.filter.textChanged.connect(self.model.search)
        self.only.picked.connect(self.model.show_only)
        self.order.picked.connect(self.model.sort_by)
        self.view.selectionModel().currentChanged.connect(self._remember)
        self.view.doubleClicked.connect(lambda index: self.load_wanted.emit(index.data(ModelRole.ENTRY)))
        self.model.modelAboutToBeReset.connect(self._keep_place)
        self.model.modelReset.connect(self._restore)
        theme.changed.connect(self.view.viewport().update)
        self._restore()

    @property
    def entry(self) -> ModelEntry | None:
        index = self.view.currentIndex()
        return index.data(ModelRole.ENTRY) if index.isValid() else None

    def choose(self, model_id: str) -> None:
        """Bring a model before the person's eyes, whatever the filter says."""
        self.filter.clear()
        self.only.setCurrentIndex(0)
        self.model.show_only(ALL)
        self._current, self._place = model_id, None
        self._restore()

    def _remember(self) -> None:
        entry = self.entry
        if entry is not None:
            self._current = entry.id
        self.chosen.emit()

    def _keep_place(self) -> None:
        seen = self.view.visualRect(self.view.currentIndex()).intersects(self.view.viewport().rect())
        self._place = None if seen else self.view.verticalScrollBar().value()

    def _restore(self) -> None:
        """The list was made anew: the same model stays chosen, else the first one is, and what was seen stays seen."""
        row = max(0, self.model.row_of(self._current)) if self._current else 0
        self._nothing.setVisible(not self.model.entries)
        self.view.setVisible(bool(self.model.entries))
        if not self.model.entries:
            self.chosen.emit()
            return
        index = self.model.index(row)
        self.view.selectionModel().setCurrentIndex(index, QItemSelectionModel.SelectionFlag.ClearAndSelect)
        if self._place is None:
            self.view.scrollTo(index)
        else:
            self.view.verticalScrollBar().setValue(self._place)
        self.chosen.emit()

    def _lay_out(self, theme: Theme) -> None:
        self.view.setModel(self.model)
        self.view.setItemDelegate(
            RowDelegate(
                theme, ModelRole.NOTE, ModelRole.DETAIL, self.view, tag_role=ModelRole.TAG, tone_role=ModelRole.TONE
            )
        )
        self.view.setAccessibleName("Models")
        self.view.setFrameShape(QFrame.Shape.NoFrame)
        self.view.setUniformItemSizes(True)
        self.view.setMouseTracking(True)
        choices = QHBoxLayout()
        choices.setSpacing(8)
        choices.addWidget(self.only, 3)
        choices.addWidget(self.order, 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(self.filter)
        layout.addLayout(choices)
        layout.addWidget(self.view, 1)
        layout.addWidget(self._nothing)
        layout.addStretch(0)
        self.setMinimumWidth(LEAST_WIDTH)
        self.setMaximumWidth(WIDTH)
