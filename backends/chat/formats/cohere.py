"""Command R7B and A, and Command R+ before them."""

from backends.chat.format import Format
from backends.chat.pattern import Pattern
from backends.chat.syntaxes.objects import Objects

ACTION = Objects(Pattern("<|START_ACTION|>{calls}<|END_ACTION|>"), is_list=True, keys=("tool_name", "parameters"))
FENCED = Objects(Pattern("Action: ```json\n{calls}```"), is_list=True, keys=("tool_name", "parameters"))
FORMATS = (Format("command", (ACTION,)), Format("command-r", (FENCED,), offers=("'Action:'",)))
