"""POST /v1/rerank, which OpenAI does not have: in Jina's words, as llama-server takes it."""

from typing import Annotated, Any, Self

from fastapi import APIRouter, Request
from pydantic import ConfigDict, Field, PlainValidator, WithJsonSchema, model_validator

from app.server.core.conditions import exactly_one
from app.server.core.fields import MAX_INT, Fields, Whole, not_supported, text
from app.server.core.switchboard import Switchboard
from app.server.core.vectors import MAX_TEXTS, vectors
from app.server.openai.embeddings import Model
from backends.embedding import Rank, Ranked


def _text(value: Any) -> str:
    value = value.get("text") if isinstance(value, dict) else value
    if not isinstance(value, str) or not value:
        raise ValueError("a text is expected")
    return text(value)


def _documents(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_TEXTS:
        raise ValueError(f"a list of 1 to {MAX_TEXTS} documents is expected")
    return tuple(map(_text, value))


TEXT_SCHEMA: dict[str, Any] = {"type": "string", "minLength": 1}
AN_OBJECT = {"type": "object", "properties": {"text": TEXT_SCHEMA}, "required": ["text"]}
ONE_SCHEMA = {"anyOf": [TEXT_SCHEMA, AN_OBJECT]}
DOCUMENTS_SCHEMA = {"type": "array", "items": ONE_SCHEMA, "minItems": 1, "maxItems": MAX_TEXTS}


Documents = Annotated[Any, PlainValidator(_documents), WithJsonSchema(DOCUMENTS_SCHEMA)]


class RerankRequest(Fields):
    model_config = ConfigDict(json_schema_extra=exactly_one(("documents", "texts"), {"type": "array"}))

    asked_by = {"documents": ("documents", "texts")}  # noqa: RUF012

    query: Annotated[str, PlainValidator(_text), WithJsonSchema(ONE_SCHEMA)]
    documents: Documents | None = None
    texts: Documents | None = Field(None, description="the documents, as Hugging Face's servers name them")
    model: Model | None = None
    top_n: Whole | None = Field(None, ge=1, le=MAX_INT)
    return_documents: bool | None = None
    return_text: bool | None = Field(None, description="return_documents, where the documents are called texts")

    @model_validator(mode="after")
    def _one_list(self) -> Self:
        if (self.documents is None) == (self.texts is None):
            reason = "either documents or texts are expected"
            raise not_supported(reason, "documents" if self.texts is None else "texts")
        return self

    @property
    def all_documents(self) -> tuple[str, ...]:
        documents: tuple[str, ...] = (self.documents if self.texts is None else self.texts) or ()
        return documents


def rerank_router(switchboard: Switchboard) -> APIRouter:
    router = APIRouter()

    @router.post("/v1/rerank")
    @router.post("/v1/reranking")
    @router.post("/rerank")
    @router.post("/reranking")
    async def rerank(body: RerankRequest, request: Request) -> dict[str, Any] | list[dict[str, Any]]:
        name, made = await vectors(request, switchboard, body.model, Rank(body.query, body.all_documents), body.name_of)
        assert isinstance(made, Ranked)
        best = sorted(enumerate(made.scores), key=lambda pair: -pair[1])[: body.top_n]
        if body.texts is not None:
            return [_of_text(at, score, body) for at, score in best]
        return {
            "object": "list",
            "results": [_result(at, score, body) for at, score in best],
            "model": name,
            "usage": {"prompt_tokens": made.num_tokens, "total_tokens": made.num_tokens},
        }

    return router


def _result(at: int, score: float, body: RerankRequest) -> dict[str, Any]:
    document = {"document": {"text": body.all_documents[at]}} if body.return_documents else {}
    return {"index": at, "relevance_score": score, **document}


def _of_text(at: int, score: float, body: RerankRequest) -> dict[str, Any]:
    """As Hugging Face's text-embeddings-inference gives it."""
    return {"index": at, "score": score, **({"text": body.all_documents[at]} if body.return_text else {})}
