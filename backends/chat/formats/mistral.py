"""Mistral and Magistral: a list of objects in the old tokenizers, name and arguments in the new ones."""

from backends.chat.format import Format
from backends.chat.ids import short_id
from backends.chat.pattern import Pattern
from backends.chat.syntaxes.either import Either
from backends.chat.syntaxes.named import Named
from backends.chat.syntaxes.objects import Objects

OPENER = "[TOOL_CALLS]"
LIST = Objects(Pattern("[TOOL_CALLS]{calls}"), is_list=True)
NAMED = Named(Pattern("[TOOL_CALLS]{name}[ARGS]{arguments}"))
WITH_ID = Named(Pattern("[TOOL_CALLS]{name}[CALL_ID]{id}[ARGS]{arguments}"))
FORMATS = (
    Format("mistral", (Either(OPENER, NAMED, LIST),), new_id=short_id),
    Format("mistral-id", (Either(OPENER, WITH_ID, LIST),), new_id=short_id),
    Format("mistral-list", (Either(OPENER, LIST, NAMED),), new_id=short_id),
)
