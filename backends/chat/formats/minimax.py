"""MiniMax M1 and M2."""

from backends.chat.format import Format
from backends.chat.pattern import Pattern
from backends.chat.syntaxes.objects import Objects
from backends.chat.syntaxes.tagged import Tagged

FORMATS = (
    Format("minimax-m1", (Objects(Pattern("<tool_calls>\n{calls}\n</tool_calls>")),)),
    Format(
        "minimax-m2",
        (
            Tagged(
                call=Pattern('<invoke name="{name}">\n{arguments}</invoke>'),
                argument=Pattern('<parameter name="{key}">{value}</parameter>\n'),
                around=Pattern("<minimax:tool_call>\n{calls}\n</minimax:tool_call>"),
            ),
        ),
    ),
)
