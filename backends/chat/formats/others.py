"""Formats of one family each, that differ in their marks alone."""

from backends.chat.format import Format
from backends.chat.pattern import Pattern
from backends.chat.syntaxes.named import Named
from backends.chat.syntaxes.objects import Objects
from backends.chat.syntaxes.tagged import Tagged

FORMATS = (
    Format("nemotron-2", (Objects(Pattern("<TOOLCALL>{calls}</TOOLCALL>"), is_list=True),)),
    Format("apriel", (Objects(Pattern("<tool_calls>{calls}</tool_calls>"), is_list=True),)),
    Format("apertus", (Objects(Pattern("<|tools_prefix|>{calls}<|tools_suffix|>"), is_list=True, keys=None),)),
    Format("functools", (Objects(Pattern("functools{calls}"), is_list=True),)),
    Format("functionary-3.1", (Named(Pattern("<function={name}>{arguments}</function>")),)),
    Format(
        "solar",
        (
            Named(
                Pattern(
                    "<|tool_call:begin|>{id}<|tool_call:name|>{name}<|tool_call:args|>{arguments}<|tool_call:end|>"
                ),
                Pattern("<|tool_calls|>{calls}<|calls|>"),
            ),
        ),
    ),
    Format("gigachat-3.1", (Objects(Pattern("<|function_call|>{calls}")),)),
    Format("gigachat-3", (Objects(Pattern("<|message_sep|>\n\nfunction call<|role_sep|>\n{calls}")),)),
    Format(
        "minicpm-5",
        (
            Tagged(
                call=Pattern('<function name="{name}">{arguments}</function>'),
                argument=Pattern('<param name="{key}">{value}</param>'),
                quotes=("<![CDATA[", "]]>"),
            ),
        ),
    ),
)
