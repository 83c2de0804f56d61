"""A refusal in OpenAI's shape: {"error": {message, type, param, code}}."""

from typing import Any

from starlette.responses import JSONResponse

from app.server.core.refusal import Refusal

INVALID, SERVER = "invalid_request_error", "server_error"


def body(refusal: Refusal) -> dict[str, Any]:
    kind = SERVER if refusal.status >= 500 else INVALID
    return {"error": {"message": refusal.message, "type": kind, "param": refusal.param, "code": refusal.code}}


def response(refusal: Refusal) -> JSONResponse:
    return JSONResponse(body(refusal), refusal.status, headers=refusal.headers)
