"""A refusal in Anthropic's shape: {"type": "error", "error": {type, message}}."""

from typing import Any

from starlette.responses import JSONResponse

from app.server.core.refusal import Refusal

TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
}


def body(refusal: Refusal) -> dict[str, Any]:
    other = "api_error" if refusal.status >= 500 else "invalid_request_error"
    return {"type": "error", "error": {"type": TYPES.get(refusal.status, other), "message": refusal.message}}


def response(refusal: Refusal) -> JSONResponse:
    return JSONResponse(body(refusal), refusal.status, headers=refusal.headers)
