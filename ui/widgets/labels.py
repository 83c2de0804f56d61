"""Labels, buttons and rules that know their place in the style sheet."""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QLabel, QPushButton, QWidget

from ui.plain import unmarked


def label(text: str, kind: str = "", *, wraps: bool = False) -> QLabel:
    result = QLabel(text)
    result.setTextFormat(Qt.TextFormat.PlainText)
    result.setProperty("kind", kind)
    result.setWordWrap(wraps)
    return result


def button(text: str, kind: str = "", name: str = "") -> QPushButton:
    result = QPushButton(unmarked(text))
    result.setProperty("kind", kind)
    result.setAutoDefault(False)
    result.setCursor(Qt.CursorShape.PointingHandCursor)
    result.setAccessibleName(name or text)
    return result


def rule(is_vertical: bool = False) -> QFrame:
    result = QFrame()
    result.setProperty("kind", "rule")
    if is_vertical:
        result.setFixedWidth(1)
    else:
        result.setFixedHeight(1)
    return result


def restyle(widget: QWidget, name: str, value: object) -> None:
    """Set a property that the style sheet looks at."""
    if widget.property(name) != value:
        widget.setProperty(name, value)
        widget.style().unpolish(widget)
        widget.style().polish(widget)
