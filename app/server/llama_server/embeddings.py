"""POST /embedding and /embeddings, which are not OpenAI's: a list, each with its vectors in a list."""

from typing import Annotated, Any, Self

from fastapi import APIRouter, Request
from pydantic import PlainValidator, WithJsonSchema, model_validator

from app.server.core.fields import Fields, Refused
from app.server.core.switchboard import Switchboard
from app.server.core.vectors import MAX_TEXTS, as_numbers, vectors
from app.server.llama_server.fields import Model
from app.server.llama_server.prompt import SCHEMA, Mixed, Prompts, as_prompts
from app.server.llama_server.resolved import Resolver
from backends.embedding import Embed, Embedded

Inputs = Annotated[Any, PlainValidator(as_prompts), WithJsonSchema(SCHEMA)]


class EmbeddingRequest(Fields):
    ignored = frozenset({"user"})
    refused = {  # noqa: RUF012
        "embd_normalize": Refused("vectors have length 1", (2,)),
        "encoding_format": Refused("vectors are lists of numbers here; /v1/embeddings has base64", ("float",)),
    }

    content: Inputs | None = None
    input: Inputs | None = None
    model: Model | None = None

    @property
    def prompts(self) -> Prompts:
        given = self.content if self.input is None else self.input
        assert isinstance(given, Prompts)
        return given

    @model_validator(mode="after")
    def _one_input(self) -> Self:
        if (self.content is None) == (self.input is None):
            raise ValueError("either content or input is expected")
        return self


def embedding_router(switchboard: Switchboard) -> APIRouter:
    router = APIRouter()

    @router.post("/embeddings")
    @router.post("/embedding")
    async def embed(body: EmbeddingRequest, request: Request) -> list[dict[str, Any]]:
        resolver = Resolver(request, switchboard, body.model)
        given = body.prompts.prompts[:MAX_TEXTS]
        texts = [await resolver.prompt(each) if isinstance(each, Mixed) else each for each in given]
        _, made = await vectors(request, switchboard, body.model, Embed(tuple(texts)))
        assert isinstance(made, Embedded)
        return [{"index": at, "embedding": [each]} for at, each in enumerate(as_numbers(made))]

    return router
