"""What a chat template does with tools and with reasoning. Values that are found by trying it once."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ToolForm:
    """What the template does not do itself is written for it into what people and models say. format: the name of the
    row by which calls are read."""

    format: str = "generic"
    takes_tools: bool = False  # it tells the model what is offered
    takes_calls: bool = False  # it writes the calls of earlier turns
    takes_results: bool = False  # and what came of them
    takes_several: bool = True  # calls in one turn
    wants_objects: bool = True  # arguments as values, not as JSON text
    wants_nothing: bool = False  # no content beside calls, not even an empty one
    wants_descriptions: bool = False  # of each parameter, if only empty ones


@dataclass(frozen=True, slots=True)
class ReasoningForm:
    """name: of the row by which thoughts are read; None: the model is not known to think. field: where the template
    looks for them in a turn. in_content: it cuts them out of the content of earlier turns. keeps: those of turns before
    the last question. keeps_in_turn: those behind it, between calls. switches: what it asks for in order to think or
    not."""

    name: str | None = None
    field: str | None = None
    in_content: bool = False
    keeps: bool = False
    keeps_in_turn: bool = False
    switches: tuple[str, ...] = ()


NO_TOOLS, NO_REASONING = ToolForm(), ReasoningForm()
