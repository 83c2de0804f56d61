"""How other programs call the port: one ready-made piece for each."""

from PySide6.QtWidgets import QVBoxLayout, QWidget

from ui.server.snippets import SNIPPETS, VARIABLE, Target
from ui.widgets.choice_bar import ChoiceBar
from ui.widgets.code_card import CodeCard
from ui.widgets.labels import label

KEY = f"The key is read from {VARIABLE}. An example holds a key only while a new one is shown."
SHOWN_KEY = "This holds the new key, until you hide it above or press Done."

UNKNOWN_MODEL = "MODEL"
NO_MODEL = f"Load a model to fill in its name for {UNKNOWN_MODEL}."


class ConnectView(QWidget):
    def __init__(self) -> None:
        super().__init__()
        self._target = Target("", "")
        self.programs = ChoiceBar([snippet.program for snippet in SNIPPETS], "choice", 6)
        self.code = CodeCard("Example", 4)
        self._model = label(NO_MODEL, "caption", wraps=True)
        self._key = label(KEY, "caption", wraps=True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(12)
        for widget in (self.programs, self.code, self._model, self._key):
            layout.addWidget(widget)
        layout.addStretch(1)

        self.programs.chosen.connect(self._refresh)

    def show_target(self, target: Target) -> None:
        self._target = target
        self._refresh()

    def _refresh(self) -> None:
        snippet = SNIPPETS[self.programs.index]
        self.code.show_piece(snippet.note, snippet.text(self._target))
        self._model.setVisible(self._target.model == UNKNOWN_MODEL)
        self._key.setText(SHOWN_KEY if self._target.key else KEY)
        self._key.setVisible(self._target.needs_key)
