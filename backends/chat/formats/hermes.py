"""Hermes, Qwen 2.5 and 3, and the many that follow them."""

from backends.chat.format import Format
from backends.chat.pattern import Pattern
from backends.chat.syntaxes.objects import Objects

TOOL_CALL = Objects(Pattern("<tool_call>\n{calls}\n</tool_call>"), is_repeated=True)
FORMATS = (Format("hermes", (TOOL_CALL,), offers=("<tool_call>\n{",)),)
