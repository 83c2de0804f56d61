"""Gemma 4. Gemma 3 was taught no format, and is asked for the generic one."""

from backends.chat.format import Format
from backends.chat.pattern import Pattern
from backends.chat.syntaxes.gemma import Gemma

FORMATS = (Format("gemma-4", (Gemma(Pattern("<|tool_call>call:{name}{arguments}<tool_call|>")),)),)
