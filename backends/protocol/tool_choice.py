"""Whether an answer may, must or must not call tools. Dataclasses only."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from backends.messages import Tool


class Calling(StrEnum):
    """The values are OpenAI's."""

    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """name: the one tool that must be called. is_parallel: several calls in one turn are wanted, if the model likes."""

    calling: Calling = Calling.AUTO
    name: str | None = None
    is_parallel: bool = True

    def among(self, tools: Iterable[Tool]) -> tuple[Tool, ...]:
        """Those that may be called."""
        if self.calling is Calling.NONE:
            return ()
        return tuple(tool for tool in tools if self.name in (None, tool.name))

    @property
    def is_required(self) -> bool:
        return self.calling is Calling.REQUIRED or self.name is not None


AS_IT_LIKES = ToolChoice()
