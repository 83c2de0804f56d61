"""Granite 3; Granite 4 writes as Hermes does."""

from backends.chat.format import Format
from backends.chat.pattern import Pattern
from backends.chat.syntaxes.objects import Objects

FORMATS = (Format("granite", (Objects(Pattern("<|tool_call|>{calls}"), is_list=True),), offers=("<|tool_call|>",)),)
