"""Whether the model may call tools in this chat: off until a person turns it on."""

from PySide6.QtWidgets import QCheckBox

NAME = "Tools"
OFFER = "The model may ask to use tools: a calculator, a clock, and those of the servers in Settings"
UNKNOWN = "This model's chat template takes no tools. Choose a model that was made for them."
NO_MODEL = "Choose a model first"


class ToolsSwitch(QCheckBox):
    def __init__(self) -> None:
        super().__init__(NAME)
        self.set_possible(None)

    def set_possible(self, takes_tools: bool | None) -> None:
        """None: no model is loaded. The choice outlives a model that takes none."""
        self.setEnabled(bool(takes_tools))
        self.setText("Tools: not with this model" if takes_tools is False else NAME)
        sentence = NO_MODEL if takes_tools is None else OFFER if takes_tools else UNKNOWN
        self.setToolTip(sentence)
        self.setAccessibleDescription(sentence)
