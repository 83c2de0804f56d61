"""What tools may do: a choice for each. Their names and descriptions are strangers' words."""

from functools import partial

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QVBoxLayout, QWidget

from app.errors import SettingsError
from app.tools.servers import Permission
from app.tools.toolbox import Offered, Toolbox
from backends.bounds import as_name
from ui.settings.fields import Choice, Field

PERMISSIONS = (("Ask", Permission.ASK), ("Always", Permission.ALWAYS), ("Never", Permission.NEVER))
MAX_DESCRIPTION = 200  # characters


class ToolRows(QWidget):
    refused = Signal(str)  # a sentence: the choice could not be kept

    def __init__(self, toolbox: Toolbox):
        super().__init__()
        self._toolbox = toolbox
        self.choices: dict[str, Choice] = {}
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(8)

    def show_tools(self, tools: tuple[Offered, ...]) -> None:
        """In place of those before."""
        self.choices.clear()
        while item := self._layout.takeAt(0):
            if widget := item.widget():
                widget.deleteLater()
        for offered in tools:
            choice = Choice(PERMISSIONS, self._toolbox.permission(offered))
            choice.picked.connect(partial(self._allow, offered))
            self.choices[offered.name] = choice
            self._layout.addWidget(Field(as_name(offered.name), _line(offered.tool.description), choice))

    def _allow(self, offered: Offered, permission: Permission) -> None:
        try:
            self._toolbox.allow(offered, permission)
        except SettingsError as error:
            self.refused.emit(str(error))


def _line(description: str) -> str:
    line = " ".join(description.split())
    return line if len(line) <= MAX_DESCRIPTION else f"{line[:MAX_DESCRIPTION]}…"
