"""Phi-4-mini."""

from backends.chat.format import Format
from backends.chat.pattern import Pattern
from backends.chat.syntaxes.objects import Objects

FORMATS = (
    Format(
        "phi-4",
        (
            Objects(Pattern("<|tool_call|>{calls}<|/tool_call|>"), is_list=True),
            Objects(Pattern("functools{calls}"), is_list=True),
        ),
        offers=("<|tool|>",),
    ),
)
