"""POST /embedding and /embeddings, which are not OpenAI's: a list, each with its vectors in a list."""

from typing import Any, Self

from fastapi import APIRouter, Request
from pydantic import ConfigDict, model_validator

from app.server.core.conditions import exactly_one
from app.server.core.fields import Fields, Refused, not_supported
from app.server.core.prompts import Prompts, pieces_of
from app.server.core.switchboard import Switchboard
from app.server.core.vectors import as_numbers, vectors
from app.server.llama_server.fields import Model, PromptField
from backends.embedding import Embed, Embedded

ONE_INPUT = exactly_one(("content", "input"), {"type": ["string", "array", "object"]})


class EmbeddingRequest(Fields):
    ignored = frozenset({"user"})
    refused = {  # noqa: RUF012
        "embd_normalize": Refused("vectors have length 1", (2,)),
        "encoding_format": Refused("vectors are lists of numbers here; /v1/embeddings has base64", ("float",)),
    }

    model_config = ConfigDict(json_schema_extra=ONE_INPUT)

    asked_by = {"inputs": ("input", "content")}  # noqa: RUF012

    content: PromptField | None = None
    input: PromptField | None = None
    model: Model | None = None

    @property
    def prompts(self) -> Prompts:
        given = self.content if self.input is None else self.input
        assert isinstance(given, Prompts)
        return given

    @model_validator(mode="after")
    def _one_input(self) -> Self:
        if (self.content is None) == (self.input is None):
            raise not_supported("either content or input is expected", "content" if self.input is None else "input")
        return self


def embedding_router(switchboard: Switchboard) -> APIRouter:
    router = APIRouter()

    @router.post("/embeddings")
    @router.post("/embedding")
    async def embed(body: EmbeddingRequest, request: Request) -> list[dict[str, Any]]:
        wanted = Embed(tuple(map(pieces_of, body.prompts.prompts)))
        _, made = await vectors(request, switchboard, body.model, wanted, body.name_of)
        assert isinstance(made, Embedded)
        return [{"index": at, "embedding": [each]} for at, each in enumerate(as_numbers(made))]

    return router
