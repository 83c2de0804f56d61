"""Llama 3.x and 4: bare JSON, JSON or Python behind a marker, lists of Python calls."""

from backends.chat.format import Format
from backends.chat.pattern import Pattern
from backends.chat.syntaxes.either import Either
from backends.chat.syntaxes.objects import Objects
from backends.chat.syntaxes.pythonic import Pythonic

BARE = Objects(keys=("name", "parameters"), between="; ", is_bare=True)
BRACKETS = Pythonic(is_bare=True)
MARKED = Either(
    "<|python_tag|>",
    Objects(Pattern("<|python_tag|>{calls}"), keys=("name", "parameters"), between="; "),
    Pythonic(Pattern("<|python_tag|>{calls}"), is_list=False),
)
FORMATS = (
    Format("llama", (Either("", BARE, BRACKETS), MARKED)),
    Format(
        "llama-pythonic",
        (Either("", BRACKETS, BARE), MARKED, Pythonic(Pattern("<|python_start|>{calls}<|python_end|>"))),
    ),
)
