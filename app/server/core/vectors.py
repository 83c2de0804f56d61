"""From a validated request for vectors or scores of texts to what the engine made of them."""

from array import array
from base64 import b64encode

from fastapi import Request

from app.server.core.disconnect import unless_disconnected
from app.server.core.switchboard import Switchboard
from backends.embedding import Embedded, EmbeddingRequest, Ranked

MAX_TEXTS = 2048  # of a request, as OpenAI has it


async def vectors(
    request: Request, switchboard: Switchboard, model: str | None, wanted: EmbeddingRequest
) -> tuple[str, Embedded | Ranked]:
    """And the name of the engine. Raises as an exchange's `open`."""
    with switchboard.connect(model, [[wanted]]) as exchange:
        made = await unless_disconnected(request.receive, exchange.vectors())
        return exchange.source.model, made


def as_numbers(made: Embedded) -> list[list[float]]:
    numbers = array("f", made.vectors)  # little endian, as all machines are that llama.cpp runs on
    return [numbers[at : at + made.dimensions].tolist() for at in range(0, len(numbers), made.dimensions)]


def as_base64(made: Embedded) -> list[str]:
    """Of float32, little endian, as OpenAI gives them."""
    size = 4 * made.dimensions
    return [b64encode(made.vectors[at : at + size]).decode() for at in range(0, len(made.vectors), size)]
