"""llama-server's routes that tell how a loaded model stands, and those that would change it, which are refused."""

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field
from starlette.responses import Response

from app.inference.engine_handle import EngineHandle
from app.server.core.refusal import Refusal
from app.server.core.switchboard import Switchboard
from app.server.core.text_fields import MAX_ADAPTERS, AdapterScale
from app.server.llama_server import metrics, props
from backends.protocol import Ready

NO_SLOT = "Every place for an answer is taken. Try again in a moment."
SAVES = "Slots are not saved and restored by hand: Slipstream keeps the prompts of every conversation by itself."
Scales = Annotated[list[AdapterScale], Field(max_length=MAX_ADAPTERS)]
ADAPTERS = "Scales hold for one request at a time: send them as its “lora”, or load the model with others (--lora)."
READ_ONLY = "Properties are read here; they are set when a model is loaded."


def state_router(switchboard: Switchboard) -> APIRouter:
    """`model` in a query names one of several; without it the first is meant. Nothing is loaded for any of these."""
    router = APIRouter()

    async def found(model: str | None) -> tuple[EngineHandle, Ready]:
        handle = await switchboard.loaded(model)
        ready = handle.snapshot.ready
        assert ready, "an engine that is ready has said so"
        return handle, ready

    @router.get("/props")
    async def get_props(model: str | None = None) -> dict[str, Any]:
        return props.props(*await found(model))

    @router.post("/props")
    async def set_props() -> Response:
        raise Refusal(501, READ_ONLY)

    @router.get("/slots")
    async def get_slots(model: str | None = None, fail_on_no_slot: str = "") -> list[dict[str, Any]]:
        told = props.slots(*await found(model))
        if fail_on_no_slot and all(slot["is_processing"] for slot in told):
            raise Refusal(503, NO_SLOT)
        return told

    @router.post("/slots/{place}")
    async def change_slot(place: str) -> Response:  # noqa: ARG001
        raise Refusal(501, SAVES)

    @router.get("/lora-adapters")
    async def get_adapters(model: str | None = None) -> list[dict[str, Any]]:
        return props.adapters((await found(model))[1])

    @router.post("/lora-adapters")
    async def set_adapters(body: Scales, model: str | None = None) -> dict[str, bool]:
        """What is so already may be said; another scale for everybody is refused."""
        loaded = {place: adapter.scale for place, adapter in enumerate((await found(model))[1].adapters)}
        wanted = dict.fromkeys(loaded, 0.0) | {each.id: each.scale for each in body}
        if unknown := sorted(set(wanted) - set(loaded)):
            raise Refusal(400, f"id: the model was loaded without an adapter {unknown[0]}.", param="id")
        if wanted != loaded:
            raise Refusal(501, f"scale: {ADAPTERS}", param="scale")
        return {"success": True}

    @router.get("/tokenizer_info")
    async def get_tokenizer_info(model: str | None = None) -> dict[str, Any]:
        return props.tokenizer_info((await found(model))[1])

    @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def get_metrics() -> Response:
        told = metrics.exposition(switchboard.counters, await switchboard.engines(), await switchboard.sample())
        response = Response(told, media_type=metrics.MEDIA_TYPE)
        # in capitals, as llama-server writes it: some look for it so
        response.raw_headers.append((b"Process-Start-Time-Unix", f"{switchboard.counters.began:.0f}".encode()))
        return response

    return router
