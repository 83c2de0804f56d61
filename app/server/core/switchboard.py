"""Connects HTTP requests with engines, and knows which of them are in flight."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from app.errors import EngineError, UnknownModelError
from app.inference.engine_handle import EngineHandle, EngineState
from app.server.core.accounts import Accounts, Booking
from app.server.core.calls import CALL, note
from app.server.core.client import CLIENT
from app.server.core.counters import Counters
from app.server.core.directory import ModelDirectory, ModelFacts, unknown_name
from app.server.core.exchange import Exchange
from app.server.core.keeping import ModelKeeper
from app.server.core.mailbox import Mailbox
from app.server.core.threads import in_thread
from app.server.keys import Keys
from app.server.scope import Scope
from app.telemetry.sample import Sample
from backends.embedding import Question


class Switchboard:
    """Belongs to the server's loop; only `num_exchanges` may be read elsewhere."""

    def __init__(
        self,
        directory: ModelDirectory,
        load_seconds: float,
        folder: Path | None = None,
        look: Callable[[], Sample] | None = None,
        keys: Keys | None = None,
    ):
        """folder: for what dialects keep from one request to the next; None: they keep it in memory. look: at what the
        machine and the engines do; it may take seconds. keys: those that are kept."""
        self.folder = folder
        self.keys = keys
        self._directory = directory
        self._load_seconds = load_seconds
        self._look = look
        self._mailbox: Mailbox | None = None  # made with the first request, on the loop
        self.counters = Counters()
        self._accounts = Accounts()
        self._exchanges: dict[Exchange, Booking] = {}

    @property
    def num_exchanges(self) -> int:
        return len(self._exchanges)

    def connect(
        self,
        model: str | None,
        requests: Sequence[Sequence[Question]],
        name_of: Callable[[str], str | None] = lambda _: None,
    ) -> Exchange:
        """For each prompt the requests that share it. name_of: what the program calls a part of its request. Raises
        Refusal when the client has too many that wait."""
        self._mailbox = self._mailbox or Mailbox()
        booking = self._accounts.book(CLIENT.get(), sum(map(len, requests)))
        call = CALL.get()
        exchange = Exchange(
            self._directory,
            model,
            requests,
            self._load_seconds,
            self._mailbox,
            self._forget,
            booking.turn,
            self.counters,
            name_of,
            call.client if call else "a program",
        )
        self._exchanges[exchange] = booking
        note(exchange)
        return exchange

    def _forget(self, exchange: Exchange) -> None:
        """It may say more than once that it is over."""
        if booking := self._exchanges.pop(exchange, None):
            self._accounts.close(booking)

    async def models(self) -> Mapping[str, ModelFacts]:
        return await in_thread(self._directory.facts)

    async def header(self, name: str) -> Mapping[str, Any]:
        """As the directory has it."""
        return await in_thread(partial(self._directory.header, name))

    @property
    def keeper(self) -> ModelKeeper | None:
        """Of the models on disk; None: this port may not change them."""
        return self._directory.keeper

    async def engines(self) -> Sequence[EngineHandle]:
        """Those that can answer now. Nothing is loaded for the question."""
        handles = await in_thread(self._directory.engines)
        return [handle for handle in handles if handle.snapshot.state is EngineState.READY]

    async def sample(self) -> Sample | None:
        """Of this moment; None where nobody samples."""
        return await in_thread(self._look) if self._look else None

    async def loaded(self, model: str | None) -> EngineHandle:
        """The engine of this name; None: the first. Raises UnknownModelError, and EngineError where none is loaded."""
        engines = await self.engines()
        if not engines:
            raise EngineError("No model is loaded. Ask one for an answer, or load it in the window.")
        if model is None:
            return engines[0]
        handle = next((each for each in engines if each.name == model), None)
        if handle is None:
            names = [each.name for each in engines]
            raise UnknownModelError(unknown_name(model, names, names))
        return handle

    async def answering(self, name: str) -> str | None:
        """The name of the model that would answer to this one; None: none would. Loads nothing."""
        return await in_thread(partial(self._directory.answering, name))

    async def load(self, model: str | None) -> str:
        """Have it begin to load, if it is not there; its name. Raises UnknownModelError and EngineError."""
        return (await in_thread(partial(self._directory.engine, model))).name

    async def keep(self, model: str, seconds: float | None) -> None:
        """How long it stays loaded after a request; None: as for all. Who may not manage models is not heard."""
        if seconds is not None and CLIENT.get().scope is Scope.MANAGE:
            await in_thread(partial(self._directory.keep, model, seconds))

    def loading(self) -> float | None:
        """How far the first model is, from 0 to 1; None as soon as one can answer, or while none is on its way."""
        return self._directory.loading()

    def hang_up(self) -> None:
        for exchange in list(self._exchanges):
            exchange.hang_up()

    def abandon(self) -> None:
        """The loop has ended by itself: nobody will read these answers."""
        for exchange in list(self._exchanges):
            exchange.close()
