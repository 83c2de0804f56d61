"""GLM 4.5 to 4.7, Ling 3, Spark, Laguna and Hunyuan: the name, then keys and values in turn."""

from backends.chat.format import Format
from backends.chat.pattern import Pattern
from backends.chat.syntaxes.tagged import Tagged

LINES = Tagged(
    call=Pattern("<tool_call>{name}\n{arguments}</tool_call>"),
    argument=Pattern("<arg_key>{key}</arg_key>\n<arg_value>{value}</arg_value>\n"),
)
ONE_LINE = Tagged(
    call=Pattern("<tool_call>{name}{arguments}</tool_call>"),
    argument=Pattern("<arg_key>{key}</arg_key><arg_value>{value}</arg_value>"),
    between="",
)
HUNYUAN = Tagged(
    call=Pattern("<tool_call:opensource>{name}<tool_sep:opensource>\n{arguments}</tool_call:opensource>"),
    argument=Pattern(
        "<arg_key:opensource>{key}</arg_key:opensource>\n<arg_value:opensource>{value}</arg_value:opensource>\n"
    ),
    around=Pattern("<tool_calls:opensource>\n{calls}\n</tool_calls:opensource>"),
)
FORMATS = (Format("glm", (LINES,)), Format("glm-4.7", (ONE_LINE,)), Format("hunyuan", (HUNYUAN,)))
