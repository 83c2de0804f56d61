"""POST /api/embed and its elder /api/embeddings, as Ollama's clients know them."""

import time
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import Field, PlainValidator, WithJsonSchema

from app.server.core.fields import MAX_INT, Fields, Whole, text
from app.server.core.switchboard import Switchboard
from app.server.core.text_fields import MAX_MODEL
from app.server.core.vectors import MAX_TEXTS, as_numbers, vectors, written
from app.server.ollama.keep_alive import KeepAlive
from backends.embedding import Embed, Embedded


def _prompt(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a string is expected")
    return text(value)


def _inputs(value: Any) -> tuple[str, ...]:
    several = [value] if isinstance(value, str) else value
    if not isinstance(several, list) or len(several) > MAX_TEXTS:
        raise ValueError(f"a string or a list of at most {MAX_TEXTS} strings is expected")
    return tuple(map(_prompt, several))


SEVERAL_SCHEMA = {"type": "array", "items": {"type": "string", "minLength": 1}, "maxItems": MAX_TEXTS}
INPUT_SCHEMA = {"anyOf": [{"type": "string", "minLength": 1}, SEVERAL_SCHEMA]}


class EmbedFields(Fields):
    ignored = frozenset({"options"})  # of answers

    model: Annotated[str, Field(max_length=MAX_MODEL)]
    truncate: bool | None = Field(None, description="true unless it is said otherwise")
    keep_alive: KeepAlive = None

    @property
    def truncates(self) -> bool:
        return self.truncate is not False


class EmbedRequest(EmbedFields):
    asked_by = {"inputs": ("input",)}  # noqa: RUF012

    input: Annotated[Any, PlainValidator(_inputs), WithJsonSchema(INPUT_SCHEMA)]
    dimensions: Whole | None = Field(None, ge=1, le=MAX_INT)


class ElderRequest(EmbedFields):
    asked_by = {"inputs": ("prompt",)}  # noqa: RUF012

    prompt: Annotated[str, PlainValidator(_prompt), WithJsonSchema({"type": "string", "minLength": 1})]


def embed_router(switchboard: Switchboard) -> APIRouter:
    router = APIRouter()

    @router.post("/api/embed")
    async def embed(body: EmbedRequest, request: Request) -> Any:
        begin = time.perf_counter_ns()
        await switchboard.keep(body.model, body.keep_alive)
        if not body.input:  # as with Ollama: have it loaded
            return {"model": await switchboard.load(body.model), "embeddings": []}
        wanted = Embed(body.input, dimensions=body.dimensions, truncates=body.truncates)
        name, made = await vectors(request, switchboard, body.model, wanted, body.name_of)
        assert isinstance(made, Embedded)
        duration = time.perf_counter_ns() - begin
        counts = {"total_duration": duration, "load_duration": 0, "prompt_eval_count": made.num_tokens}
        return await written(lambda: {"model": name, "embeddings": as_numbers(made), **counts})

    @router.post("/api/embeddings")
    async def embeddings(body: ElderRequest, request: Request) -> dict[str, Any]:
        await switchboard.keep(body.model, body.keep_alive)
        wanted = Embed((body.prompt,), truncates=body.truncates)
        _, made = await vectors(request, switchboard, body.model, wanted, body.name_of)
        assert isinstance(made, Embedded)
        return {"embedding": as_numbers(made)[0]}

    return router
