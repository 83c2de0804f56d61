"""The blocks of a message in a stream: one is open at a time."""

import json
from json.encoder import encode_basestring as quoted
from typing import Any

from backends.protocol import Arguments, CallBegun, CallBroken, CallEnded, Part, Text, Thought

encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
TEXT, THOUGHT, CALL = "text", "thinking", "tool_use"
DELTAS = {
    TEXT: ("text_delta", "text"),
    THOUGHT: ("thinking_delta", "thinking"),
    CALL: ("input_json_delta", "partial_json"),
}


class Blocks:
    def __init__(self) -> None:
        self._open: str | None = None
        self._index = -1

    def say(self, part: Part) -> str:
        match part:
            case Text() | CallBroken():
                return self._delta(TEXT, part.text, {"text": ""}) if part.text else ""
            case Thought():
                return self._delta(THOUGHT, part.text, {"thinking": "", "signature": ""})
            case CallBegun():
                return self._begin(CALL, {"id": part.id, "name": part.name, "input": {}})
            case Arguments():
                return self._delta(CALL, part.text, {})
            case CallEnded():
                return self.close()
        return ""

    def close(self) -> str:
        if self._open is None:
            return ""
        self._open = None
        return event("content_block_stop", index=self._index)

    def _begin(self, kind: str, block: dict[str, Any]) -> str:
        end = self.close()
        self._open = kind
        self._index += 1
        return end + event("content_block_start", index=self._index, content_block={"type": kind, **block})

    def _delta(self, kind: str, said: str, block: dict[str, Any]) -> str:
        """Written by hand: it is said for every token."""
        begin = "" if self._open == kind else self._begin(kind, block)
        delta, key = DELTAS[kind]
        data = f'"index":{self._index},"delta":{{"type":"{delta}","{key}":{quoted(said)}}}'
        return f'{begin}event: content_block_delta\ndata: {{"type":"content_block_delta",{data}}}\n\n'


def event(kind: str, **data: Any) -> str:
    return f"event: {kind}\ndata: {encode({'type': kind, **data})}\n\n"
