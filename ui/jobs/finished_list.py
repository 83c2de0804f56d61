"""The list of what has arrived, and what can be done with the one that is chosen."""

from PySide6.QtCore import QItemSelectionModel, Signal, SignalInstance
from PySide6.QtWidgets import QFrame, QHBoxLayout, QListView, QVBoxLayout, QWidget

from ui.jobs.finished_model import Finished, FinishedModel, FinishedRole
from ui.theme import Theme
from ui.widgets.labels import button, label
from ui.widgets.row_delegate import RowDelegate

ROW_HEIGHT = 56
MAX_ROWS = 6  # seen at once; the list scrolls


class FinishedList(QWidget):
    show_clicked = Signal(str)  # a model's id
    chat_clicked = Signal(str)
    cleared = Signal()

    def __init__(self, theme: Theme):
        super().__init__()
        self.model = FinishedModel()
        self.view = QListView()
        self.view.setModel(self.model)
        self.view.setItemDelegate(RowDelegate(theme, FinishedRole.NOTE, FinishedRole.DETAIL, self.view))
        self.view.setAccessibleName("Finished")
        self.view.setFrameShape(QFrame.Shape.NoFrame)
        self.view.setUniformItemSizes(True)
        self.show_model = button("Show in Models")
        self.chat = button("Chat", "primary")
        self.clear = button("Clear list", "quiet")
        self._lay_out()

        self.show_model.clicked.connect(lambda: self._tell(self.show_clicked))
        self.chat.clicked.connect(lambda: self._tell(self.chat_clicked))
        self.clear.clicked.connect(self.cleared)
        self.view.selectionModel().currentChanged.connect(self._refresh)
        theme.changed.connect(self.view.viewport().update)
        self._refresh()

    def add(self, finished: Finished) -> None:
        """Chosen if nothing is: a row that a person has chosen is not taken from under their hand."""
        self.model.add(finished)
        if not self.view.currentIndex().isValid():
            flag = QItemSelectionModel.SelectionFlag.ClearAndSelect
            self.view.selectionModel().setCurrentIndex(self.model.index(0), flag)
        self._refresh()

    def has(self, job_id: int) -> bool:
        return any(finished.job_id == job_id for finished in self.model.rows)

    def empty(self) -> list[int]:
        """The ids of the jobs that were listed."""
        ids = [finished.job_id for finished in self.model.rows]
        self.model.clear()
        self._refresh()
        return ids

    def _chosen(self) -> Finished | None:
        finished: Finished | None = self.view.currentIndex().data(FinishedRole.FINISHED)
        return finished

    def _tell(self, signal: SignalInstance) -> None:
        finished = self._chosen()
        if finished and finished.model_id:
            signal.emit(finished.model_id)

    def _refresh(self) -> None:
        finished = self._chosen()
        for widget in (self.show_model, self.chat):
            widget.setEnabled(finished is not None and finished.model_id is not None)
        self.view.setFixedHeight(ROW_HEIGHT * min(MAX_ROWS, self.model.rowCount()))
        self.setVisible(self.model.rowCount() > 0)

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.setSpacing(8)
        for widget in (self.chat, self.show_model):
            buttons.addWidget(widget)
        buttons.addStretch(1)
        buttons.addWidget(self.clear)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(label("Finished", "section"))
        layout.addWidget(self.view)
        layout.addLayout(buttons)
