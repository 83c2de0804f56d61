"""What the page shows in place of a list: where to begin, nothing found, no network. One sentence and a way on."""

from collections.abc import Sequence

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QVBoxLayout, QWidget

from app.errors import HubError, HubFault, SlipstreamError
from ui.widgets.flow_layout import FlowLayout
from ui.widgets.labels import button, label

STARTS = ("Qwen3 GGUF", "Llama 3.2 GGUF", "Gemma 3 GGUF", "SmolLM2", "Mistral", "Phi-4 GGUF")


class Beginning(QWidget):
    chosen = Signal(str)

    def __init__(self, starts: Sequence[str] = STARTS):
        super().__init__()
        chips = QWidget()
        row = FlowLayout(chips, 8)
        for text in starts:
            chip = button(text, "chip", name=f"Search {text}")
            chip.clicked.connect(lambda _checked=False, text=text: self.chosen.emit(text))
            row.addWidget(chip)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 16, 0, 0)
        layout.setSpacing(16)
        layout.addWidget(
            label("Type a model's name, its maker or its size. Or begin with one of these:", "lead", wraps=True)
        )
        layout.addWidget(chips)
        layout.addStretch(1)


class NothingFound(QWidget):
    def __init__(self) -> None:
        super().__init__()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        layout.addWidget(label("Nothing found", "section"))
        layout.addWidget(
            label(
                "The Hub looks for the words in a repository's name. Try fewer words, or set a facet back to “any”.",
                "muted",
                wraps=True,
            )
        )
        layout.addStretch(1)


class Trouble(QFrame):
    """An error in place of what was asked for, with a way to ask again."""

    retry_clicked = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("kind", "banner-warning")
        self._text = label("", wraps=True)
        self._text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.retry = button("Retry")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(16, 8, 8, 8)
        layout.setSpacing(8)
        layout.addWidget(self._text, 1)
        layout.addWidget(self.retry, 0, Qt.AlignmentFlag.AlignTop)

        self.retry.clicked.connect(self.retry_clicked)

    @property
    def text(self) -> str:
        return self._text.text()

    def show_error(self, error: Exception) -> None:
        self._text.setText(sentence(error))
        self.setAccessibleName(self._text.text())


def sentence(error: Exception) -> str:
    if isinstance(error, SlipstreamError):
        return str(error)
    return f"Something went wrong here ({type(error).__name__}). The log has the details."


def wants_access(error: Exception) -> bool:
    return isinstance(error, HubError) and error.kind in (HubFault.GATED, HubFault.UNAUTHORIZED)


def at_top(widget: QWidget) -> QWidget:
    """The widget alone in a page of its own."""
    page = QWidget()
    layout = QVBoxLayout(page)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.addWidget(widget)
    layout.addStretch(1)
    return page
