"""POST /api/chat and /api/generate, and the routes that say what there is, as Ollama's clients know them."""

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from app.errors import UnknownModelError
from app.server.core.answer import Asked, answer, streamed
from app.server.core.directory import ModelFacts, unknown_name
from app.server.core.rights import require_managing
from app.server.core.switchboard import Switchboard
from app.server.core.words import Source
from app.server.ollama.fields import ChatRequest, GenerateRequest, ShowRequest
from app.server.ollama.models import loaded, named, shown
from app.server.ollama.words import ChatWords, GenerateWords, OllamaWords, done, head
from backends.protocol import Generate

LATEST = ":latest"  # Ollama's own clients add it to names that have no tag
VERSION = "0.13.0"  # of Ollama, whose routes these are: some clients look for a least one


def ollama_router(switchboard: Switchboard) -> APIRouter:
    router = APIRouter()

    async def said(
        request: Request,
        body: ChatRequest | GenerateRequest,
        wanted: Generate | None,
        words: Callable[[Source], OllamaWords],
    ) -> Response:
        is_unload = wanted is None and body.keep_alive == 0
        if is_unload:
            await require_managing()
        await switchboard.keep(body.model, body.keep_alive)
        if wanted is None:
            name = body.model if is_unload else await switchboard.load(body.model)
            return JSONResponse(
                {**head(name), **words(Source(name)).empty(), **done("unload" if is_unload else "load")}
            )
        return await answer(request, switchboard, Asked(body.model, [[wanted]], words, body.streams, body.name_of))

    @router.post("/api/chat", responses=streamed("application/x-ndjson"))
    async def chat(body: ChatRequest, request: Request) -> Response:
        return await said(request, body, body.wanted(), ChatWords)

    @router.post("/api/generate", responses=streamed("application/x-ndjson"))
    async def generate(body: GenerateRequest, request: Request) -> Response:
        return await said(request, body, body.wanted(), GenerateWords)

    @router.get("/api/version")
    async def version() -> dict[str, str]:
        return {"version": VERSION}

    @router.get("/api/tags")
    async def tags() -> dict[str, Any]:
        return {"models": [named(id_, facts) for id_, facts in (await switchboard.models()).items()]}

    @router.get("/api/ps")
    async def ps() -> dict[str, Any]:
        models = await switchboard.models()
        return {"models": [loaded(id_, facts) for id_, facts in models.items() if facts.is_loaded]}

    @router.post("/api/show")
    async def show(body: ShowRequest) -> dict[str, Any]:
        models = await switchboard.models()
        name = await switchboard.answering(body.model) or await switchboard.answering(body.model.removesuffix(LATEST))
        name = name or body.model
        facts = _find(name, models)
        return shown(name, facts, await switchboard.header(name))

    return router


def _find(name: str, models: Mapping[str, ModelFacts]) -> ModelFacts:
    facts = models.get(name)
    if facts is None:
        raise UnknownModelError(unknown_name(name, list(models), [id_ for id_, f in models.items() if f.is_loaded]))
    return facts
