"""A few words in a row of which one is chosen."""

from collections.abc import Sequence

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QButtonGroup, QWidget

from ui.widgets.flow_layout import FlowLayout
from ui.widgets.labels import button


class ChoiceBar(QWidget):
    chosen = Signal(int)

    def __init__(self, words: Sequence[str], kind: str, gap: int):
        """kind: of the buttons, for the style sheet."""
        super().__init__()
        self._group = QButtonGroup(self)
        layout = FlowLayout(self, gap)
        for number, word in enumerate(words):
            each = button(word, kind)
            each.setCheckable(True)
            self._group.addButton(each, number)
            layout.addWidget(each)
        self._group.button(0).setChecked(True)

        self._group.idClicked.connect(self.chosen)

    def focus(self) -> None:
        """On the word that is chosen."""
        self._group.button(self.index).setFocus()

    @property
    def index(self) -> int:
        return self._group.checkedId()
