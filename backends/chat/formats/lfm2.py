"""LFM2."""

from backends.chat.format import Format
from backends.chat.pattern import Pattern
from backends.chat.syntaxes.pythonic import Pythonic

FORMATS = (
    Format(
        "lfm2",
        (Pythonic(Pattern("<|tool_call_start|>{calls}<|tool_call_end|>")), Pythonic(is_bare=True)),
        offers=("<|tool_list_start|>", "List of tools: ["),
    ),
)
