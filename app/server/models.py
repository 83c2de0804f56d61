"""GET /v1/models: what may be named in a request."""

import time
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter

from app.errors import UnknownModelError
from app.server.api_error import MAX_QUOTED, cut
from app.server.switchboard import Switchboard
MAX_NAMED = 6  # known models that a sentence names


def models_router(switchboard: Switchboard) -> APIRouter:
    router = APIRouter()
    started = int(time.time())

    @router.get("/v1/models")
    async def list_models() -> dict[str, Any]:
        return {"object": "list", "data": [_model(name, started) for name in await switchboard.names()]}

    @router.get("/v1/models/{name:path}")
    async def retrieve_model(name: str) -> dict[str, Any]:
        names = await switchboard.names()
        if name not in names:
            raise UnknownModelError(unknown_name(name, names))
        return _model(name, started)

    return router


def unknown_name(name: str, known: Sequence[str]) -> str:
    shown = [cut(each, MAX_QUOTED) for each in known[:MAX_NAMED]]
    more = f" and {len(known) - len(shown)} more" if len(known) > len(shown) else ""
    return f"There is no model named “{cut(name, MAX_QUOTED)}”. Known: {', '.join(shown) or 'none'}{more}."


def _model(name: str, created: int) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": created, "owned_by": "slipstream"}
