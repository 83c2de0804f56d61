"""What the port must be told of the models. app/directory.py implements it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import SequenceMatcher
from enum import StrEnum
from typing import Any, Protocol

from app.inference.engine_handle import EngineHandle
from app.library.own_models import FIRST_MODEL
from app.server.core.keeping import ModelKeeper
from app.server.core.limits import MAX_QUOTED
from backends.bounds import as_name
from backends.protocol import Cells

MAX_NAMED = 4  # models that a sentence names
NUM_NEAR, LIKENESS = 3, 0.6
MAX_WORDS = 6
WORD = re.compile(r"[^\W_]+")
MAX_COMPARED = 1000


class Capability(StrEnum):
    """What a model can be asked for, as far as its file tells. The values are Ollama's."""

    COMPLETION = "completion"
    EMBEDDING = "embedding"
    TOOLS = "tools"
    THINKING = "thinking"
    INSERT = "insert"  # the middle of a text


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a program may want to know before it chooses. None: not known. context: tokens, as trained and as loaded.

    is_base: it completes text and has no chat format. is_embedder: it makes vectors of texts, and no answers.
    cells: of its KV cache, while it is loaded.
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
    is_embedder: bool | None = None
    modified: datetime | None = None  # when its file was last written, in UTC
    state: str = "unloaded"  # or what its engine's is
    memory: int | None = None  # bytes that its engine holds, on all devices
    memory_gpu: int = 0  # of these, on GPUs
    leaves: float | None = None  # seconds until it is unloaded, if nobody asks it for anything; None: it stays
    capabilities: frozenset[Capability] = frozenset()


class ModelDirectory(Protocol):
    """The methods but `loading` may block, and are called on threads of the port, several at a time."""

    def names(self) -> list[str]:
        """Every model that a request may name, loaded or not."""

    def facts(self) -> Mapping[str, ModelFacts]:
        """By the same names, in their order."""

    def header(self, name: str) -> Mapping[str, Any]:
        """What the file of a model says of itself, by GGUF's names and without its lists; nothing where it cannot be
        read now. name: as in `facts`."""

    @property
    def keeper(self) -> ModelKeeper | None:
        """Of the models on disk; None: this port may not change them."""

    def engines(self) -> Sequence[EngineHandle]:
        """Those that are loaded or loading. Does not block, and loads none."""

    def engine(self, name: str | None) -> EngineHandle:
        """The engine of this name, loading it on demand; None: the only or first one. Raises UnknownModelError."""

    def answering(self, name: str) -> str | None:
        """The name of the model that would answer to this one; None: none would. Loads nothing."""

    def keep(self, name: str, seconds: float) -> None:
        """How long the model that answers to this name stays loaded when nobody uses it; infinite: until another needs
        its memory."""

    def loading(self) -> float | None:
        """How far the first model is, from 0 to 1; None as soon as one can answer, or while none is on its way."""


def unknown_name(name: str, known: Sequence[str], loaded: Sequence[str] = ()) -> str:
    """What to say of a name that no model has: those like it, else some that there are, and those that are loaded."""
    begin = f"There is no model named “{as_name(name, MAX_QUOTED)}”"
    if not known:
        return f"{begin}, and no other here. {FIRST_MODEL}"
    near = _near(name, known[:MAX_COMPARED])
    others = f"Near it: {_named(near)}" if near else f"Known: {_named(known)}"
    return f"{begin}. {others}." + (f" Loaded: {_named(loaded)}." if loaded else "")


def _near(name: str, known: Sequence[str]) -> list[str]:
    """By their spelling, whatever the publisher is called and however it is capitalized. Of a longer name its words
    count from each on: “smolm2” is near “SmolLM2-135M-Instruct”, and not near every name that has these letters."""
    by_short = {_short(each): each for each in reversed(known)}
    asked = _short(name)
    wanted = SequenceMatcher(b=asked)
    likeness = {short: max(_ratio(wanted, part) for part in _parts(short, len(asked))) for short in by_short}
    best = sorted((short for short in likeness if likeness[short] >= LIKENESS), key=lambda short: -likeness[short])
    return [by_short[short] for short in best[:NUM_NEAR]]


def _short(name: str) -> str:
    return as_name(name, MAX_QUOTED).rpartition("/")[2].casefold()


def _parts(short: str, length: int) -> list[str]:
    """The whole, and as many letters as are wanted from the beginning of each word."""
    words = [match.start() for match in WORD.finditer(short)][:MAX_WORDS]
    return [short, *(short[begin : begin + length] for begin in words)]


def _ratio(wanted: "SequenceMatcher[str]", part: str) -> float:
    wanted.set_seq1(part)
    is_hopeless = wanted.real_quick_ratio() < LIKENESS or wanted.quick_ratio() < LIKENESS
    return 0.0 if is_hopeless else wanted.ratio()


def _named(names: Sequence[str]) -> str:
    shown = [as_name(each, MAX_QUOTED) for each in names[:MAX_NAMED]]
    return ", ".join(shown) + (f" and {len(names) - len(shown)} more" if len(names) > len(shown) else "")
