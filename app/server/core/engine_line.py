"""One request's way to its engine: found, held, asked, paused, called off. Its methods may block: threads call them."""

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from app.errors import EngineError, RequestError
from app.inference.engine_handle import EngineHandle, EngineState
from app.inference.users import Hold
from app.server.core.directory import ModelDirectory
from app.server.core.threads import start_thread
from app.server.core.words import Source, fingerprint
from backends.embedding import Question
from backends.protocol import Generate

SLICE_SECONDS = 0.25  # how long a thread waits for a load before it asks whether anyone still does

Numbered = tuple[int, Question]  # by its index among the answers of the request


class EngineLine:
    """Shared by the loop and the threads that ask for it: each answer is aborted by one of them."""

    def __init__(
        self,
        directory: ModelDirectory,
        program: str,
        hear: Callable[[int, Any], None],
        named: Callable[[RequestError], RequestError],
    ):
        """program: what it calls itself. hear: the events of an answer, on the engine's reader thread. named: what is
        at fault as the program calls it."""
        self._directory = directory
        self._program = program
        self._hear = hear
        self._named = named
        self._handle: EngineHandle | None = None
        self._hold: Hold | None = None  # the engine stays while this request wants something of it
        self._uids: list[int] = []
        self._called_off = threading.Event()

    @property
    def is_called_off(self) -> bool:
        return self._called_off.is_set()

    @property
    def fraction(self) -> float | None:
        """How far the engine is loaded, from 0 to 1; None before one is found. Does not block."""
        return self._handle.snapshot.fraction if self._handle else None

    def try_to_submit(self, model: str | None, requests: Sequence[Numbered]) -> Source | None:
        """To the engine of this name; None while it is loading, coming back from a death or making room for another.

        Raises UnknownModelError, EngineError and RequestError.
        """
        handle = self._directory.engine(model)
        if not self._get_hold(handle):
            if handle.snapshot.error and handle.snapshot.state is EngineState.CLOSED:
                raise handle.snapshot.refusal()  # there was no room for it
            handle.wait_for_place(SLICE_SECONDS)
            return None
        try:
            ready = handle.wait_ready(SLICE_SECONDS)
            self.submit(requests)
        except EngineError:
            if handle.snapshot.state is EngineState.LOADING and not self._uids:
                return None
            raise
        return Source(handle.name, fingerprint(ready), ready.vocabulary.ends)

    def submit(self, requests: Sequence[Numbered]) -> None:
        """More, to the engine that was found. Raises EngineError when it is gone, RequestError for what it refuses."""
        if len(requests) > 1:
            self._check(requests)
        for index, request in requests:
            self._submit(index, request)

    def call_off(self) -> None:
        """All that was asked. Does not block."""
        if not self.is_called_off:
            self._called_off.set()
            start_thread(self._abort)

    def let_go(self) -> None:
        """Of the engine. Does not block."""
        if self._hold:
            self._hold.end()

    def pause(self) -> None:
        for handle, uid in self._submitted():
            handle.pause(uid)

    def resume(self) -> None:
        for handle, uid in self._submitted():
            handle.resume(uid)

    def _get_hold(self, handle: EngineHandle) -> bool:
        """Unless there is one already."""
        if handle is self._handle:
            return True
        hold, before = handle.hold(self._program), self._hold
        if hold:
            self._handle, self._hold = handle, hold
            if before:
                before.end()
            if self.is_called_off:  # `let_go` may have come too early to see it
                hold.end()
        return hold is not None

    def _check(self, requests: Sequence[Numbered]) -> None:
        """Before the first is computed: the answers to all are lost with one that is refused. Raises RequestError."""
        assert self._handle is not None
        for _, request in requests:
            if isinstance(request, Generate):
                try:
                    self._handle.check(request)
                except RequestError as error:
                    raise self._named(error) from None

    def _submit(self, index: int, request: Question) -> None:
        assert self._handle is not None
        if self.is_called_off:
            return
        hear = partial(self._hear, index)
        handle = self._handle
        try:
            uid = handle.submit(request, hear) if isinstance(request, Generate) else handle.embed(request, hear)
        except RequestError as error:
            raise self._named(error) from None
        self._uids.append(uid)
        if self._called_off.is_set():  # meanwhile
            handle.abort(uid)

    def _abort(self) -> None:
        for handle, uid in self._submitted():
            handle.abort(uid)

    def _submitted(self) -> list[tuple[EngineHandle, int]]:
        return [(self._handle, uid) for uid in list(self._uids) if self._handle]
