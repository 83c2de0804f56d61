"""llama-server's own routes: POST /completion, /tokenize and /detokenize."""

from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.server.core.answer import Asked, answer
from app.server.core.reading import read
from app.server.core.switchboard import Switchboard
from app.server.llama_server.fields import CompletionRequest, DetokenizeRequest, TokenizeRequest
from app.server.llama_server.words import CompletionWords
from backends.protocol import Reading


def llama_server_router(switchboard: Switchboard) -> APIRouter:
    router = APIRouter()

    @router.post("/completions", include_in_schema=False)
    @router.post("/completion")
    async def complete(body: CompletionRequest, request: Request) -> Response:
        wanted = body.wanted()
        words = partial(CompletionWords, stops=wanted.stop)
        return await answer(request, switchboard, Asked(body.model, [[wanted]], words, bool(body.stream)))

    @router.post("/tokenize")
    async def tokenize(body: TokenizeRequest, request: Request) -> dict[str, Any]:
        reading = await read(request, switchboard, body.model, body.wanted())
        return {"tokens": _with_pieces(reading) if body.with_pieces else reading.tokens}

    @router.post("/detokenize")
    async def detokenize(body: DetokenizeRequest, request: Request) -> dict[str, str]:
        if not body.tokens:
            return {"content": ""}
        return {"content": (await read(request, switchboard, body.model, body.wanted())).text}

    return router


def _with_pieces(reading: Reading) -> list[dict[str, Any]]:
    """A piece that is no character by itself is given as its bytes."""
    return [{"id": token, "piece": _text(piece)} for token, piece in zip(reading.tokens, reading.pieces, strict=True)]


def _text(piece: bytes) -> str | list[int]:
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return list(piece)
