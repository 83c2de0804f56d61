"""What is said of an exchange. The core brings the events, each dialect has the words."""

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

from app.errors import RequestError
from app.server.core.choice import Choice
from app.server.core.refusal import Refusal
from app.server.core.valve import cost
from backends.protocol import FailureKind, Output, Ready

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
