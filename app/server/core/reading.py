"""A prompt as its model reads it: token ids and pieces, without an answer."""

from collections.abc import Callable

from fastapi import Request

from app.server.core.disconnect import unless_disconnected
from app.server.core.switchboard import Switchboard
from backends.protocol import Generate, Reading


async def read(
    request: Request,
    switchboard: Switchboard,
    model: str | None,
    wanted: Generate,
    name_of: Callable[[str], str | None] = lambda _: None,
) -> Reading:
    """wanted: with `reads`. name_of: what the program calls a part of it. Raises what an Exchange raises."""
    with switchboard.connect(model, [[wanted]], name_of) as exchange:
        return await unless_disconnected(request.receive, exchange.reading())
