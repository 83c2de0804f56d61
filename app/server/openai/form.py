"""What has been said in one exchange, and the account of it. Subclasses give it a route's shape."""

import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from app.errors import RequestError
from app.server.core.valve import cost
from app.server.openai.logprobs import Ruler
from backends.protocol import FailureKind, Finish, Output, Timings, TokenLogprob

Chunk = dict[str, Any]
MAX_WHOLE = 64 << 20
TOO_LARGE = f"The answer grew beyond {MAX_WHOLE >> 20} MB. Set max_tokens, or ask for it as a stream."


@dataclass(slots=True)
class Choice:
    """One answer so far."""

    index: int
    texts: list[str] = field(default_factory=list)
    finish: Finish | None = None
    timings: Timings = field(default_factory=Timings)
    logprobs: list[TokenLogprob] = field(default_factory=list)  # not said yet
    ruler: Ruler = field(default_factory=Ruler)

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def take_logprobs(self) -> tuple[TokenLogprob, ...]:
        taken = tuple(self.logprobs)
        self.logprobs.clear()
        return taken


class Form(ABC):
    """Takes outputs in; gives the chunks of a stream, or the whole answer."""

    prefix: str
    kind: str
    chunk_kind: str

    def __init__(self, model: str, num_prompts: int = 1, num_choices: int = 1, includes_usage: bool = False):
        self.choices = [Choice(index) for index in range(num_prompts * num_choices)]
        self._num_choices = num_choices  # per prompt
        self._includes_usage = includes_usage
        self._bytes = 0
        self._base = {
            "id": f"{self.prefix}-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": model,
        }

    def add(self, index: int, output: Output) -> None:
        """Keep it for `whole`. Raises RequestError when that would become larger than any program expects."""
        self._take(index, output).texts.append(output.text)
        self._bytes += cost(output)
        if self._bytes > MAX_WHOLE:
            raise RequestError(FailureKind.BAD_REQUEST, TOO_LARGE)

    def _take(self, index: int, output: Output) -> Choice:
        choice = self.choices[index]
        choice.logprobs += output.logprobs
        choice.finish = output.finish
        choice.timings = output.timings or choice.timings
        return choice

    def chunks(self, index: int, output: Output) -> list[Chunk]:
        """One for the text, if there is any, and one for the end. Logprobs wait for the text that they belong to."""
        choice = self._take(index, output)
        chunks = [self._chunk(self.text_choice(choice, output.text))] if output.text else []
        if output.finish:
            chunks.append(self._chunk(self.final_choice(choice)))
            chunks[-1]["timings"] = timings_object(choice.timings)
        return chunks

    def head(self) -> list[Chunk]:
        """What a stream begins with."""
        return []

    def tail(self) -> list[Chunk]:
        """What stands between the last choice and [DONE]."""
        if not self._includes_usage:
            return []
        return [{**self._chunk(), "usage": self._usage()}]

    def whole(self) -> dict[str, Any]:
        timings = self._timings()
        return {
            **self._base,
            "object": self.kind,
            "choices": [self.whole_choice(choice) for choice in self.choices],
            "usage": self._usage(),
            "timings": timings_object(timings),
        }

    @abstractmethod
    def text_choice(self, choice: Choice, said: str) -> Chunk: ...

    @abstractmethod
    def final_choice(self, choice: Choice) -> Chunk: ...

    @abstractmethod
    def whole_choice(self, choice: Choice) -> Chunk: ...

    def _chunk(self, *choices: Chunk) -> Chunk:
        usage = {"usage": None} if self._includes_usage else {}
        return {**self._base, "object": self.chunk_kind, "choices": list(choices), **usage}

    def _usage(self) -> dict[str, Any]:
        """As with OpenAI, a prompt counts once, however many choices it has."""
        prompts = total([choice.timings for choice in self.choices[:: self._num_choices]])
        return usage(replace(prompts, predicted_n=self._timings().predicted_n))

    def _timings(self) -> Timings:
        return total([choice.timings for choice in self.choices])


def total(timings: Sequence[Timings]) -> Timings:
    """Counts and times of several answers together."""
    names = [f.name for f in fields(Timings) if f.name != "cache_miss"]
    sums = {name: sum(getattr(timing, name) for timing in timings) for name in names}
    return Timings(**sums, cache_miss=next((timing.cache_miss for timing in timings if timing.cache_miss), None))


def usage(timings: Timings) -> dict[str, Any]:
    num_prompt = timings.prompt_n + timings.cache_n
    return {
        "prompt_tokens": num_prompt,
        "completion_tokens": timings.predicted_n,
        "total_tokens": num_prompt + timings.predicted_n,
        "prompt_tokens_details": {"cached_tokens": timings.cache_n},
    }


def timings_object(timings: Timings) -> dict[str, Any]:
    return {
        "prompt_n": timings.prompt_n,
        "cache_n": timings.cache_n,
        "cache_tier": {
            "resident": timings.cache_resident_n,
            "ram": timings.cache_ram_n,
            "disk": timings.cache_disk_n,
        },
        "cache_miss": {"reason": timings.cache_miss, "message": timings.cache_miss_text}
        if timings.cache_miss
        else None,
        "predicted_n": timings.predicted_n,
        "rolled_n": timings.rolled_n,
        "draft_n": timings.draft_n,
        "draft_accepted_n": timings.draft_accepted_n,
        "prompt_ms": round(timings.prompt_ms, 3),
        "predicted_ms": round(timings.predicted_ms, 3),
        "predicted_per_second": round(timings.predicted_per_second, 3),
    }
