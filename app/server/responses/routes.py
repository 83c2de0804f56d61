"""/v1/responses: answers that are kept, gone on from, listed and deleted."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from app.server.core.answer import Asked, answer, streamed
from app.server.core.client import CLIENT
from app.server.core.limits import MAX_QUOTED
from app.server.core.reading import read
from app.server.core.refusal import Refusal
from app.server.core.switchboard import Switchboard
from app.server.core.threads import in_thread, start_thread
from app.server.responses.fields import CountRequest, ReadFields, ResponseRequest
from app.server.responses.items import REFERENCE, Item
from app.server.responses.store import Kept, ResponseStore, TooLong, Unreadable
from app.server.responses.words import ResponseWords
from backends.bounds import as_name

FILE = "responses.sqlite3"
MAX_LISTED, LISTED = 100, 20
UNREADABLE = "The file with the kept responses cannot be used now. Try again in a moment; Slipstream's log says why."
TOO_LONG = "The conversation has grown too long. Begin a new one, with what matters of it as its input."

# what is kept has ended
Streams = Annotated[Literal["true", "false"] | None, Query(json_schema_extra={"enum": ["false", None]})]

T = TypeVar("T")


def responses_router(switchboard: Switchboard) -> APIRouter:
    """Each response is there for the key that asked for it; without a key, where none is needed, all of them are."""
    router = APIRouter()
    store = ResponseStore(switchboard.folder / FILE if switchboard.folder else None, keys=switchboard.keys)

    @router.post("/responses", include_in_schema=False)  # as with llama-server
    @router.post("/v1/responses", responses=streamed("text/event-stream"))
    async def create_response(body: ResponseRequest, request: Request) -> Response:
        history, items = await _conversation(store, body)
        wanted = body.generate(history, items)
        words = partial(
            ResponseWords,
            told=body.told(),
            keep=None if body.store is False else partial(_keep, store, items, CLIENT.get().key_id),
            takes_one=not wanted.tool_choice.is_parallel,
            wants_summary=bool(body.reasoning and body.reasoning.wants_summary),
            tells_progress=bool(body.return_progress),
            times_tokens=bool(body.timings_per_token),
        )
        return await answer(request, switchboard, Asked(body.model, [[wanted]], words, bool(body.stream), body.name_of))

    @router.post("/v1/responses/input_tokens")
    async def count_input_tokens(body: CountRequest, request: Request) -> dict[str, Any]:
        history, items = await _conversation(store, body)
        reading = await read(request, switchboard, body.model, body.wanted(history, items), body.name_of)
        return {"object": "response.input_tokens", "input_tokens": len(reading.tokens)}

    @router.get("/v1/responses/{response_id}")
    async def retrieve_response(response_id: str, stream: Streams = None) -> dict[str, Any]:
        if stream == "true":
            message = "stream: a response that is kept has ended: retrieve it whole"
            raise Refusal(400, message, param="stream")
        return (await _kept(store, response_id)).response

    @router.delete("/v1/responses/{response_id}")
    async def delete_response(response_id: str) -> dict[str, Any]:
        if not await _asked(partial(store.delete, response_id, CLIENT.get())):
            raise _not_found(response_id)
        return {"id": response_id, "object": "response", "deleted": True}

    @router.post("/v1/responses/{response_id}/cancel")
    async def cancel_response(response_id: str) -> dict[str, Any]:
        await _kept(store, response_id)
        raise Refusal(400, "This response has ended: an answer that is still made is called off by hanging up.")

    @router.get("/v1/responses/{response_id}/input_items")
    async def list_input_items(
        response_id: str,
        limit: Annotated[int, Query(ge=0, le=MAX_LISTED)] = LISTED,
        order: Literal["asc", "desc"] = "desc",
        after: str | None = None,
    ) -> dict[str, Any]:
        kept = await _kept(store, response_id)
        before = await _history(store, kept.previous) if kept.previous else []
        items = [*(before or ()), *kept.input]
        return _page(items if order == "asc" else items[::-1], after, limit or LISTED)

    return router


async def _conversation(store: ResponseStore, body: ReadFields) -> tuple[Sequence[Item], list[Item]]:
    """What was said in the responses before, and the input with what it refers to."""
    history: Sequence[Item] = ()
    if (previous := body.previous_response_id) is not None:
        found = await _history(store, previous)
        if found is None:
            message = f"Previous response with id “{as_name(previous, MAX_QUOTED)}” not found."
            raise Refusal(400, message, param="previous_response_id", code="previous_response_not_found")
        history = found
    referred = {id_: await _asked(partial(store.item, id_, CLIENT.get())) for id_ in dict.fromkeys(body.references)}
    missing = next((id_ for id_, item in referred.items() if item is None), None)
    if missing is not None:
        raise Refusal(404, f"Item with id “{as_name(missing, MAX_QUOTED)}” not found.", param="input")
    items = [referred[item["id"]] if item["type"] == REFERENCE else item for item in body.input or ()]
    return history, [item for item in items if item is not None]


def _keep(store: ResponseStore, items: list[Item], key_id: str | None, response: dict[str, Any]) -> None:
    store.remember(Kept(items, response, key_id))
    with suppress(RuntimeError):  # the system has no thread left: it is saved with the next one
        start_thread(store.save)


async def _kept(store: ResponseStore, id_: str) -> Kept:
    kept = await _asked(partial(store.get, id_, CLIENT.get()))
    if kept is None:
        raise _not_found(id_)
    return kept


async def _history(store: ResponseStore, id_: str) -> list[Item] | None:
    return await _asked(partial(store.history, id_, CLIENT.get()))


def _asked(question: Callable[[], T]) -> Awaitable[T]:
    """On a thread. Raises Refusal."""

    def ask() -> T:
        try:
            return question()
        except TooLong:
            raise Refusal(400, TOO_LONG, param="previous_response_id", code="context_length_exceeded") from None
        except Unreadable as error:
            raise Refusal(503, UNREADABLE) from error

    return in_thread(ask)


def _not_found(id_: str) -> Refusal:
    return Refusal(404, f"Response with id “{as_name(id_, MAX_QUOTED)}” not found.")


def _page(items: list[Item], after: str | None, limit: int) -> dict[str, Any]:
    begin = next((at + 1 for at, item in enumerate(items) if item["id"] == after), 0)
    page = items[begin : begin + limit]
    return {
        "object": "list",
        "data": page,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
        "has_more": begin + limit < len(items),
    }
