"""An answer in Ollama's words: one JSON object, or one a line."""

import json
from abc import abstractmethod
from datetime import UTC, datetime
from json.encoder import encode_basestring as quoted
from typing import Any, ClassVar

from app.server.core.choice import Choice, problem_of
from app.server.core.refusal import Refusal
from app.server.core.words import Source, Wait, Words
from app.server.ollama import errors
from backends.protocol import CallBroken, CallEnded, Output, Part, Text, Thought, Timings, ToolCall

encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
NANOSECONDS = 1_000_000  # of a millisecond


class OllamaWords(Words):
    media_type: ClassVar[str] = "application/x-ndjson"

    def __init__(self, source: Source):
        super().__init__(source)
        self._model = quoted(source.model)

    def begin(self) -> bytes:
        return b""

    def wait(self, wait: Wait) -> bytes:  # noqa: ARG002
        """A piece of nothing: its clients read every line as JSON."""
        return f'{{"model":{self._model},"created_at":"{now()}",{self.said(quoted(""))},"done":false}}\n'.encode()

    def go_on(self, index: int, output: Output) -> bytes:
        choice = self.choices[index]
        choice.take(output)
        said = [piece for part in output.parts if (piece := self._piece(choice, part))]
        if output.text and not output.parts:
            said = [self.said(quoted(output.text))]
        lines = [f'{{"model":{self._model},"created_at":"{now()}",{each},"done":false}}\n' for each in said]
        if output.finish:
            lines.append(f"{encode(self._whole(''))}\n")
        return "".join(lines).encode()

    def end(self) -> bytes:
        return b""

    def break_off(self, refusal: Refusal) -> bytes:
        return f"{encode(errors.body(refusal))}\n".encode()

    def whole(self) -> dict[str, Any]:
        (choice,) = self.choices
        thoughts = {"thinking": choice.thought} if choice.thoughts else {}
        calls = [_call(index, called.whole) for index, called in enumerate(choice.calls.values())]
        return self._whole(choice.text, **thoughts, **({"tool_calls": calls} if calls else {}))

    @abstractmethod
    def said(self, text: str) -> str:
        """The member that holds an answer's text, which is JSON already."""

    @abstractmethod
    def with_more(self, said: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
        """Thoughts and calls, where the dialect looks for them."""

    def empty(self) -> dict[str, Any]:
        return self._said("")

    def _piece(self, choice: Choice, part: Part) -> str:
        """Calls are told whole."""
        choice.keep_call(part)
        match part:
            case Text() | CallBroken():
                return self.said(quoted(part.text)) if part.text else ""
            case Thought():
                return self._more(thinking=part.text)
            case CallEnded():
                return self._more(tool_calls=[_call(part.index, choice.calls.pop(part.index).whole)])
        return ""

    def _more(self, **more: Any) -> str:
        return encode(self._said("", **more))[1:-1]

    def _said(self, text: str, **more: Any) -> dict[str, Any]:
        return self.with_more(json.loads(f"{{{self.said(quoted(text))}}}"), more)

    def _whole(self, text: str, **more: Any) -> dict[str, Any]:
        (choice,) = self.choices
        said = self._said(text, **more)
        end = {**done(str(choice.finish)), **problem_of([choice])}
        return {**head(self.source.model), **said, **end, **_cost(choice.timings)}


class ChatWords(OllamaWords):
    def said(self, text: str) -> str:
        return f'"message":{{"role":"assistant","content":{text}}}'

    def with_more(self, said: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
        return {"message": {**said["message"], **more}}


class GenerateWords(OllamaWords):
    def said(self, text: str) -> str:
        return f'"response":{text}'

    def with_more(self, said: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
        return {**said, **more}


def head(model: str) -> dict[str, Any]:
    return {"model": model, "created_at": now()}


def done(reason: str) -> dict[str, Any]:
    return {"done": True, "done_reason": reason}


def now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def _call(index: int, call: ToolCall) -> dict[str, Any]:
    function = {"index": index, "name": call.name, "arguments": json.loads(call.arguments)}
    return {"id": call.id, "function": function}


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
