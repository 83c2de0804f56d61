"""An answer in Anthropic's words: a message of blocks, or the events that it is made of."""

import json
import uuid
from typing import Any

from app.server.anthropic import errors
from app.server.anthropic.blocks import CALL, TEXT, THOUGHT, Blocks, encode, event
from app.server.core.choice import Choice, first_call_only, problem_of
from app.server.core.refusal import Refusal
from app.server.core.words import Source, Wait, Words
from backends.protocol import Finish, Output, Timings


class MessageWords(Words):
    def __init__(self, source: Source, stops: tuple[str, ...] = (), takes_one: bool = False):
        """stops: those of the request; a chat's format has others, of which nobody is told. takes_one: calls behind the
        first are not told."""
        super().__init__(source)
        self._stops = stops
        self._takes_one = takes_one
        self._id = f"msg_{uuid.uuid4().hex}"
        self._is_begun = False
        self._blocks = Blocks()

    def begin(self) -> bytes:
        """Nothing: what a message begins with is known with its first token."""
        return b""

    def wait(self, wait: Wait) -> bytes:  # noqa: ARG002
        return event("ping").encode()

    def add(self, index: int, output: Output) -> None:
        super().add(index, first_call_only(output) if self._takes_one else output)

    def go_on(self, index: int, output: Output) -> bytes:
        output = first_call_only(output) if self._takes_one else output
        choice = self.choices[index]
        choice.take(output)
        said = "" if self._is_begun else self._head(choice.timings)
        said += "".join(map(self._blocks.say, output.all_parts))
        if output.finish:
            said += self._tail(choice)
        return said.encode()

    def end(self) -> bytes:
        return event("message_stop").encode()

    def break_off(self, refusal: Refusal) -> bytes:
        return f"event: error\ndata: {encode(errors.body(refusal))}\n\n".encode()

    def whole(self) -> dict[str, Any]:
        (choice,) = self.choices
        content: list[dict[str, Any]] = []
        if choice.thoughts:
            content.append({"type": THOUGHT, "thinking": choice.thought, "signature": ""})
        if choice.text:
            content.append({"type": TEXT, "text": choice.text})
        calls = [called.whole for called in choice.calls.values()]
        content += [{"type": CALL, "id": c.id, "name": c.name, "input": json.loads(c.arguments)} for c in calls]
        return {**self._message(content, choice.timings), **self._stop(choice), **problem_of([choice])}

    def _head(self, prompt: Timings) -> str:
        self._is_begun = True
        return event("message_start", message=self._message([], prompt)) + event("ping")

    def _tail(self, choice: Choice) -> str:
        told = {"delta": self._stop(choice), "usage": _usage(choice.timings), **problem_of([choice])}
        return self._blocks.close() + event("message_delta", **told)

    def _stop(self, choice: Choice) -> dict[str, Any]:
        if choice.finish is Finish.LENGTH:
            return {"stop_reason": "max_tokens", "stop_sequence": None}
        if choice.has_called:
            return {"stop_reason": "tool_use", "stop_sequence": None}
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
