"""An answer in Anthropic's words: a message of blocks, or the events that it is made of."""

import json
import uuid
from json.encoder import encode_basestring as quoted
from typing import Any

from app.server.anthropic import errors
from app.server.core.choice import Choice
from app.server.core.refusal import Refusal
from app.server.core.words import Source, Words
from backends.protocol import Finish, Output, Timings

encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
DELTA = 'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":'


class MessageWords(Words):
    def __init__(self, source: Source, stops: tuple[str, ...] = ()):
        """stops: those of the request; a chat's format has others, of which nobody is told."""
        super().__init__(source)
        self._stops = stops
        self._id = f"msg_{uuid.uuid4().hex}"
        self._is_begun = False

    def begin(self) -> bytes:
        """Nothing: what a message begins with is known with its first token."""
        return b""

    def go_on(self, index: int, output: Output) -> bytes:
        choice = self.choices[index]
        choice.take(output)
        said = "" if self._is_begun else self._head(choice.timings)
        if output.text:
            said += f"{DELTA}{quoted(output.text)}}}}}\n\n"
        if output.finish:
            said += self._tail(choice)
        return said.encode()

    def end(self) -> bytes:
        return _event("message_stop").encode()

    def break_off(self, refusal: Refusal) -> bytes:
        return f"event: error\ndata: {encode(errors.body(refusal))}\n\n".encode()

    def whole(self) -> dict[str, Any]:
        (choice,) = self.choices
        content = [{"type": "text", "text": choice.text}] if choice.text else []
        return {**self._message(content, choice.timings), **self._stop(choice)}

    def _head(self, prompt: Timings) -> str:
        self._is_begun = True
        message = self._message([], prompt)
        block = {"type": "text", "text": ""}
        start = _event("message_start", message=message)
        return start + _event("content_block_start", index=0, content_block=block) + _event("ping")

    def _tail(self, choice: Choice) -> str:
        end = _event("content_block_stop", index=0)
        return end + _event("message_delta", delta=self._stop(choice), usage=_usage(choice.timings))

    def _stop(self, choice: Choice) -> dict[str, Any]:
        if choice.finish is Finish.LENGTH:
            return {"stop_reason": "max_tokens", "stop_sequence": None}
        stop = choice.stop if choice.stop in self._stops else None
        return {"stop_reason": "stop_sequence" if stop else "end_turn", "stop_sequence": stop}

    def _message(self, content: list[dict[str, Any]], timings: Timings) -> dict[str, Any]:
        return {
            "id": self._id,
            "type": "message",
            "role": "assistant",
            "model": self.source.model,
            "content": content,
            "stop_reason": None,
            "stop_sequence": None,
            "usage": _usage(timings),
        }


def _usage(timings: Timings) -> dict[str, Any]:
    """The prompt's tokens are those that were read and, beside them, those that were known."""
    return {
        "input_tokens": timings.prompt_n,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": timings.cache_n,
        "output_tokens": timings.predicted_n,
        "service_tier": "standard",
    }


def _event(kind: str, **data: Any) -> str:
    return f"event: {kind}\ndata: {encode({'type': kind, **data})}\n\n"
