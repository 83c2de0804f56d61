"""gpt-oss."""

from backends.chat.format import Format
from backends.chat.syntaxes.harmony import Harmony

FORMATS = (Format("harmony", (Harmony(),)),)
