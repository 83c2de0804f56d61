"""The window's keyboard shortcuts, in one table."""

from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QWidget


@dataclass(frozen=True, slots=True)
class Shortcut:
    title: str
    keys: tuple[str, ...]
    do: Callable[[], object]


def add_shortcuts(window: QWidget, shortcuts: tuple[Shortcut, ...]) -> None:
    for shortcut in shortcuts:
        action = QAction(shortcut.title, window)
        action.setShortcuts([QKeySequence(keys) for keys in shortcut.keys])
        action.triggered.connect(lambda _checked=False, do=shortcut.do: do())
        window.addAction(action)
