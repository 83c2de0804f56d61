"""For templates that know no tools: a format that most models have met, asked for in words."""

from backends.chat.format import Format
from backends.chat.formats.hermes import TOOL_CALL
from backends.chat.pattern import Pattern
from backends.chat.syntaxes.objects import Objects
from backends.chat.syntaxes.pythonic import Pythonic

FORMATS = (
    Format(
        "generic", (TOOL_CALL, Objects(is_bare=True), Pythonic(Pattern("```tool_code\n{calls}\n```"), is_list=False))
    ),
)
