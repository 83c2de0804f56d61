"""What is said of an exchange. The core brings the events, each dialect has the words."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

from app.errors import RequestError
from app.server.core.choice import Choice
from app.server.core.refusal import Refusal
from app.server.core.valve import cost
from backends.protocol import FailureKind, Output, Progress, Ready

MAX_WHOLE = 64 << 20
TOO_LARGE = f"The answer grew beyond {MAX_WHOLE >> 20} MB. Set max_tokens, or ask for it as a stream."


@dataclass(frozen=True, slots=True)
class Source:
    """Who answers. fingerprint: the same as long as the same request with the same seed has the same answer."""

    model: str
    fingerprint: str | None = None
    ends: tuple[int, ...] = ()  # tokens that end an answer


@lru_cache(maxsize=64)
def fingerprint(ready: Ready) -> str:
    what = ready.build, ready.name, ready.model_bytes, ready.device, ready.threads, ready.gpu_layers, ready.adapters
    kv_cache = ready.kv_type_k, ready.kv_type_v, ready.flash_attention, ready.kv_layout
    return f"fp_{hashlib.sha256(repr((what, kv_cache)).encode()).hexdigest()[:10]}"


@dataclass(frozen=True, slots=True)
class Wait:
    """Why nothing has been said yet. loading: how far the model is, from 0 to 1; None when it is there. progress: of
    the prompts that have been accepted."""

    loading: float | None = None
    progress: Sequence[Progress] = ()

    @property
    def sentence(self) -> str:
        if self.loading is not None:
            return f"loading the model, {self.loading:.0%}"
        begun = [each for each in self.progress if each.num_read is not None]
        num_read, num_prompt = sum(each.num_read or 0 for each in begun), sum(each.num_prompt for each in begun)
        return f"reading the prompt, {num_read} of {num_prompt} tokens" if begun else "waiting for a place"


class Words(ABC):
    """A stream is begun, goes on with every output, and is ended, or broken off. A whole answer is added up."""

    media_type: ClassVar[str] = "text/event-stream"

    def __init__(self, source: Source, num_choices: int = 1):
        self.source = source
        self.choices = [Choice(index) for index in range(num_choices)]
        self._bytes = 0

    def add(self, index: int, output: Output) -> None:
        """Keep it for `whole`. Raises RequestError when that would become larger than any program expects."""
        choice = self.choices[index]
        choice.take(output)
        choice.keep(output)
        self._bytes += cost(output)
        if self._bytes > MAX_WHOLE:
            raise RequestError(FailureKind.BAD_REQUEST, TOO_LARGE)

    def wait(self, wait: Wait) -> bytes:
        """What keeps a connection alive that hears nothing else for a while, and that no client takes for more."""
        return f": {wait.sentence}\n\n".encode()

    def read(self, index: int, progress: Progress) -> bytes:  # noqa: ARG002
        """News of a prompt, for those who have asked for such."""
        return b""

    @abstractmethod
    def begin(self) -> bytes: ...

    @abstractmethod
    def go_on(self, index: int, output: Output) -> bytes: ...

    @abstractmethod
    def end(self) -> bytes: ...

    @abstractmethod
    def break_off(self, refusal: Refusal) -> bytes: ...

    @abstractmethod
    def whole(self) -> dict[str, Any] | list[dict[str, Any]]: ...
