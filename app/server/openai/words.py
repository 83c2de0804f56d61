"""What chat and text completions have in common, as a stream and whole. Subclasses have the words of one choice."""

import json
import time
import uuid
from abc import abstractmethod
from dataclasses import replace
from json.encoder import encode_basestring as quoted
from typing import Any, ClassVar

from app.server.core.choice import Choice, problem_of, total
from app.server.core.refusal import Refusal
from app.server.core.timings import SoFar, progress_object, timings_object
from app.server.core.words import Source, Words
from app.server.openai import errors
from app.server.openai.usage import usage
from backends.protocol import Output, Progress

__all__ = ["OpenAIWords", "encode", "quoted"]

DONE = b"data: [DONE]\n\n"
# json.dumps makes one for every call that asks for anything
encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class OpenAIWords(Words):
    prefix: ClassVar[str]
    kind: ClassVar[str]
    chunk_kind: ClassVar[str]

    def __init__(
        self,
        source: Source,
        num_prompts: int = 1,
        num_choices: int = 1,
        includes_usage: bool = False,
        tells_progress: bool = False,
        times_tokens: bool = False,
        shown_prompt: str | None = None,
    ):
        """num_choices: of each prompt. times_tokens: an account with every piece of a stream, as llama-server gives it.
        shown_prompt: is told with every answer, as it does for `verbose`."""
        super().__init__(source, num_prompts * num_choices)
        self._num_choices = num_choices
        self._includes_usage = includes_usage
        self._tells_progress = tells_progress
        self._so_far = [SoFar() for _ in self.choices] if times_tokens else None
        self._verbose = {} if shown_prompt is None else {"__verbose": {"prompt": shown_prompt}}
        self._base = {
            "id": f"{self.prefix}-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": source.model,
            "system_fingerprint": source.fingerprint,
        }
        # what all chunks begin and end with, written once: only a token's own text is written for each token
        self._opening = f'data: {encode({**self._base, "object": self.chunk_kind})[:-1]},"choices":['
        self._closing = '],"usage":null' if includes_usage else "]"

    def go_on(self, index: int, output: Output) -> bytes:
        """Chunks for what is said, and one for the end. Logprobs wait for the text that they are of."""
        choice = self.choices[index]
        choice.take(output)
        pieces = self.pieces(choice, output)
        said = "".join(map(self._chunk, pieces) if self._so_far is None else self._timed(choice, output, pieces))
        if output.finish:
            told = encode({"timings": timings_object(choice.timings), **problem_of([choice]), **self._verbose})
            said += self._chunk(encode(self.final_choice(choice)), f",{told[1:-1]}")
        return said.encode()

    def begin(self) -> bytes:
        return b""

    def read(self, index: int, progress: Progress) -> bytes:
        if not self._tells_progress or progress.num_read is None:
            return b""
        told = f',"prompt_progress":{encode(progress_object(progress))}'
        return self._chunk(self.text_choice(self.choices[index], ""), told).encode()

    def end(self) -> bytes:
        if not self._includes_usage:
            return DONE
        timings = timings_object(total([choice.timings for choice in self.choices]))
        told = encode({"usage": self._usage(), "timings": timings})
        return f"{self._opening}],{told[1:]}\n\n".encode() + DONE

    def break_off(self, refusal: Refusal) -> bytes:
        return f"data: {encode(errors.body(refusal))}\n\n".encode()

    def whole(self) -> dict[str, Any]:
        return {
            **self._base,
            "object": self.kind,
            "choices": [{**self.whole_choice(choice), "index": at} for at, choice in enumerate(self.told())],
            "usage": self._usage(),
            "timings": timings_object(total([choice.timings for choice in self.choices])),
            **problem_of(self.choices),
            **self._verbose,
        }

    def told(self) -> list[Choice]:
        """Those that are given, in their order."""
        return self.choices

    def _timed(self, choice: Choice, output: Output, pieces: list[str]) -> list[str]:
        """The account stands with the last of them."""
        assert self._so_far is not None
        so_far = self._so_far[choice.index]
        so_far.take(output)
        told = f',"timings":{encode(timings_object(so_far.account(choice.timings)))}' if pieces else ""
        return [*map(self._chunk, pieces[:-1]), *(self._chunk(piece, told) for piece in pieces[-1:])]

    def pieces(self, choice: Choice, output: Output) -> list[str]:
        """What is said, as choices that are JSON already."""
        return [self.text_choice(choice, output.text)] if output.text else []

    @abstractmethod
    def text_choice(self, choice: Choice, said: str) -> str:
        """As JSON: it is written for every token."""

    @abstractmethod
    def final_choice(self, choice: Choice) -> dict[str, Any]: ...

    @abstractmethod
    def whole_choice(self, choice: Choice) -> dict[str, Any]: ...

    def _chunk(self, choices: str, more: str = "") -> str:
        return f"{self._opening}{choices}{self._closing}{more}}}\n\n"

    def _usage(self) -> dict[str, Any]:
        """As with OpenAI, a prompt counts once, however many choices it has."""
        prompts = total([choice.timings for choice in self.choices[:: self._num_choices]])
        num_said = sum(choice.timings.predicted_n for choice in self.choices)
        num_thought = sum(choice.num_thought for choice in self.choices)
        return usage(replace(prompts, predicted_n=num_said), num_thought)
