"""An answer in llama-server's own words."""

import json
import math
from collections.abc import Iterable, Sequence
from typing import Any

from app.server.core.choice import Choice, problem_of
from app.server.core.refusal import Refusal
from app.server.core.timings import SoFar, progress_object
from app.server.core.words import Source, Words
from app.server.llama_server import errors
from app.server.llama_server.settings import generation_settings
from app.server.llama_server.timings import timings_object
from backends.protocol import Chance, Finish, Generate, Infill, Output, Progress, Timings, TokenLogprob

encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
LEAST = -9999.0  # JSON has no infinity


class CompletionWords(Words):
    """wanted: the answers in their order. are_several: they are told as a list. fields: those of an answer that are
    wanted; none: all. times_tokens: an account with every part of a stream."""

    def __init__(
        self,
        source: Source,
        wanted: Sequence[Generate],
        *,
        streams: bool = False,
        are_several: bool = False,
        fields: Sequence[str] = (),
        times_tokens: bool = False,
        tells_progress: bool = False,
    ):
        super().__init__(source, len(wanted))
        self._wanted = wanted
        self._streams = streams
        self._are_several = are_several
        self._fields = fields
        self._times_tokens = times_tokens
        self._tells_progress = tells_progress
        self._so_far = [SoFar() for _ in wanted]
        self._tokens: list[list[int]] = [[] for _ in wanted]  # of the answer; in a stream those that are not said yet
        self._has_line = [False] * len(wanted)

    def begin(self) -> bytes:
        return b""

    def add(self, index: int, output: Output) -> None:
        super().add(index, output)
        self._note(index, output)

    def go_on(self, index: int, output: Output) -> bytes:
        choice = self.choices[index]
        choice.take(output)
        self._note(index, output)
        said = ""
        if output.text:
            said = f"data: {encode(self._part(choice, output.text))}\n\n"
        if output.finish:
            said += f"data: {encode(self._last(choice, '', ()))}\n\n"
        return said.encode()

    def read(self, index: int, progress: Progress) -> bytes:
        if not self._tells_progress or progress.num_read is None:
            return b""
        told = progress_object(progress)
        part = {**self._part(self.choices[index], ""), "prompt_progress": told}
        if self._times_tokens:
            num_new = told["processed"] - told["cache"]
            part["timings"] = timings_object(
                Timings(num_new, told["cache"], prompt_ms=float(told["time_ms"]) if num_new else 0.0)
            )
        return f"data: {encode(part)}\n\n".encode()

    def end(self) -> bytes:
        return b""

    def break_off(self, refusal: Refusal) -> bytes:
        return f"data: {encode(errors.body(refusal))}\n\n".encode()

    def whole(self) -> dict[str, Any] | list[dict[str, Any]]:
        answers = [self._last(choice, choice.text, self._tokens[choice.index]) for choice in self.choices]
        return answers if self._are_several else answers[0]

    def _note(self, index: int, output: Output) -> None:
        self._so_far[index].take(output)
        self._tokens[index] += output.tokens
        self._has_line[index] = self._has_line[index] or "\n" in output.text

    def _part(self, choice: Choice, said: str) -> dict[str, Any]:
        index = choice.index
        tokens, self._tokens[index] = self._tokens[index], []
        part: dict[str, Any] = {
            "index": index,
            "content": said,
            "tokens": tokens,
            "stop": False,
            "id_slot": -1,
            "tokens_predicted": self._so_far[index].num_said,
            "tokens_evaluated": _num_prompt(choice),
        }
        if choice.logprobs:
            part["completion_probabilities"] = _told(choice.take_logprobs(), self._wanted[index])
        if self._times_tokens:
            part["timings"] = timings_object(self._so_far[index].account(choice.timings))
        return part

    def _last(self, choice: Choice, content: str, tokens: Sequence[int]) -> dict[str, Any]:
        index, wanted = choice.index, self._wanted[choice.index]
        word = choice.stop if choice.stop in wanted.stop else None
        timings = choice.timings
        told: dict[str, Any] = {
            "index": index,
            "content": content,
            "tokens": list(tokens) if wanted.tells_tokens else [],
            "id_slot": -1,
            "stop": True,
            "model": self.source.model,
            "tokens_predicted": timings.predicted_n,
            "tokens_evaluated": _num_prompt(choice),
            "generation_settings": generation_settings(
                wanted, self.source.ends, streams=self._streams, times_tokens=self._times_tokens
            ),
            "prompt": _shown(wanted),
            "has_new_line": self._has_line[index],
            "truncated": timings.rolled_n > 0 or _is_full(choice, wanted),
            "stop_type": "limit" if choice.finish is Finish.LENGTH else "word" if word else "eos",
            "stopping_word": word or "",
            "tokens_cached": timings.cache_n,
            "timings": timings_object(timings),
            **problem_of([choice]),
        }
        if wanted.logprobs and not self._streams:
            told["completion_probabilities"] = _told(choice.take_logprobs(), wanted)
        return _picked(told, self._fields) if self._fields else told


def _is_full(choice: Choice, wanted: Generate) -> bool:
    """It ended because the context did."""
    is_short = wanted.max_tokens is None or choice.timings.predicted_n < wanted.max_tokens
    return choice.finish is Finish.LENGTH and is_short and wanted.max_seconds is None


def _num_prompt(choice: Choice) -> int:
    return choice.timings.prompt_n + choice.timings.cache_n


def _shown(wanted: Generate) -> str | list[int]:
    """The prompt as it was sent."""
    if isinstance(wanted.prompt, Infill):
        return wanted.prompt.prefix
    return wanted.prompt if isinstance(wanted.prompt, str) else [token for token in wanted.prompt if type(token) is int]


def _picked(told: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Under the names as they were asked for; what is not there is left out."""
    picked = {}
    for name in names:
        value: Any = told
        for part in name.split("/"):
            if not isinstance(value, dict) or part not in value:
                break
            value = value[part]
        else:
            picked[name] = value
    return picked


def _told(tokens: Iterable[TokenLogprob], wanted: Generate) -> list[dict[str, Any]]:
    """wanted: says of which distribution they are; the two have other words."""
    tell, others = (_left, "top_probs") if wanted.after_filters else (_chance, "top_logprobs")
    return [{**tell(token), others: list(map(tell, token.alternatives))} for token in tokens]


def _chance(chance: Chance | TokenLogprob) -> dict[str, Any]:
    return {**_token(chance), "logprob": max(chance.logprob, LEAST)}


def _left(chance: Chance | TokenLogprob) -> dict[str, Any]:
    return {**_token(chance), "prob": math.exp(chance.logprob)}


def _token(chance: Chance | TokenLogprob) -> dict[str, Any]:
    return {"id": chance.token, "token": chance.piece.decode("utf-8", "replace"), "bytes": list(chance.piece)}
