"""Puts one palette on the whole application, and follows the system's scheme when asked to. Knows no widget."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QPalette
from PySide6.QtWidgets import QApplication

from ui.palette import DARK, LIGHT, Palette
from ui.stylesheet import stylesheet

IMAGES = Path(__file__).parent / "images"
LINUX_FAMILIES = ["Inter", "Noto Sans", "Cantarell", "Ubuntu", "DejaVu Sans"]
MONO_FAMILIES = [
    "JetBrains Mono",
    "Cascadia Mono",
    "SF Mono",
    "Menlo",
    "Consolas",
    "Noto Sans Mono",
    "DejaVu Sans Mono",
]
BODY, CAPTION, READING, SECTION, TITLE = 13, 12, 15, 16, 24  # the type scale, in pixels


class Theme(QObject):
    """`choice` is "system", "light" or "dark"."""

    changed = Signal(object)  # Palette

    def __init__(self, application: QApplication, choice: str = "system"):
        super().__init__(application)
        self._application = application
        self._choice = choice
        self.palette = LIGHT
        application.setStyle("Fusion")
        application.setFont(ui_font())
        application.styleHints().colorSchemeChanged.connect(self._apply)
        self._apply()

    def choose(self, choice: str) -> None:
        if choice != self._choice:
            self._choice = choice
            self._apply()

    @contextmanager
    def put_off(self) -> Iterator[None]:
        """For who builds many widgets: they are styled once, at the end.

        With a style sheet, each that is put into another is styled anew with all that it holds.
        """
        sheet = self._application.styleSheet()
        self._application.setStyleSheet("")
        try:
            yield
        finally:
            self._application.setStyleSheet(sheet)

    def _apply(self) -> None:
        self.palette = self._wanted()
        self._application.setPalette(qt_palette(self.palette))
        self._application.setStyleSheet(stylesheet(self.palette, IMAGES))
        self.changed.emit(self.palette)

    def _wanted(self) -> Palette:
        if self._choice != "system":
            return DARK if self._choice == "dark" else LIGHT
        # a platform that does not say (offscreen, some desktops) counts as light
        is_dark = self._application.styleHints().colorScheme() == Qt.ColorScheme.Dark
        return DARK if is_dark else LIGHT


def ui_font() -> QFont:
    font = QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont)
    if sys.platform.startswith("linux"):
        font.setFamilies(LINUX_FAMILIES)
    font.setPixelSize(BODY)
    return font


def mono_font(size: int = BODY) -> QFont:
    font = QFont(MONO_FAMILIES)
    font.setStyleHint(QFont.StyleHint.Monospace)
    font.setFixedPitch(True)
    font.setPixelSize(size)
    return font


def qt_palette(colors: Palette) -> QPalette:
    roles = QPalette.ColorRole
    table = {
        roles.Window: colors.canvas,
        roles.WindowText: colors.text,
        roles.Base: colors.surface,
        roles.AlternateBase: colors.sidebar,
        roles.Text: colors.text,
        roles.Button: colors.surface,
        roles.ButtonText: colors.text,
        roles.BrightText: colors.error_text,
        roles.Highlight: colors.selection,
        roles.HighlightedText: colors.selection_text,
        roles.Link: colors.accent,
        roles.LinkVisited: colors.accent,
        roles.ToolTipBase: colors.text,
        roles.ToolTipText: colors.canvas,
        roles.PlaceholderText: colors.muted,
        roles.Accent: colors.accent,
        roles.Mid: colors.border,
        roles.Midlight: colors.line,
        roles.Light: colors.surface,
        roles.Dark: colors.border,
        roles.Shadow: colors.line,
    }
    palette = QPalette()
    for role, color in table.items():
        palette.setColor(role, QColor(color))
    for role in (roles.WindowText, roles.Text, roles.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, role, QColor(colors.muted))
    return palette
