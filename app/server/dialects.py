"""The dialects that the port speaks, and which one a path belongs to. A new one is a folder and a line here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from app.server.anthropic import errors as anthropic
from app.server.anthropic.models import VERSION
from app.server.anthropic.models import models_router as anthropic_models_router
from app.server.anthropic.routes import messages_router
from app.server.core.refusal import Refusal
from app.server.core.switchboard import Switchboard
from app.server.llama_server import errors as llama_server
from app.server.llama_server.embeddings import embedding_router
from app.server.llama_server.routes import llama_server_router
from app.server.llama_server.state_routes import state_router
from app.server.native import errors as native
from app.server.ollama import errors as ollama
from app.server.ollama.embed import embed_router
from app.server.ollama.keeping import keeping_router
from app.server.ollama.routes import ollama_router
from app.server.openai import errors as openai
from app.server.openai.chat import chat_router
from app.server.openai.completions import completions_router
from app.server.openai.embeddings import embeddings_router
from app.server.openai.models import models_router
from app.server.openai.rerank import rerank_router
from app.server.responses.routes import responses_router


@dataclass(frozen=True, slots=True)
class Dialect:
    """name: whose it is. prefixes: what its paths begin with. refuse: a refusal in its shape. error: that shape as a
    JSON schema."""

    name: str
    prefixes: tuple[str, ...]
    routers: tuple[Callable[[Switchboard], APIRouter], ...]
    refuse: Callable[[Refusal], Response]
    error: dict[str, Any]

    @property
    def failures(self) -> dict[int | str, dict[str, Any]]:
        """As OpenAPI tells of them: every route may refuse, and every one may fail."""
        content = {"application/json": {"schema": self.error}}
        return {
            "4XX": {"description": "The request is refused: the message says why.", "content": content},
            "5XX": {"description": "No model can answer now, or something broke.", "content": content},
        }


ANTHROPIC = Dialect(
    "Anthropic",
    ("/v1/messages",),
    (messages_router, anthropic_models_router),
    anthropic.response,
    anthropic.SCHEMA,
)
NATIVE = Dialect("Slipstream", ("/api/slipstream",), (), native.response, native.SCHEMA)  # its routes need more: Native
OLLAMA = Dialect("Ollama", ("/api/",), (ollama_router, embed_router, keeping_router), ollama.response, ollama.SCHEMA)
LLAMA_SERVER = Dialect(
    "llama-server",
    (
        *("/completion", "/infill", "/tokenize", "/detokenize", "/apply-template", "/embedding"),
        *("/props", "/slots", "/lora-adapters", "/metrics"),
        "/chat/completions",  # the name without /v1 is llama-server's own
    ),
    (llama_server_router, embedding_router, state_router),
    llama_server.response,
    llama_server.SCHEMA,
)
OPENAI = Dialect(
    "OpenAI",
    ("",),  # the rest, also what is no path: “*”, or a whole URL
    (models_router, chat_router, completions_router, responses_router, embeddings_router, rerank_router),
    openai.response,
    openai.SCHEMA,
)
DIALECTS = (ANTHROPIC, NATIVE, OLLAMA, LLAMA_SERVER, OPENAI)  # the first whose prefix fits is meant


def dialect_of(path: str, headers: Mapping[str, str]) -> Dialect:
    """Some paths belong to two dialects, and a header tells which is meant."""
    if VERSION in headers and path.startswith("/v1/models"):
        return ANTHROPIC
    return next(each for each in DIALECTS if path.startswith(each.prefixes))


def refuse(path: str, refusal: Refusal, headers: Mapping[str, str]) -> Response:
    """In the words of whoever asks."""
    return dialect_of(path, headers).refuse(refusal)
