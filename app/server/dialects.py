"""The dialects that the port speaks, and which one a path belongs to. A new one is a folder and a line here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from app.server.anthropic import errors as anthropic
from app.server.anthropic.routes import messages_router
from app.server.core.refusal import Refusal
from app.server.core.switchboard import Switchboard
from app.server.llama_server.routes import llama_server_router
from app.server.native import errors as native
from app.server.ollama import errors as ollama
from app.server.ollama.embed import embed_router
from app.server.ollama.routes import ollama_router
from app.server.openai import errors as openai
from app.server.openai.chat import chat_router
from app.server.openai.completions import completions_router
from app.server.openai.embeddings import embeddings_router
from app.server.openai.models import models_router
from app.server.openai.rerank import rerank_router


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


ANTHROPIC = Dialect("Anthropic", ("/v1/messages",), (messages_router,), anthropic.response, anthropic.SCHEMA)
OLLAMA = Dialect("Ollama", ("/api/",), (ollama_router, embed_router), ollama.response, ollama.SCHEMA)
OF_OPENAI = (models_router, chat_router, completions_router, embeddings_router, rerank_router, llama_server_router)
OPENAI = Dialect("OpenAI", ("/",), OF_OPENAI, openai.response, openai.SCHEMA)
NATIVE = Dialect("Slipstream", ("/api/slipstream",), (), native.response, native.SCHEMA)  # its routes need more: Native
DIALECTS = (ANTHROPIC, NATIVE, OLLAMA, OPENAI)  # the first whose prefix fits is meant


def dialect_of(path: str) -> Dialect:
    return next(each for each in DIALECTS if path.startswith(each.prefixes))


def refuse(path: str, refusal: Refusal) -> Response:
    return dialect_of(path).refuse(refusal)
