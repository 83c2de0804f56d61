"""POST /api/pull and DELETE /api/delete; and the routes that Ollama has for its own registry, refused by name."""

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import AfterValidator, AliasChoices, Field
from starlette.responses import JSONResponse, Response, StreamingResponse

from app.errors import SlipstreamError
from app.server.core.answer import streamed
from app.server.core.disconnect import unless_disconnected
from app.server.core.fields import Fields, Refused, text
from app.server.core.keeping import ModelKeeper, Pull, PullState
from app.server.core.refusal import Refusal, from_slipstream
from app.server.core.rights import MANAGING
from app.server.core.stream import HEADERS
from app.server.core.switchboard import Switchboard
from app.server.core.text_fields import MAX_MODEL
from app.server.core.threads import in_thread

LOOK_SECONDS = 0.25
MEDIA_TYPE = "application/x-ndjson"
BEGUN, DONE = {"status": "pulling manifest"}, {"status": "success"}
NOT_HERE = {
    "copy": "A model has one name here. Rename it in the window.",
    "create": "Models are not made from a Modelfile. Install one, or convert a checkpoint with “slipstream convert”.",
    "push": "Slipstream uploads nothing.",
    "blobs": "Files are not uploaded to this port. Put a model into a folder that the library lists.",
}


class NameFields(Fields):
    """By its present name, or by the older one."""

    model: Annotated[str, AfterValidator(text)] = Field(
        min_length=1, max_length=MAX_MODEL, validation_alias=AliasChoices("model", "name")
    )


class PullRequest(NameFields):
    refused = {  # noqa: RUF012
        "insecure": Refused("the Hub is asked over TLS", (False,)),
        "username": Refused("the Hub's access token is kept in Slipstream", ("",)),
        "password": Refused("the Hub's access token is kept in Slipstream", ("",)),
    }

    stream: bool | None = Field(None, description="true unless it is said otherwise")


def keeping_router(switchboard: Switchboard) -> APIRouter:
    router = APIRouter()

    def keeper() -> ModelKeeper:
        """Raises Refusal."""
        if switchboard.keeper is None:
            raise Refusal(501, "This port has no library of its own.")
        return switchboard.keeper

    @router.post("/api/pull", responses=streamed(MEDIA_TYPE), dependencies=MANAGING)
    async def pull(body: PullRequest, request: Request) -> Response:
        """A model of the Hub: publisher/repo, publisher/repo:Q4_K_M or publisher/repo/file.gguf, hf.co/ before it or
        not; “guide” or “smollm2”. Who leaves lets it rest; the same request goes on with it."""
        begun = await in_thread(partial(keeper().pull, body.model))
        if body.stream is not False:
            return StreamingResponse(_told(begun), media_type=MEDIA_TYPE, headers=HEADERS)
        if begun is not None:
            await unless_disconnected(request.receive, _finished(begun))
        return JSONResponse(DONE)

    @router.delete("/api/delete", dependencies=MANAGING)
    async def delete(body: NameFields) -> Response:
        """A model that Slipstream has installed. Those of other applications' folders are theirs."""
        await in_thread(partial(keeper().remove, body.model))
        return Response(status_code=200)

    for what, why in NOT_HERE.items():
        path = "/api/blobs/{digest}" if what == "blobs" else f"/api/{what}"
        router.add_api_route(path, _refusing(what, why), methods=["POST"], include_in_schema=False)
    router.add_api_route("/api/blobs/{digest}", _refusing("blobs", NOT_HERE["blobs"]), include_in_schema=False)
    return router


def _refusing(what: str, why: str) -> Any:
    async def refuse() -> Response:
        raise Refusal(501, f"/api/{what} is not there. {why}", code="not_implemented")

    return refuse


async def _finished(pull: Pull) -> None:
    """Raises Refusal. Whoever leaves meanwhile lets it rest."""
    try:
        while not (state := pull.state()).is_done:
            if state.error:
                raise Refusal(500, state.error)
            await asyncio.sleep(LOOK_SECONDS)
    except asyncio.CancelledError:
        pull.leave()
        raise


async def _told(pull: Pull | None) -> AsyncIterator[str]:
    yield _line(BEGUN)
    last: PullState | None = None
    try:
        while pull is not None and not (state := pull.state()).is_done:
            if state.error:
                yield _line({"error": state.error})
                return
            if state != last:
                yield _line(_progress(state))
            last = state
            await asyncio.sleep(LOOK_SECONDS)
    except (asyncio.CancelledError, GeneratorExit):
        if pull is not None:
            pull.leave()
        raise
    except SlipstreamError as error:
        yield _line({"error": from_slipstream(error).message})
        return
    yield _line(DONE)


def _progress(state: PullState) -> dict[str, Any]:
    sizes = {"total": state.num_bytes, "completed": round(state.fraction * state.num_bytes)} if state.num_bytes else {}
    return {"status": state.status, **sizes}


def _line(said: dict[str, Any]) -> str:
    return f"{json.dumps(said, ensure_ascii=False)}\n"
