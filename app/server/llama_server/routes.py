"""llama-server's own routes for text: /completion, /infill, /tokenize, /detokenize, /apply-template."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from app.server.core.answer import Asked, answer, streamed
from app.server.core.reading import read
from app.server.core.resolved import Resolver
from app.server.core.switchboard import Switchboard
from app.server.llama_server.biases import resolved
from app.server.llama_server.fields import (
    AnswerFields,
    CompletionRequest,
    DetokenizeRequest,
    InfillRequest,
    TemplateRequest,
    TokenizeRequest,
)
from app.server.llama_server.words import CompletionWords
from app.server.openai.chat import ChatRequest
from app.server.openai.messages import messages
from backends.protocol import Infill, Reading, Reads


def llama_server_router(switchboard: Switchboard) -> APIRouter:
    router = APIRouter()

    async def answered(
        request: Request, body: AnswerFields, prompts: Sequence[str | tuple[int, ...] | Infill], are_several: bool
    ) -> Response:
        biases = await resolved(body.biases, Resolver(request, switchboard, body.model, body.name_of))
        wanted = [body.wanted(each, biases) for each in prompts]
        words = partial(
            CompletionWords,
            wanted=[each for shared in wanted for each in shared],
            streams=bool(body.stream),
            are_several=are_several or body.num_choices > 1,
            fields=tuple(body.response_fields or ()),
            times_tokens=bool(body.timings_per_token),
            tells_progress=bool(body.return_progress),
        )
        return await answer(request, switchboard, Asked(body.model, wanted, words, bool(body.stream), body.name_of))

    @router.post("/completions", include_in_schema=False)
    @router.post("/completion", responses=streamed("text/event-stream"))
    async def complete(body: CompletionRequest, request: Request) -> Response:
        """Several prompts, or several completions, are answered by a list."""
        resolver = Resolver(request, switchboard, body.model, body.name_of)
        prompts = [await resolver.prompt(each) for each in body.prompt.prompts]
        return await answered(request, body, prompts, body.prompt.are_several)

    @router.post("/infill", responses=streamed("text/event-stream"))
    async def infill(body: InfillRequest, request: Request) -> Response:
        return await answered(request, body, [body.infill()], are_several=False)

    @router.post("/tokenize")
    async def tokenize(body: TokenizeRequest, request: Request) -> dict[str, Any]:
        reading = await read(request, switchboard, body.model, body.wanted(), body.name_of)
        if body.prompt is None:
            return {"tokens": _with_pieces(reading) if body.with_pieces else reading.tokens}
        pieces = [piece.decode("utf-8", "replace") for piece in reading.pieces] if body.return_token_strs else None
        context = await _context(switchboard, body.model)
        counts = {"count": len(reading.tokens), "max_model_len": context}
        return {**counts, "tokens": reading.tokens, "token_strs": pieces}

    @router.post("/detokenize")
    async def detokenize(body: DetokenizeRequest, request: Request) -> dict[str, str]:
        """Under llama-server's name for it and vLLM's."""
        said = (await read(request, switchboard, body.model, body.wanted(), body.name_of)).text if body.tokens else ""
        return {"content": said, "prompt": said}

    @router.post("/apply-template")
    async def apply_template(body: TemplateRequest, request: Request) -> dict[str, str]:
        """With the tokens that begin every prompt, as the vocabulary writes them."""
        return {"prompt": (await read(request, switchboard, body.model, body.wanted(), body.name_of)).text}

    @router.post("/chat/completions/input_tokens", include_in_schema=False)
    @router.post("/v1/chat/completions/input_tokens")
    async def count(body: ChatRequest, request: Request) -> dict[str, Any]:
        """The tokens of a chat's prompt, without an answer."""
        wanted = replace(body.generate(messages(body.messages)), reads=Reads.PROMPT)
        reading = await read(request, switchboard, body.model, wanted, body.name_of)
        return {"object": "response.input_tokens", "input_tokens": len(reading.tokens)}

    return router


async def _context(switchboard: Switchboard, model: str | None) -> int:
    ready = (await switchboard.loaded(model)).snapshot.ready
    return ready.context if ready else 0


def _with_pieces(reading: Reading) -> list[dict[str, Any]]:
    """A piece that is no character by itself is given as its bytes."""
    return [{"id": token, "piece": _text(piece)} for token, piece in zip(reading.tokens, reading.pieces, strict=True)]


def _text(piece: bytes) -> str | list[int]:
    try:
        return piece.decode()
    except UnicodeDecodeError:
        return list(piece)
