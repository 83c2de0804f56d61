"""From an exchange to a response: the part that all routes for text share."""

from collections.abc import Callable

from fastapi import Request
from starlette.responses import JSONResponse, Response

from app.server.core.disconnect import unless_disconnected
from app.server.core.exchange import Exchange
from app.server.core.stream import EventStream
from app.server.openai.form import Form


async def answer(request: Request, exchange: Exchange, form_for: Callable[[str], Form], streams: bool) -> Response:
    """form_for takes the model's name. A refusal is raised here, before a stream has begun."""
    try:
        await unless_disconnected(request.receive, exchange.open())
        form = form_for(exchange.model)
        if streams:
            return EventStream(exchange, form)  # it closes the exchange
        await unless_disconnected(request.receive, _fill(form, exchange))
    except BaseException:
        exchange.close()
        raise
    exchange.close()
    return JSONResponse(form.whole())


async def _fill(form: Form, exchange: Exchange) -> None:
    async for index, output in exchange:
        form.add(index, output)
