"""GET /v1/models: what may be named in a request, and what is known of it beside OpenAI's fields."""

import time
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter

from app.errors import UnknownModelError
from app.library.entry import BASE_MODEL
from app.server.core.directory import ModelFacts, unknown_name
from app.server.core.switchboard import Switchboard


def models_router(switchboard: Switchboard) -> APIRouter:
    router = APIRouter()
    started = int(time.time())

    @router.get("/models", include_in_schema=False)  # as with llama-server
    @router.get("/v1/models")
    async def list_models() -> dict[str, Any]:
        models = await switchboard.models()
        return {"object": "list", "data": [_model(id_, facts, started) for id_, facts in models.items()]}

    @router.get("/v1/models/{name:path}")
    async def retrieve_model(name: str) -> dict[str, Any]:
        models = await switchboard.models()
        if name not in models:
            loaded = [id_ for id_, facts in models.items() if facts.is_loaded]
            raise UnknownModelError(unknown_name(name, list(models), loaded))
        return _model(name, models[name], started)

    return router


def _model(id_: str, facts: ModelFacts, created: int) -> dict[str, Any]:
    """`meta` has llama-server's words where it has some; what is not known is left out."""
    meta = {
        "name": facts.name,
        "architecture": facts.architecture,
        "quantization": facts.quantization,
        "n_params": facts.parameters,
        "size": facts.bytes,
        "n_ctx_train": facts.context_trained,
        "n_ctx": facts.context,
        "kv_cells": asdict(facts.cells) if facts.cells else None,
        "is_loaded": facts.is_loaded,
        "state": facts.state,
        "is_base": facts.is_base,
        "note": BASE_MODEL if facts.is_base else None,
    }
    known = {key: value for key, value in meta.items() if value is not None}
    return {"id": id_, "object": "model", "created": created, "owned_by": "slipstream", "meta": known}
