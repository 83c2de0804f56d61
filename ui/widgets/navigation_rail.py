"""The pages' names down the left side."""

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QButtonGroup, QLabel, QToolButton, QVBoxLayout, QWidget

from ui.icons import icon
from ui.palette import Palette
from ui.theme import Theme
from ui.widgets.labels import label

WIDTH = 96


class NavigationRail(QWidget):
    chosen = Signal(int)

    def __init__(self, theme: Theme):
        super().__init__()
        self._theme = theme
        self._icons: list[str] = []
        self._badges: dict[int, QLabel] = {}
        self._group = QButtonGroup(self)
        self.setProperty("kind", "rail-area")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        self.setFixedWidth(WIDTH)
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(3, 16, 3, 16)
        self._layout.setSpacing(8)
        self._layout.addStretch(1)

        self._group.idClicked.connect(self.chosen)
        self._group.idToggled.connect(lambda: self._recolor(theme.palette))
        theme.changed.connect(self._recolor)

    def add_page(self, name: str, icon_name: str, shortcut: str) -> None:
        number = len(self._icons)
        self._icons.append(icon_name)
        entry = QToolButton()
        entry.setText(name)
        entry.setCheckable(True)
        entry.setProperty("kind", "rail")
        entry.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        entry.setIconSize(QSize(22, 22))
        entry.setFixedSize(90, 56)
        entry.setAccessibleName(name)
        entry.setToolTip(f"{name} ({shortcut})")
        entry.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self._group.addButton(entry, number)
        self._layout.insertWidget(number, entry)
        self._recolor(self._theme.palette)

    def select(self, number: int) -> None:
        self._group.button(number).setChecked(True)

    def set_badge(self, number: int, count: int) -> None:
        """A small count at a page's icon; none for 0."""
        entry = self._group.button(number)
        badge = self._badges.get(number)
        if badge is None:
            badge = self._badges[number] = label("", "badge")
            badge.setParent(entry)
            badge.setAlignment(Qt.AlignmentFlag.AlignCenter)
            badge.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
            badge.setGeometry(49, 4, 16, 16)
        badge.setText(str(min(count, 9)))
        badge.setVisible(count > 0)
        name = entry.text()
        entry.setAccessibleName(f"{name}, {count} at work" if count else name)

    def _recolor(self, colors: Palette) -> None:
        for number, name in enumerate(self._icons):
            entry = self._group.button(number)
            entry.setIcon(icon(name, colors.accent_text if entry.isChecked() else colors.muted, 22))
