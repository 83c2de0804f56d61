"""SmolLM3, which can be asked for Hermes' calls or for Python's."""

from backends.chat.format import Format
from backends.chat.formats.hermes import TOOL_CALL
from backends.chat.pattern import Pattern
from backends.chat.syntaxes.pythonic import Pythonic

PYTHON = Pythonic(Pattern("<code>\n{calls}\n</code>"), is_list=False)
FORMATS = (Format("smollm3", (TOOL_CALL, PYTHON), offers=("### Tools",)),)
