"""One HTTP request's answers, from the search for an engine to the last token. Knows nothing of JSON."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Self

from app.errors import EngineError, RequestError, StoppedError
from app.inference.engine_handle import EngineHandle, EngineState
from app.inference.users import Hold
from app.server.core.counters import Counters
from app.server.core.directory import ModelDirectory
from app.server.core.mailbox import Mailbox
from app.server.core.tally import Phase, Tally
from app.server.core.threads import in_thread, start_thread
from app.server.core.valve import Valve, cost
from app.server.core.words import Source, fingerprint
from backends.embedding import Embedded, Question, Ranked
from backends.protocol import Failed, Finish, Generate, Output, Progress, Reading

MAX_TAKEN = 16 << 10  # bytes at one go: a reader who does not read is noticed after each
SLICE_SECONDS = 0.25  # how long a thread waits for a load before it asks whether anyone still does
CALLED_OFF = "The answer was called off: the model was unloaded or the server stopped."
STOPPED = "The answer was stopped in Slipstream, by the person at this machine."
HEADER_SECONDS = 2.0  # how long a stream's header waits for the engine's first word, which may be a refusal

Event = tuple[int, Output | Progress | Reading | Embedded | Ranked | Failed]
Said = tuple[int, Output]


class Exchange:
    """Iterates over lists of (index of the choice, Output): all that has come since the last one. Belongs to the
    server's loop.

    `requests` holds for each prompt those that share it. The first goes ahead; the others are submitted when it has
    begun, because then the prompt lies in the cache and they take its cells. All of them take turns with those of other
    exchanges, and while nobody iterates no more than some kilobytes are computed.
    Leaving the `with` block calls off what is not finished.
    """

    def __init__(
        self,
        directory: ModelDirectory,
        model: str | None,
        requests: Sequence[Sequence[Question]],
        load_seconds: float,
        mailbox: Mailbox,
        on_close: Callable[["Exchange"], None],
        client: int,
        counters: Counters,
        name_of: Callable[[str], str | None] = lambda _: None,
        program: str = "a program",
    ):
        """client: whose requests take turns with those of others at the engine. name_of: what the program calls a part
        of its request, for refusals. program: what it calls itself."""
        self.source = Source(model or "")  # the engine itself once it is open
        self.tally = Tally()
        self._directory = directory
        self._firsts: list[tuple[int, Question]] = []
        self._others: dict[int, list[tuple[int, Question]]] = {}  # by the index of their first
        for first, *others in _numbered(requests, client):
            self._firsts.append(first)
            self._others[first[0]] = others
        self._mailbox = mailbox
        self._on_close = on_close
        self._counters = counters
        self._name_of = name_of
        self._loop = asyncio.get_running_loop()
        self._events: deque[Event] = deque()
        self._waiter: asyncio.Future[None] | None = None  # done when there are events
        self._first: list[Said] = []
        self.progress: dict[int, Progress] = {}  # of each prompt, the newest
        self.news: list[tuple[int, Progress]] = []  # all of them that no stream has taken yet
        self._deadline = self._loop.time() + load_seconds
        self._pending = set(range(sum(map(len, requests))))
        self._program = program
        self._handle: EngineHandle | None = None  # set by the thread that submits the first ones
        self._hold: Hold | None = None  # the engine stays while this exchange wants something of it
        self._is_submitted = False
        self._why_stopped = STOPPED
        self._uids: list[int] = []
        self._valve = Valve(self._pause_all, self._resume_all)
        # set on the loop, read by the thread that submits: each answer is aborted by one of the two
        self._called_off = threading.Event()

    async def open(self) -> None:
        """Submit every prompt and wait for the first event, so that a refusal still has a status of its own.

        Raises UnknownModelError, EngineError when no engine is ready in time, and what iterating raises.
        """
        await self._submit_first()
        while not self._first:
            self._first = await self._next()

    async def begin(self) -> None:
        """For a reader who is to hear something soon: submit every prompt, and wait until the engine has accepted one
        or refused it. A model that loads is not waited for, nor an engine that is busy: what fails later, iterating
        raises.

        Raises as `open`.
        """
        await self._try_once()
        if self._is_submitted and not self._events:
            with suppress(TimeoutError):
                async with asyncio.timeout(HEADER_SECONDS):
                    await self._wait()
        if self._events:
            self._first = await self._next()

    async def _submit_first(self) -> None:
        while not self._is_submitted:
            await self._try_once()

    async def _try_once(self) -> None:
        source = await in_thread(self._try_submit)
        if source is not None:
            self.source = source
            self._is_submitted = True
            self._valve.repeat()  # an answer may have begun before its number was known
        elif self._called_off.is_set():
            raise self._called_off_error()
        elif self._loop.time() > self._deadline:
            raise EngineError("The model is still loading. Try again in a moment.")

    @property
    def loading(self) -> float | None:
        """How far its model is, from 0 to 1; None when it is there."""
        handle = self._handle
        return None if self._is_submitted or handle is None else handle.snapshot.fraction

    async def reading(self) -> Reading:
        """Instead of the answer, of a request that `reads`. Raises as `open`."""
        event = await self._only_word()
        assert isinstance(event, Reading)
        return event

    async def vectors(self) -> Embedded | Ranked:
        """Of a request that is for vectors or scores of texts. Raises as `open`."""
        event = await self._only_word()
        assert isinstance(event, Embedded | Ranked)
        self._counters.add_texts(self.source.model, event.num_tokens)
        return event

    async def _only_word(self) -> Reading | Embedded | Ranked:
        await self._submit_first()
        while not self._events:
            await self._wait()
        _, event = self._events.popleft()
        assert not isinstance(event, Progress), "nothing is read for an answer"
        self._pending.clear()
        if isinstance(event, Failed):
            raise self._named(RequestError(event.kind, event.message, event.numbers, event.about))
        if isinstance(event, Output):
            raise self._called_off_error()
        return event

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> list[Said]:
        """Raises RequestError when the engine refuses a prompt or dies, EngineError when it was closed. An empty list:
        there is news of a prompt."""
        first, self._first = self._first, []
        if first:
            return first
        if not self._pending:
            raise StopAsyncIteration
        if not self._is_submitted:
            await self._submit_first()
        return await self._next()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """May be called when the loop has ended."""
        if self._pending and not self._called_off.is_set():
            self._called_off.set()
            start_thread(self._abort_all)
        if self._hold:
            self._hold.end()
        self._on_close(self)

    @property
    def model(self) -> str:
        """Its engine's name; until that is found, what was asked for."""
        return self.source.model

    @property
    def phase(self) -> Phase:
        if not self._is_submitted:
            return Phase.LOADING
        if self.tally.began is not None:
            return Phase.ANSWERING
        return Phase.WAITING if self.read is None else Phase.READING

    @property
    def read(self) -> float | None:
        """How much of its prompts has been read, from 0 to 1; None before that begins, and when it is over."""
        known = [each for each in list(self.progress.values()) if each.num_read is not None]
        if not known or self.tally.began is not None:
            return None
        return sum(each.num_read or 0 for each in known) / max(1, sum(each.num_prompt for each in known))

    def stop(self, why: str | None = None) -> None:
        """As somebody has asked for it: whoever reads gets a sentence that says so."""
        if self._pending and not self._called_off.is_set():
            self.tally.is_stopped = True
            self._why_stopped = why or STOPPED
            self.hang_up()

    def hang_up(self) -> None:
        """The server stops: whoever reads gets a last sentence."""
        for index in self._pending:
            self._put((index, Output(0, "", 0, Finish.ABORT)))
        self.close()

    def _called_off_error(self) -> EngineError:
        return StoppedError(self._why_stopped) if self.tally.is_stopped else EngineError(CALLED_OFF)

    async def _next(self) -> list[Said]:
        """Raises EngineError when the engine is gone before the others of a prompt could be submitted."""
        if not self._events:
            await self._wait()
        said = self._take()
        if self._others:
            await self._submit_others(said)
        return said

    async def _wait(self) -> None:
        self._waiter = self._loop.create_future()
        await self._waiter

    def _take(self) -> list[Said]:
        """What has come, up to some kilobytes; what ends the exchange is raised when all before it has been taken."""
        said: list[Said] = []
        num_bytes = 0
        while self._events and num_bytes < MAX_TAKEN:
            index, event = self._events[0]
            if isinstance(event, Progress):
                self._events.popleft()
                self.progress[index] = event
                self.news.append((index, event))
                continue
            assert isinstance(event, Output | Failed), "reading() and vectors() are for others"
            if is_end := isinstance(event, Failed) or event.finish is Finish.ABORT:
                if said:
                    break
                self._pending.discard(index)
            self._events.popleft()
            if isinstance(event, Failed):
                raise self._named(RequestError(event.kind, event.message, event.numbers, event.about))
            num_bytes += (taken := cost(event))
            self._valve.take(taken)
            if is_end:
                raise self._called_off_error()
            if event.finish:
                self._pending.discard(index)
                if event.timings:
                    self._counters.add(self.source.model, event.timings)
            said.append((index, event))
        return said

    async def _submit_others(self, said: list[Said]) -> None:
        for index, _ in said:
            if others := self._others.pop(index, None):
                await in_thread(partial(self._submit_all, others))
                self._valve.repeat()

    def _try_submit(self) -> Source | None:
        """In a thread. The engine, or None when it is loading, coming back from a death or making room for another."""
        handle = self._directory.engine(self.source.model or None)
        if not self._get_hold(handle):
            if handle.snapshot.error and handle.snapshot.state is EngineState.CLOSED:
                raise handle.snapshot.refusal()  # there was no room for it
            handle.wait_for_place(SLICE_SECONDS)
            return None
        try:
            ready = handle.wait_ready(SLICE_SECONDS)
            self._submit_all(self._firsts)
        except EngineError:
            if handle.snapshot.state is EngineState.LOADING and not self._uids:
                return None
            raise
        return Source(handle.name, fingerprint(ready), ready.vocabulary.ends)

    def _named(self, error: RequestError) -> RequestError:
        """As the program calls what is at fault."""
        error.field = self._name_of(error.about) if error.about else None
        return error

    def _get_hold(self, handle: EngineHandle) -> bool:
        """Unless there is one already."""
        if handle is self._handle:
            return True
        hold, before = handle.hold(self._program), self._hold
        if hold:
            self._handle, self._hold = handle, hold
            if before:
                before.end()
            if self._called_off.is_set():  # `close` may have come too early to see it
                hold.end()
        return hold is not None

    def _submit_all(self, requests: list[tuple[int, Question]]) -> None:
        for index, request in requests:
            self._submit(index, request)

    def _submit(self, index: int, request: Question) -> None:
        assert self._handle is not None
        if self._called_off.is_set():
            return
        hear = partial(self._hear, index)
        handle = self._handle
        try:
            uid = handle.submit(request, hear) if isinstance(request, Generate) else handle.embed(request, hear)
        except RequestError as error:
            raise self._named(error) from None
        self._uids.append(uid)
        if self._called_off.is_set():
            self._handle.abort(uid)

    def _abort_all(self) -> None:
        for handle, uid in self._submitted():
            handle.abort(uid)

    def _pause_all(self) -> None:
        for handle, uid in self._submitted():
            handle.pause(uid)

    def _resume_all(self) -> None:
        for handle, uid in self._submitted():
            handle.resume(uid)

    def _submitted(self) -> list[tuple[EngineHandle, int]]:
        return [(self._handle, uid) for uid in list(self._uids) if self._handle]

    def _hear(self, index: int, event: Output | Progress | Reading | Embedded | Ranked | Failed) -> None:
        """On the engine's reader thread, which must not wait for a slow client."""
        self._mailbox.post(partial(self._put, (index, event)))

    def _put(self, event: Event) -> None:
        self._events.append(event)
        if isinstance(event[1], Output):
            self.tally.take(event[1])
            self._valve.add(cost(event[1]))
        elif isinstance(event[1], Embedded | Ranked):
            self.tally.take_vectors(event[1])
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)


def _numbered(requests: Sequence[Sequence[Question]], client: int) -> list[list[tuple[int, Question]]]:
    """The requests with their indices: OpenAI counts all choices of one prompt before those of the next."""
    numbers = count()
    return [[(next(numbers), _told(request, client)) for request in shared] for shared in requests]


def _told(request: Question, client: int) -> Question:
    if isinstance(request, Generate) and not request.reads:
        return replace(request, client=client, tells_progress=True)
    return replace(request, client=client)
