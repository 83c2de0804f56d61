"""POST /v1/messages and /v1/messages/count_tokens, as Anthropic's clients know them."""

from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.server.anthropic.fields import CountRequest, MessagesRequest
from app.server.anthropic.words import MessageWords
from app.server.core.answer import Asked, answer, streamed
from app.server.core.reading import read
from app.server.core.switchboard import Switchboard


def messages_router(switchboard: Switchboard) -> APIRouter:
    router = APIRouter()

    @router.post("/v1/messages", responses=streamed("text/event-stream"))
    async def create_message(body: MessagesRequest, request: Request) -> Response:
        wanted = body.generate()
        words = partial(MessageWords, stops=wanted.stop, takes_one=not wanted.tool_choice.is_parallel)
        asked = Asked(body.model, [[wanted]], words, bool(body.stream), body.name_of)
        return await answer(request, switchboard, asked)

    @router.post("/v1/messages/count_tokens")
    async def count_tokens(body: CountRequest, request: Request) -> dict[str, Any]:
        reading = await read(request, switchboard, body.model, body.wanted(), body.name_of)
        return {"input_tokens": len(reading.tokens)}

    return router
