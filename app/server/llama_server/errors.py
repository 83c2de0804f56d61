"""A refusal in llama-server's shape: {"error": {"code": 400, "message": "…", "type": "…"}}."""

from typing import Any

from starlette.responses import JSONResponse

from app.server.core.refusal import Refusal
from backends.protocol import FailureKind

TOO_LONG = "exceed_context_size_error"
TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    500: "server_error",
    501: "not_supported_error",
    503: "unavailable_error",
}

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "type"],
            "properties": {
                "code": {"type": "integer"},
                "message": {"type": "string"},
                "type": {"enum": [*TYPES.values(), TOO_LONG]},
                "param": {"type": "string", "description": "the field at fault"},
                "n_prompt_tokens": {"type": "integer"},
                "n_ctx": {"type": "integer"},
            },
        }
    },
}


def body(refusal: Refusal) -> dict[str, Any]:
    other = "server_error" if refusal.status >= 500 else "invalid_request_error"
    said: dict[str, Any] = {
        "code": refusal.status,
        "message": refusal.message,
        "type": TYPES.get(refusal.status, other),
    }
    if refusal.param:
        said["param"] = refusal.param
    if refusal.code == FailureKind.CONTEXT_LENGTH.value:
        said["type"] = TOO_LONG
        if refusal.numbers:
            said["n_prompt_tokens"], said["n_ctx"] = refusal.numbers
    return {"error": said}


def response(refusal: Refusal) -> JSONResponse:
    return JSONResponse(body(refusal), refusal.status, headers=refusal.headers)
