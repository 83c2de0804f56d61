"""POST /v1/embeddings, as OpenAI's clients know it."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema

from app.server.core.fields import MAX_INT, Fields, Refused, Whole, text
from app.server.core.prompts import SOME_TEXT, Prompts, as_prompts, pieces_of, schema
from app.server.core.switchboard import Switchboard
from app.server.core.text_fields import MAX_MODEL
from app.server.core.vectors import MAX_TEXTS, as_base64, as_numbers, vectors, written
from backends.embedding import Embed, Embedded


def _inputs(value: Any) -> Prompts:
    """OpenAI's texts and token ids, and what llama-server takes beside them. OpenAI refuses an empty text, too."""
    inputs = as_prompts(value, MAX_TEXTS, has_contents=True)
    if not all(inputs.prompts):
        raise ValueError("an input is empty")
    return inputs


Model = Annotated[str, AfterValidator(text), Field(max_length=MAX_MODEL)]


class EmbeddingsRequest(Fields):
    ignored = frozenset({"user"})
    refused = {  # noqa: RUF012
        "embd_normalize": Refused("vectors have length 1", (2,)),
        "content": Refused("texts are called input here"),
    }

    asked_by = {"inputs": ("input",)}  # noqa: RUF012

    input: Annotated[Any, PlainValidator(_inputs), WithJsonSchema(schema(MAX_TEXTS, SOME_TEXT, has_contents=True))]
    model: Model | None = None
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Whole | None = Field(None, ge=1, le=MAX_INT)


def embeddings_router(switchboard: Switchboard) -> APIRouter:
    router = APIRouter()

    @router.post("/v1/embeddings")
    async def create_embeddings(body: EmbeddingsRequest, request: Request) -> Response:
        wanted = Embed(tuple(map(pieces_of, body.input.prompts)), dimensions=body.dimensions)
        name, made = await vectors(request, switchboard, body.model, wanted, body.name_of)
        assert isinstance(made, Embedded)

        def document() -> dict[str, Any]:
            shown: list[Any] = as_base64(made) if body.encoding_format == "base64" else as_numbers(made)
            return {
                "object": "list",
                "data": [{"object": "embedding", "index": at, "embedding": each} for at, each in enumerate(shown)],
                "model": name,
                "usage": {"prompt_tokens": made.num_tokens, "total_tokens": made.num_tokens},
            }

        return await written(document)

    return router
