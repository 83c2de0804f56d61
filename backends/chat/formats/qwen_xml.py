"""Qwen3-Coder, Qwen 3.5, Nemotron 3, Step 3.5 and Seed-OSS: each argument in tags of its own."""

from backends.chat.format import Format
from backends.chat.pattern import Pattern
from backends.chat.syntaxes.tagged import Tagged

FORMATS = (
    Format(
        "qwen-xml",
        (
            Tagged(
                call=Pattern("<tool_call>\n<function={name}>\n{arguments}</function>\n</tool_call>"),
                argument=Pattern("<parameter={key}>\n{value}\n</parameter>\n"),
            ),
        ),
    ),
    Format(
        "seed",
        (
            Tagged(
                call=Pattern("<seed:tool_call>\n<function={name}>\n{arguments}</function>\n</seed:tool_call>"),
                argument=Pattern("<parameter={key}>{value}</parameter>\n"),
            ),
        ),
    ),
)
