"""What the port must be told of the models. app/directory.py implements it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from app.inference.engine_handle import EngineHandle
from app.library.own_models import FIRST_MODEL
from app.server.core.limits import MAX_QUOTED
from backends.bounds import as_name
from backends.protocol import Cells

MAX_NAMED = 6  # known models that a sentence names


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a program may want to know before it chooses. None: not known. context: tokens, as trained and as loaded.

    is_base: it completes text and has no chat format. cells: of its KV cache, while it is loaded.
    """

    name: str
    is_loaded: bool
    architecture: str | None = None
    quantization: str | None = None
    parameters: int | None = None
    bytes: int | None = None
    context_trained: int | None = None
    context: int | None = None
    is_base: bool | None = None
    cells: Cells | None = None


class ModelDirectory(Protocol):
    """The methods but `loading` may block, and are called on threads of the port, several at a time."""

    def names(self) -> list[str]:
        """Every model that a request may name, loaded or not."""

    def facts(self) -> Mapping[str, ModelFacts]:
        """By the same names, in their order."""

    def engine(self, name: str | None) -> EngineHandle:
        """The engine of this name, loading it on demand; None: the only or first one. Raises UnknownModelError."""

    def loading(self) -> float | None:
        """How far the first model is, from 0 to 1; None as soon as one can answer, or while none is on its way."""


def unknown_name(name: str, known: Sequence[str]) -> str:
    if not known:
        return f"There is no model named “{as_name(name, MAX_QUOTED)}”, and no other here. {FIRST_MODEL}"
    shown = [as_name(each, MAX_QUOTED) for each in known[:MAX_NAMED]]
    more = f" and {len(known) - len(shown)} more" if len(known) > len(shown) else ""
    return f"There is no model named “{as_name(name, MAX_QUOTED)}”. Known: {', '.join(shown)}{more}."
