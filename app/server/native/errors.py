"""A refusal in the native API's shape: {"error": {message, code, param}}."""

from typing import Any

from starlette.responses import JSONResponse

from app.server.core.refusal import Refusal

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "code", "param"],
            "properties": {
                "message": {"type": "string", "description": "for a person: what happened, and what to do"},
                "code": {"type": ["string", "null"]},
                "param": {"type": ["string", "null"], "description": "the field at fault"},
            },
        }
    },
}


def body(refusal: Refusal) -> dict[str, Any]:
    return {"error": {"message": refusal.message, "code": refusal.code, "param": refusal.param}}


def response(refusal: Refusal) -> JSONResponse:
    return JSONResponse(body(refusal), refusal.status, headers=refusal.headers)
