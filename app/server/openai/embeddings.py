"""POST /v1/embeddings, as OpenAI's clients know it."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema

from app.server.core.fields import MAX_INT, Fields, Refused, Whole, text
from app.server.core.prompt import TOKENS_SCHEMA, as_prompt, is_tokens
from app.server.core.switchboard import Switchboard
from app.server.core.text_fields import MAX_MODEL
from app.server.core.vectors import MAX_TEXTS, as_base64, as_numbers, vectors, written
from backends.embedding import Embed, Embedded


def _inputs(value: Any) -> tuple[str | tuple[int, ...], ...]:
    """A string, token ids, or a list of either. An empty text is refused, as OpenAI does."""
    several = value if isinstance(value, list) and not is_tokens(value) else [value]
    if not 1 <= len(several) <= MAX_TEXTS:
        raise ValueError(f"from 1 to {MAX_TEXTS} inputs are expected")
    inputs = tuple(map(as_prompt, several))
    if not all(inputs):
        raise ValueError("an input is empty")
    return inputs


ONE_SCHEMA = {"anyOf": [{"type": "string", "minLength": 1}, TOKENS_SCHEMA]}
SEVERAL_SCHEMA = {"type": "array", "items": ONE_SCHEMA, "minItems": 1, "maxItems": MAX_TEXTS}
INPUT_SCHEMA = {"anyOf": [*ONE_SCHEMA["anyOf"], SEVERAL_SCHEMA]}
Model = Annotated[str, AfterValidator(text), Field(max_length=MAX_MODEL)]


class EmbeddingsRequest(Fields):
    ignored = frozenset({"user"})
    refused = {  # noqa: RUF012
        "embd_normalize": Refused("vectors have length 1", (2,)),
        "content": Refused("texts are called input here"),
    }

    input: Annotated[Any, PlainValidator(_inputs), WithJsonSchema(INPUT_SCHEMA)]
    model: Model | None = None
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Whole | None = Field(None, ge=1, le=MAX_INT)


def embeddings_router(switchboard: Switchboard) -> APIRouter:
    router = APIRouter()

    @router.post("/v1/embeddings")
    async def create_embeddings(body: EmbeddingsRequest, request: Request) -> Response:
        wanted = Embed(body.input, dimensions=body.dimensions)
        name, made = await vectors(request, switchboard, body.model, wanted)
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
