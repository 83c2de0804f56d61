"""From a validated request for vectors or scores of texts to what the engine made of them."""

import json
from array import array
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from fastapi import Request, Response

from app.server.core.disconnect import unless_disconnected
from app.server.core.switchboard import Switchboard
from app.server.core.threads import in_thread
from backends.embedding import Embedded, EmbeddingRequest, Ranked

MAX_TEXTS = 2048  # of a request, as OpenAI has it


async def vectors(
    request: Request,
    switchboard: Switchboard,
    model: str | None,
    wanted: EmbeddingRequest,
    name_of: Callable[[str], str | None] = lambda _: None,
) -> tuple[str, Embedded | Ranked]:
    """And the name of the engine. name_of: what the program calls a part of its request. Raises as an exchange's
    `open`."""
    with switchboard.connect(model, [[wanted]], name_of) as exchange:
        made = await unless_disconnected(request.receive, exchange.vectors())
        return exchange.source.model, made


def as_numbers(made: Embedded) -> list[list[float]]:
    numbers = array("f", made.vectors)  # little endian, as all machines are that llama.cpp runs on
    return [numbers[at : at + made.dimensions].tolist() for at in range(0, len(numbers), made.dimensions)]


def as_base64(made: Embedded) -> list[str]:
    """Of float32, little endian, as OpenAI gives them."""
    size = 4 * made.dimensions
    return [b64encode(made.vectors[at : at + size]).decode() for at in range(0, len(made.vectors), size)]


async def written(document: Callable[[], Mapping[str, Any]]) -> Response:
    """The document as JSON. Thousands of vectors take a second: it is made and written in a thread, beside streams."""
    text = await in_thread(lambda: b"".join(_pieces(document())))
    return Response(text, media_type="application/json")


def _pieces(document: Mapping[str, Any]) -> Iterator[bytes]:
    """Lists element by element: one call for all would keep the interpreter's lock as long as it takes."""
    sign = b"{"
    for key, value in document.items():
        yield sign + _json(key) + b":"
        yield from _items(value) if isinstance(value, list) else [_json(value)]
        sign = b","
    yield b"}"


def _items(values: list[Any]) -> Iterator[bytes]:
    yield b"["
    for at, value in enumerate(values):
        yield (b"," if at else b"") + _json(value)
    yield b"]"


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
