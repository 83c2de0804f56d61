"""A table as high as its rows need, up to a number of them; without any, a sentence stands in its place."""

from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QAbstractItemView, QFrame, QHeaderView, QTableView, QVBoxLayout, QWidget

from ui.server.table_model import TableModel
from ui.widgets.labels import label

ROW_HEIGHT, HEAD_HEIGHT = 32, 32
MAX_WIDTH = 176  # of a column that does not give way


class ShortTable(QWidget):
    def __init__(self, model: TableModel[Any], name: str, empty: str, most: int):
        """empty: what to do, while there is nothing. most: rows that are seen at once."""
        super().__init__()
        self._model = model
        self._most = most
        self.view = QTableView()
        self.empty = label(empty, "muted", wraps=True)
        self._lay_out(name)

        model.modelReset.connect(self._fit)
        self._fit()

    def say_empty(self, text: str) -> None:
        self.empty.setText(text)

    def _fit(self) -> None:
        num_rows = len(self._model.rows)
        self.view.setVisible(num_rows > 0)
        self.empty.setVisible(num_rows == 0)
        self.view.setFixedHeight(HEAD_HEIGHT + ROW_HEIGHT * min(num_rows, self._most) + 2)

    def _lay_out(self, name: str) -> None:
        view = self.view
        view.setModel(self._model)
        view.setProperty("kind", "short")
        view.setAccessibleName(name)
        view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        view.setTabKeyNavigation(False)
        view.setShowGrid(False)
        view.setWordWrap(False)
        view.setTextElideMode(Qt.TextElideMode.ElideMiddle)  # names of models differ at their ends
        view.setFrameShape(QFrame.Shape.NoFrame)
        view.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        rows, head = view.verticalHeader(), view.horizontalHeader()
        rows.hide()
        rows.setDefaultSectionSize(ROW_HEIGHT)
        head.setFixedHeight(HEAD_HEIGHT)
        head.setHighlightSections(False)
        head.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        head.setMaximumSectionSize(MAX_WIDTH)
        for number, column in enumerate(self._model.columns):
            if column.gives_way:
                head.setSectionResizeMode(number, QHeaderView.ResizeMode.Stretch)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.empty)
        layout.addWidget(view)
