"""A prompt as its model reads it: token ids and pieces, without an answer."""

from fastapi import Request

from app.server.core.disconnect import unless_disconnected
from app.server.core.switchboard import Switchboard
from backends.protocol import Generate, Reading


async def read(request: Request, switchboard: Switchboard, model: str | None, wanted: Generate) -> Reading:
    """wanted: with `reads`. Raises what an Exchange raises."""
    with switchboard.connect(model, [[wanted]]) as exchange:
        return await unless_disconnected(request.receive, exchange.reading())
