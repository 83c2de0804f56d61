"""GET /v1/models: what may be named in a request."""

import time
from typing import Any

from fastapi import APIRouter

from app.errors import UnknownModelError
from app.server.directory import unknown_name
from app.server.switchboard import Switchboard


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


def _model(name: str, created: int) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": created, "owned_by": "slipstream"}
