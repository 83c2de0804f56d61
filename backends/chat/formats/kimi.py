"""Kimi K2."""

from backends.chat.format import Format
from backends.chat.pattern import Pattern
from backends.chat.syntaxes.named import Named

FORMATS = (
    Format(
        "kimi-k2",
        (
            Named(
                Pattern("<|tool_call_begin|>{id}<|tool_call_argument_begin|>{arguments}<|tool_call_end|>"),
                Pattern("<|tool_calls_section_begin|>{calls}<|tool_calls_section_end|>"),
            ),
        ),
        offers=("<|im_system|>tool_declare",),
    ),
)
