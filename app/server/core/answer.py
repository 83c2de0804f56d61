"""From a validated request to a response: the part that all routes for text share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from starlette.responses import JSONResponse, Response

from app.errors import RequestError, SlipstreamError
from app.server.core.disconnect import unless_disconnected
from app.server.core.exchange import Exchange
from app.server.core.refusal import from_slipstream
from app.server.core.stream import EventStream
from app.server.core.switchboard import Switchboard
from app.server.core.words import Source, Words
from backends.protocol import Generate


def streamed(media_type: str) -> dict[int | str, dict[str, Any]]:
    """What OpenAPI tells of a route that answers at once or as a stream."""
    return {200: {"description": "The answer, or its stream.", "content": {media_type: {}}}}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a dialect makes of a request. prompts: for each prompt the answers that share it. name_of: what the program
    calls a part of it."""

    model: str | None
    prompts: Sequence[Sequence[Generate]]
    words: Callable[[Source], Words]
    streams: bool = False
    name_of: Callable[[str], str | None] = lambda _: None


async def answer(request: Request, switchboard: Switchboard, asked: Asked) -> Response:
    """What the engine refuses is raised here, before a stream has begun."""
    exchange = switchboard.connect(asked.model, asked.prompts, asked.name_of)
    try:
        if asked.streams:
            await unless_disconnected(request.receive, exchange.begin())
            return EventStream(exchange, asked.words)  # it closes the exchange
        await unless_disconnected(request.receive, exchange.open())
        words = asked.words(exchange.source)
        await unless_disconnected(request.receive, _add_up(words, exchange))
    except BaseException:
        exchange.close()
        raise
    exchange.close()
    return JSONResponse(words.whole())


async def _add_up(words: Words, exchange: Exchange) -> None:
    """All of it, or a Refusal: no API has a finish reason for an engine that died, so clients expect a status 5xx and
    ask again, as with OpenAI's and llama-server's. Want of memory has one, "length", and is no failure here."""
    try:
        async for outputs in exchange:
            for index, output in outputs:
                words.add(index, output)
    except SlipstreamError as error:
        refusal = from_slipstream(error)
        if isinstance(error, RequestError) and error.about == "prompt":  # it had said nothing, and would not streamed
            raise refusal from error
        raise refusal.with_loss(exchange.tally.num_tokens) from error
