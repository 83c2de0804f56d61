"""One HTTP request's answers, from the search for an engine to the last token. Knows nothing of JSON."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import count
from typing import Self

from app.errors import EngineError, RequestError, StoppedError
from app.server.core.counters import Counters
from app.server.core.directory import ModelDirectory
from app.server.core.engine_line import EngineLine, Numbered
from app.server.core.inbox import Inbox, Lot, Said
from app.server.core.mailbox import Mailbox
from app.server.core.tally import Phase, Tally
from app.server.core.threads import in_thread
from app.server.core.valve import Valve
from app.server.core.words import Source
from backends.embedding import Embedded, Question, Ranked
from backends.protocol import Failed, Finish, Generate, Output, Progress, Reading

CALLED_OFF = "The answer was called off: the model was unloaded or the server stopped."
STOPPED = "The answer was stopped in Slipstream, by the person at this machine."
HEADER_SECONDS = 2.0  # how long a stream's header waits for the engine's first word, which may be a refusal


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
        self._firsts: list[Numbered] = []
        self._others: dict[int, list[Numbered]] = {}  # by the index of their first
        for first, *others in _numbered(requests, client):
            self._firsts.append(first)
            self._others[first[0]] = others
        self._on_close = on_close
        self._counters = counters
        self._name_of = name_of
        self._loop = asyncio.get_running_loop()
        self._valve = Valve(lambda: self._line.pause(), lambda: self._line.resume())
        self._inbox = Inbox(self.tally, self._valve)
        self._line = EngineLine(directory, program, partial(mailbox.post, self._inbox), self._named)
        self._first: list[Said] = []
        self.progress: dict[int, Progress] = {}  # of each prompt, the newest
        self.news: list[tuple[int, Progress]] = []  # all of them that no stream has taken yet
        self._deadline = self._loop.time() + load_seconds
        self._pending = set(range(sum(map(len, requests))))
        self._is_submitted = False
        self._why_stopped = STOPPED

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
        if self._is_submitted:
            with suppress(TimeoutError):
                async with asyncio.timeout(HEADER_SECONDS):
                    await self._inbox.wait()
        if self._inbox:
            self._first = await self._next()

    async def _submit_first(self) -> None:
        while not self._is_submitted:
            await self._try_once()

    async def _try_once(self) -> None:
        source = await in_thread(partial(self._line.try_to_submit, self.source.model or None, self._firsts))
        if source is not None:
            self.source = source
            self._is_submitted = True
            self._valve.repeat()  # an answer may have begun before its number was known
        elif self._line.is_called_off:
            raise self._called_off_error()
        elif self._loop.time() > self._deadline:
            raise EngineError("The model is still loading. Try again in a moment.")

    @property
    def loading(self) -> float | None:
        """How far its model is, from 0 to 1; None when it is there."""
        return None if self._is_submitted else self._line.fraction

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
        await self._inbox.wait()
        thing = self._inbox.take()
        assert not isinstance(thing, Lot), "it was not asked for an answer"
        _, event = thing
        assert not isinstance(event, Progress), "nothing is read for an answer"
        self._pending.clear()
        if isinstance(event, Failed | Output):
            raise self._end_of(event)
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
        if self._pending:
            self._line.call_off()
        self._line.let_go()
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
        if self._pending and not self._line.is_called_off:
            self.tally.is_stopped = True
            self._why_stopped = why or STOPPED
            self.hang_up()

    def hang_up(self) -> None:
        """The server stops: whoever reads gets a last sentence."""
        for index in self._pending:
            self._inbox.put(index, Output(0, "", 0, Finish.ABORT))
        self._inbox.wake()
        self.close()

    def _called_off_error(self) -> EngineError:
        return StoppedError(self._why_stopped) if self.tally.is_stopped else EngineError(CALLED_OFF)

    async def _next(self) -> list[Said]:
        """Raises EngineError when the engine is gone before the others of a prompt could be submitted."""
        await self._inbox.wait()
        said = self._take()
        if self._others:
            await self._submit_others(said)
        return said

    def _take(self) -> list[Said]:
        """What has come, up to some kilobytes; what ends the exchange is raised when all before it has been taken."""
        thing = self._inbox.take()
        if isinstance(thing, Lot):
            for index, end in thing.ends:
                self._pending.discard(index)
                if end.timings:
                    self._counters.add(self.source.model, end.timings)
            return thing.said
        index, event = thing
        if isinstance(event, Progress):
            self.progress[index] = event
            self.news.append((index, event))
            return []
        assert isinstance(event, Output | Failed), "reading() and vectors() are for others"
        self._pending.discard(index)
        raise self._end_of(event)

    def _end_of(self, event: Output | Failed) -> Exception:
        if isinstance(event, Failed):
            return self._named(RequestError(event.kind, event.message, event.numbers, event.about))
        return self._called_off_error()

    async def _submit_others(self, said: list[Said]) -> None:
        for index, _ in said:
            if others := self._others.pop(index, None):
                await in_thread(partial(self._line.submit, others))
                self._valve.repeat()

    def _named(self, error: RequestError) -> RequestError:
        """As the program calls what is at fault."""
        error.field = self._name_of(error.about) if error.about else None
        return error


def _numbered(requests: Sequence[Sequence[Question]], client: int) -> list[list[Numbered]]:
    """The requests with their indices: OpenAI counts all choices of one prompt before those of the next."""
    numbers = count()
    return [[(next(numbers), _told(request, client)) for request in shared] for shared in requests]


def _told(request: Question, client: int) -> Question:
    if isinstance(request, Generate) and not request.reads:
        return replace(request, client=client, tells_progress=True)
    return replace(request, client=client)
