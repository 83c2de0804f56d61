"""/api/slipstream/…: models, engines, jobs, cards, requests and events. What changes something takes a JSON body."""

from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from app.jobs.job import JobState
from app.server.core.calls import CALL, CallBook
from app.server.core.client import CLIENT, Client
from app.server.core.limits import MAX_QUOTED
from app.server.core.refusal import Refusal
from app.server.core.rights import MANAGING, require_managing
from app.server.core.switchboard import Switchboard
from app.server.core.threads import in_thread
from app.server.native.begun_jobs import BegunJobs
from app.server.native.control import Control
from app.server.native.events import NewsStream
from app.server.native.feed import Feed
from app.server.native.fields import IdRequest, InstallRequest, LoadRequest, ModelRequest, PinRequest
from app.server.native.shapes import Cards, Engine, Jobs, JobShape, Models, News, Requests, Totals
from backends.bounds import as_name

PREFIX = "/api/slipstream"
STREAM: dict[int | str, dict[str, Any]] = {
    200: {"description": "Events: engine, job, performance, requests, end.", "content": {"text/event-stream": {}}}
}


class Native:
    """The native API of one open port. control: its hands. calls: who calls that port."""

    def __init__(self, control: Control, calls: CallBook):
        self._control = control
        self._calls = calls
        self._feed = Feed(control.subscribe)

    def router(self, switchboard: Switchboard) -> APIRouter:
        return _router(switchboard, self._control, self._calls, self._feed)

    def hang_up(self) -> None:
        """The server stops: whoever reads events is told so."""
        self._feed.close()


def _router(switchboard: Switchboard, control: Control, book: CallBook, feed: Feed) -> APIRouter:
    router = APIRouter(prefix=PREFIX, tags=["Slipstream"])
    begun = BegunJobs()

    @router.get("/models")
    async def models() -> Models:
        return await in_thread(control.models)

    @router.post("/models/load", dependencies=MANAGING)
    async def load(body: LoadRequest) -> Engine:
        options = body.options.given() if body.options else {}
        return await in_thread(partial(control.load, body.model, options))

    @router.post("/models/unload", dependencies=MANAGING)
    async def unload(body: ModelRequest) -> Engine:
        return await in_thread(partial(control.unload, body.model))

    @router.post("/models/pin", dependencies=MANAGING)
    async def pin(body: PinRequest) -> Engine:
        """A pinned model is not unloaded to make room for another, nor because nobody uses it."""
        return await in_thread(partial(control.pin, body.model, body.is_pinned))

    @router.get("/jobs")
    async def jobs() -> Jobs:
        return Jobs(await in_thread(control.jobs))

    @router.post("/jobs/install", dependencies=MANAGING)
    async def install(body: InstallRequest) -> JobShape:
        job = await in_thread(partial(control.install, body.name, body.revision))
        begun.note(job.id, CLIENT.get().key_id)
        return job

    @router.post("/jobs/cancel")
    async def cancel(body: IdRequest) -> JobShape:
        """Any job, for a key that may manage; else those that it has begun while it might."""
        if not begun.is_by(body.id, CLIENT.get().key_id):
            await require_managing()
        job = await in_thread(partial(control.cancel, body.id))
        if job is None:
            raise Refusal(404, f"There is no job {body.id}. “slipstream jobs” lists those that there are.", param="id")
        if job.state in (JobState.DONE, JobState.FAILED):
            shown = as_name(job.title, MAX_QUOTED)
            message = f"Job {job.id}, “{shown}”, has ended already ({job.state}): there is nothing left to cancel."
            raise Refusal(409, message, param="id", code="job_has_ended")
        return job

    @router.get("/cards")
    async def cards(model: str | None = None) -> Cards:
        return Cards(await in_thread(partial(control.cards, model)))

    @router.get("/requests")
    async def requests() -> Requests:
        """Those of the key that asks; without one, where none is needed, those of all."""
        return _seen_by(CLIENT.get(), book)

    @router.post("/requests/stop")
    async def stop(body: IdRequest) -> Requests:
        """One of those that /requests tells of."""
        if not book.stop(body.id, CLIENT.get()):
            raise Refusal(404, f"No request {body.id} is being answered. It may be over by now.", param="id")
        return _seen_by(CLIENT.get(), book)

    @router.get("/stats")
    async def stats() -> Totals:
        return Totals(_version(), switchboard.num_exchanges, await in_thread(control.figures))

    @router.get("/events", responses=STREAM, response_class=Response)
    async def events() -> Response:
        return NewsStream(feed, partial(_all, control), partial(book.live, CLIENT.get()), CALL.get())

    return router


def _seen_by(client: Client, book: CallBook) -> Requests:
    return Requests(book.live(client), book.callers(client), book.logged(client))


def _all(control: Control) -> list[News]:
    engines = [News("engine", ("engine", each.name), each) for each in control.engines()]
    return engines + [News("job", ("job", each.id), each) for each in control.jobs()]


def _version() -> str:
    try:
        return version("slipstream")
    except PackageNotFoundError:
        return "unknown"
