"""Greedy answers with and without guesses in the engine itself, in a child: `run_in_child(…:say)`."""

from collections.abc import Sequence as Many
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from backends.child import Report
from backends.engine.engine import Engine
from backends.engine.news import Again, News, Stepped
from backends.engine.sequence import Sequence
from backends.llama.context import NativeContext
from backends.llama.loader import load
from backends.llama.model import LlamaModel
from backends.protocol import DraftMode, EngineOptions, Generate, Load, Message, TokenLogprob

Prompt = str | tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Parting:
    """Where an answer with guesses and the one without say different tokens. gap: between the likeliest two there, in
    natural logarithms of probabilities."""

    prompt: Prompt
    at: int
    gap: float


@dataclass(frozen=True, slots=True)
class Found:
    num_tokens: int  # of all answers without guesses
    num_accepted: int  # guesses
    num_rejected: int
    num_unscheduled: int  # steps that did without the scheduler, of those answers that had guesses
    partings: tuple[Parting, ...]


def say(_report: Report, path: Path, options: EngineOptions, prompts: Many[Prompt], num_tokens: int) -> Found:
    """options: those with guesses. Raises AssertionError where logits are read that the last decode did not make."""
    with patch.object(NativeContext, "decode", _decode), patch.object(NativeContext, "logits", _logits):
        without = replace(options, draft=DraftMode.OFF, draft_model=None)
        with Life(path, without) as life:
            plain = life.answer(prompts, num_tokens)
        with Life(path, options) as life:
            guessed = life.answer(prompts, num_tokens)
            num_unscheduled = life.num_unscheduled
        with Life(path, without) as life:
            pairs = zip(prompts, plain, guessed, strict=True)
            partings = [
                life.parting(prompt, *pair) for prompt, *pair in pairs if pair[0].completion != pair[1].completion
            ]
    num_accepted = sum(seq.num_accepted for seq in guessed)
    num_rejected = sum(seq.num_drafted for seq in guessed) - num_accepted
    num_tokens = sum(seq.num_completion for seq in plain)
    return Found(num_tokens, num_accepted, num_rejected, num_unscheduled, tuple(partings))


class Life:
    """Of an engine without its process."""

    def __init__(self, path: Path, options: EngineOptions):
        self.num_unscheduled = 0
        self._logprobs: list[TokenLogprob] = []
        self._model: LlamaModel = load(Load(path, "guessing", options), lambda _: None)
        self._engine = Engine(self._model, options, tell=self._hear)

    def __enter__(self) -> "Life":
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.close()
        self._model.close()

    def answer(self, prompts: Many[Prompt], num_tokens: int) -> list[Sequence]:
        """All to come at once: as many as may run side by side do."""
        seqs = [self._sequence(uid, self._encode(prompt), num_tokens) for uid, prompt in enumerate(prompts)]
        self._finish(seqs)
        return seqs

    def parting(self, prompt: Prompt, one: Sequence, other: Sequence) -> Parting:
        pairs = zip(one.completion, other.completion, strict=False)
        at = next(i for i, (a, b) in enumerate(pairs) if a != b)
        seq = self._sequence(0, [*self._encode(prompt), *one.completion[:at]], 1)
        seq.num_alternatives = 2
        self._finish([seq])
        first, second = self._logprobs.pop().alternatives
        return Parting(prompt, at, first.logprob - second.logprob)

    def _encode(self, prompt: Prompt) -> list[int]:
        return self._model.encode(Generate(prompt))

    def _sequence(self, uid: int, tokens: list[int], max_tokens: int) -> Sequence:
        return Sequence(uid, list(tokens), max_tokens, self._model.eos)

    def _finish(self, seqs: list[Sequence]) -> None:
        for seq in seqs:
            self._engine.add(seq)
        while not self._engine.is_idle:
            self._engine.step()

    def _hear(self, news: News) -> None:
        match news:
            case Again():
                self.num_unscheduled += 1
            case Stepped():
                self._logprobs += [later() for said in news.said for later in said.logprobs]


_read: dict[int, int] = {}  # by context: rows of logits that its last decode has made
_decode_as_it_is, _logits_as_they_are = NativeContext.decode, NativeContext.logits


def _decode(context: NativeContext, num_rows: int) -> int:
    code = _decode_as_it_is(context, num_rows)
    _read[id(context)] = int(context.batch.outputs[:num_rows].sum()) if code == 0 else 0
    return code


def _logits(context: NativeContext, num_outputs: int) -> Any:
    assert num_outputs == _read[id(context)], "rows that were not decoded"
    return _logits_as_they_are(context, num_outputs)
