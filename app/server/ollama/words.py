"""An answer in Ollama's words: one JSON object, or one a line."""

import json
from abc import abstractmethod
from datetime import UTC, datetime
from json.encoder import encode_basestring as quoted
from typing import Any, ClassVar

from app.server.core.refusal import Refusal
from app.server.core.words import Source, Words
from app.server.ollama import errors
from backends.protocol import Output, Timings

encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
NANOSECONDS = 1_000_000  # of a millisecond


class OllamaWords(Words):
    media_type: ClassVar[str] = "application/x-ndjson"

    def __init__(self, source: Source):
        super().__init__(source)
        self._model = quoted(source.model)

    def begin(self) -> bytes:
        return b""

    def go_on(self, index: int, output: Output) -> bytes:
        choice = self.choices[index]
        choice.take(output)
        lines = ""
        if output.text:
            said = self.said(quoted(output.text))
            lines += f'{{"model":{self._model},"created_at":"{now()}",{said},"done":false}}\n'
        if output.finish:
            lines += f"{encode(self._whole(''))}\n"
        return lines.encode()

    def end(self) -> bytes:
        return b""

    def break_off(self, refusal: Refusal) -> bytes:
        return f"{encode(errors.body(refusal))}\n".encode()

    def whole(self) -> dict[str, Any]:
        return self._whole(self.choices[0].text)

    @abstractmethod
    def said(self, text: str) -> str:
        """The member that holds an answer's text, which is JSON already."""

    def empty(self) -> dict[str, Any]:
        return self._said("")

    def _said(self, text: str) -> dict[str, Any]:
        said: dict[str, Any] = json.loads(f"{{{self.said(quoted(text))}}}")
        return said

    def _whole(self, text: str) -> dict[str, Any]:
        (choice,) = self.choices
        return {**head(self.source.model), **self._said(text), **done(str(choice.finish)), **_cost(choice.timings)}


class ChatWords(OllamaWords):
    def said(self, text: str) -> str:
        return f'"message":{{"role":"assistant","content":{text}}}'


class GenerateWords(OllamaWords):
    def said(self, text: str) -> str:
        return f'"response":{text}'


def head(model: str) -> dict[str, Any]:
    return {"model": model, "created_at": now()}


def done(reason: str) -> dict[str, Any]:
    return {"done": True, "done_reason": reason}


def now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def _cost(timings: Timings) -> dict[str, int]:
    total = timings.queue_ms + timings.prompt_ms + timings.predicted_ms
    return {
        "total_duration": round(total * NANOSECONDS),
        "load_duration": 0,
        "prompt_eval_count": timings.prompt_n + timings.cache_n,
        "prompt_eval_duration": round(timings.prompt_ms * NANOSECONDS),
        "eval_count": timings.predicted_n,
        "eval_duration": round(timings.predicted_ms * NANOSECONDS),
    }
