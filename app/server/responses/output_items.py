"""What an answer turns out to be, as items of a response, and the events that tell of them. One is open at a time."""

from abc import ABC, abstractmethod
from typing import Any

from app.server.responses.items import CALL, MESSAGE, REASONING, new_id
from backends.protocol import Arguments, CallBegun, CallBroken, CallEnded, Part, Text, Thought

Event = tuple[str, dict[str, Any]]
Logprobs = list[dict[str, Any]]
IN_PROGRESS, COMPLETED, INCOMPLETE = "in_progress", "completed", "incomplete"


class OutputItem(ABC):
    def __init__(self, prefix: str, index: int):
        self.id = new_id(prefix)
        self.status = IN_PROGRESS
        self._place = {"item_id": self.id, "output_index": index}
        self._index = index
        self._texts: list[str] = []

    @property
    def text(self) -> str:
        return "".join(self._texts)

    def begin(self) -> list[Event]:
        return [("response.output_item.added", {"output_index": self._index, "item": self.told()}), *self._begin()]

    def say(self, text: str, logprobs: Logprobs) -> list[Event]:
        self._texts.append(text)
        return [self._delta(text, logprobs)]

    def end(self, status: str) -> list[Event]:
        ends = self._end()
        self.status = status
        return [*ends, ("response.output_item.done", {"output_index": self._index, "item": self.told()})]

    @abstractmethod
    def told(self) -> dict[str, Any]: ...

    @abstractmethod
    def _begin(self) -> list[Event]: ...

    @abstractmethod
    def _delta(self, text: str, logprobs: Logprobs) -> Event: ...

    @abstractmethod
    def _end(self) -> list[Event]: ...


class MessageItem(OutputItem):
    def __init__(self, index: int):
        super().__init__("msg", index)
        self._logprobs: Logprobs = []
        self._place = {**self._place, "content_index": 0}

    def told(self) -> dict[str, Any]:
        content = [] if self.status == IN_PROGRESS else [self._part(self.text)]
        return {"id": self.id, "type": MESSAGE, "status": self.status, "role": "assistant", "content": content}

    def _part(self, text: str) -> dict[str, Any]:
        return {"type": "output_text", "annotations": [], "logprobs": list(self._logprobs), "text": text}

    def _begin(self) -> list[Event]:
        return [("response.content_part.added", {**self._place, "part": self._part("")})]

    def _delta(self, text: str, logprobs: Logprobs) -> Event:
        self._logprobs += logprobs
        return "response.output_text.delta", {**self._place, "delta": text, "logprobs": logprobs}

    def _end(self) -> list[Event]:
        return [
            ("response.output_text.done", {**self._place, "text": self.text, "logprobs": self._logprobs}),
            ("response.content_part.done", {**self._place, "part": self._part(self.text)}),
        ]


class ReasoningItem(OutputItem):
    """Thoughts, as they are; under the name of a summary where one is wanted, because there is no other."""

    def __init__(self, index: int, is_summary: bool):
        super().__init__("rs", index)
        self._key, kind, name = (
            ("summary", "summary_text", "reasoning_summary")
            if is_summary
            else ("content", "reasoning_text", "reasoning")
        )
        self._part_name = "response.reasoning_summary_part" if is_summary else "response.content_part"
        self._kind, self._text_name = kind, f"response.{name}_text"
        self._place = {**self._place, f"{self._key}_index": 0}

    def told(self) -> dict[str, Any]:
        parts = [] if self.status == IN_PROGRESS else [self._part(self.text)]
        return {"id": self.id, "type": REASONING, "status": self.status, "summary": [], "content": [], self._key: parts}

    def _part(self, text: str) -> dict[str, Any]:
        return {"type": self._kind, "text": text}

    def _begin(self) -> list[Event]:
        return [(f"{self._part_name}.added", {**self._place, "part": self._part("")})]

    def _delta(self, text: str, logprobs: Logprobs) -> Event:  # noqa: ARG002
        return f"{self._text_name}.delta", {**self._place, "delta": text}

    def _end(self) -> list[Event]:
        return [
            (f"{self._text_name}.done", {**self._place, "text": self.text}),
            (f"{self._part_name}.done", {**self._place, "part": self._part(self.text)}),
        ]


class CallItem(OutputItem):
    def __init__(self, index: int, call_id: str, name: str):
        super().__init__("fc", index)
        self._named = {"call_id": call_id, "name": name}

    def told(self) -> dict[str, Any]:
        arguments = "" if self.status == IN_PROGRESS else self.text or "{}"
        return {"id": self.id, "type": CALL, "status": self.status, **self._named, "arguments": arguments}

    def _begin(self) -> list[Event]:
        return []

    def _delta(self, text: str, logprobs: Logprobs) -> Event:  # noqa: ARG002
        return "response.function_call_arguments.delta", {**self._place, "delta": text}

    def _end(self) -> list[Event]:
        done = {**self._place, "name": self._named["name"], "arguments": self.text or "{}"}
        return [("response.function_call_arguments.done", done)]


class OutputItems:
    def __init__(self, wants_summary: bool = False):
        """wants_summary: of thoughts."""
        self._wants_summary = wants_summary
        self._items: list[OutputItem] = []
        self._open: OutputItem | None = None
        self._num_begun = 0

    def say(self, part: Part, logprobs: Logprobs) -> list[Event]:
        """logprobs: of the tokens of a text."""
        match part:
            case Text() | CallBroken():
                broken = self._drop_call() if isinstance(part, CallBroken) else []
                return broken + (self._say(MessageItem, part.text, logprobs) if part.text else [])
            case Thought():
                return self._say(ReasoningItem, part.text, [])
            case CallBegun():
                return self._begin(CallItem(self._num_begun, part.id, part.name))
            case Arguments():
                return self._open.say(part.text, []) if self._open else []
            case CallEnded():
                return self.close(COMPLETED)
        return []

    def close(self, status: str) -> list[Event]:
        item, self._open = self._open, None
        return item.end(status) if item else []

    def say_nothing(self) -> list[Event]:
        """An answer without a word is a message of none."""
        return self._begin(MessageItem(0)) if not self._items else []

    def told(self) -> list[dict[str, Any]]:
        return [item.told() for item in self._items]

    def _say(self, kind: type[OutputItem], text: str, logprobs: Logprobs) -> list[Event]:
        begun = [] if isinstance(self._open, kind) else self._begin(self._new(kind))
        assert self._open
        return begun + self._open.say(text, logprobs)

    def _new(self, kind: type[OutputItem]) -> OutputItem:
        if kind is ReasoningItem:
            return ReasoningItem(self._num_begun, self._wants_summary)
        return MessageItem(self._num_begun)

    def _begin(self, item: OutputItem) -> list[Event]:
        end = self.close(COMPLETED)
        self._open = item
        self._items.append(item)
        self._num_begun += 1
        return end + item.begin()

    def _drop_call(self) -> list[Event]:
        """What had begun like a call turns out to be text: nobody is to make it."""
        if not isinstance(self._open, CallItem):
            return []
        self._items.pop()
        return self.close(INCOMPLETE)
