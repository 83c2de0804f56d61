"""What a client asks and reads in each of three dialects, without their libraries: a question, and how it went."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

Piece = tuple[str, str | None]  # of a text, and of which model; an end is no piece


class ToldFault(Exception):
    """A stream that says itself that it is broken off; str() is its sentence."""


@dataclass(frozen=True)
class Dialect:
    """pieces: of a stream's lines, to its proper end, without which it raises EOFError. whole: of an answer in one."""

    path: str
    more: dict[str, Any]
    pieces: Callable[[Iterable[str]], Iterator[Piece]]
    whole: Callable[[dict[str, Any]], Piece]

    def body(self, model: str, question: str, *, streams: bool) -> dict[str, Any]:
        return {"model": model, "messages": [{"role": "user", "content": question}], "stream": streams, **self.more}


def events(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The data of server-sent events."""
    for line in lines:
        if line.startswith("data: ") and line != "data: [DONE]":
            event = json.loads(line.removeprefix("data: "))
            if "error" in event:
                raise ToldFault(event["error"]["message"])
            yield event


def openai_pieces(lines: Iterable[str]) -> Iterator[Piece]:
    is_finished = False
    for event in events(lines):
        for choice in event["choices"]:
            yield choice["delta"].get("content") or "", event["model"]
            is_finished |= choice["finish_reason"] is not None
    if not is_finished:
        raise EOFError


def anthropic_pieces(lines: Iterable[str]) -> Iterator[Piece]:
    model = None
    for event in events(lines):
        match event["type"]:
            case "message_start":
                model = event["message"]["model"]
            case "content_block_delta":
                yield event["delta"]["text"], model
            case "message_stop":
                return
    raise EOFError


def ollama_pieces(lines: Iterable[str]) -> Iterator[Piece]:
    for line in lines:
        said = json.loads(line)
        if "error" in said:
            raise ToldFault(said["error"])
        yield said["message"]["content"], said["model"]
        if said["done"]:
            return
    raise EOFError


DIALECTS = (
    Dialect(
        "/v1/chat/completions",
        {},
        openai_pieces,
        lambda answer: (answer["choices"][0]["message"]["content"], answer["model"]),
    ),
    Dialect(
        "/v1/messages",
        {"max_tokens": 1000},
        anthropic_pieces,
        lambda answer: ("".join(block["text"] for block in answer["content"]), answer["model"]),
    ),
    Dialect(
        "/api/chat",
        {},
        ollama_pieces,
        lambda answer: (answer["message"]["content"], answer["model"]),
    ),
)
