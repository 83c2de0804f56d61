"""A refusal in Ollama's shape: {"error": "…"}."""

from typing import Any

from starlette.responses import JSONResponse

from app.server.core.refusal import Refusal


def body(refusal: Refusal) -> dict[str, Any]:
    return {"error": refusal.message}


def response(refusal: Refusal) -> JSONResponse:
    return JSONResponse(body(refusal), refusal.status, headers=refusal.headers)
