"""The port as the application sees it: opens, tells its address, closes; and says when it has failed."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from app.access import Access
from app.errors import UsageError
from app.server import address
from app.server.auth import Authority, is_loopback, new_api_key
from app.server.core.calls import CallBook, Logged
from app.server.core.directory import ModelDirectory
from app.server.core.limits import MAX_BODY, Limits, limits_of_this_process
from app.server.keys import Keys
from app.server.tls import Certificate

if TYPE_CHECKING:
    import ssl
    from concurrent.futures import Future

    from app.server.core.switchboard import Switchboard
    from app.server.guard import Guard
    from app.server.listener import Listener
    from app.server.native.control import Control
    from app.telemetry import Sample

LOAD_SECONDS = 600.0
MAX_REASON = 200


@dataclass(frozen=True, slots=True)
class _Door:
    """An open port that nobody answers yet: who comes waits in the system's queue."""

    socket: socket.socket
    host: str
    authority: Authority
    access: Access
    tls: "ssl.SSLContext | None"


class Server:
    """`start`, which is `open` and then `answer`, alternates with `stop`; all are called from one thread, and return
    when it is done."""

    def __init__(
        self,
        directory: ModelDirectory,
        load_seconds: float = LOAD_SECONDS,
        max_body: int = MAX_BODY,
        limits: Limits | None = None,
        keys: Keys | None = None,
        folder: Path | None = None,
        control: "Callable[[], Control] | None" = None,
        log: Callable[[Logged], None] | None = None,
        look: "Callable[[], Sample] | None" = None,
    ):
        """keys: those that are kept, beside one that may be given at the start. folder: for what is kept of requests;
        None: nothing of them outlives it. control: what the native API can do, made when the port opens; None: it is
        not there. log: told of each request that is over. look: the machine's and the engines' figures of this
        moment, for /metrics."""
        self.own_key = new_api_key()  # for this person's own commands, while the port is open
        self._keys = keys
        self._directory = directory
        self._load_seconds = load_seconds
        self._max_body = max_body
        self._limits = limits
        self._folder = folder
        self._control = control
        self._look = look
        self.calls = CallBook(log)
        self._door: _Door | None = None
        self._listener: Listener | None = None
        self._switchboard: Switchboard | None = None
        self._guard: Guard | None = None
        self._authority = Authority()
        self._address: str | None = None
        self._trouble: str | None = None
        self._subscribers: list[Callable[[str], None]] = []
        self._lock = threading.Lock()  # the port's own thread may fail while another one stops it

    @property
    def address(self) -> str | None:
        """The base URL while it listens."""
        return self._address

    @property
    def trouble(self) -> str | None:
        """A sentence, when it has stopped by itself; until it is started again."""
        return self._trouble

    @property
    def num_requests(self) -> int:
        """Requests for text in flight, those that wait for a load included."""
        switchboard = self._switchboard
        return switchboard.num_exchanges if switchboard else 0

    def stop_request(self, call_id: int) -> None:
        """End its answers; one that is over already is left alone."""
        with self._lock:
            listener = self._listener
        if listener:
            with suppress(RuntimeError):  # its loop has ended, and all answers with it
                listener.loop.call_soon_threadsafe(self.calls.stop, call_id)

    def subscribe(self, listener: Callable[[str], None]) -> Callable[[], None]:
        """Called on the port's thread when it stops by itself; the function returned ends that."""
        self._subscribers.append(listener)
        return lambda: self._subscribers.remove(listener)

    @property
    def needs_key(self) -> bool:
        """Whether whoever calls must show a key, now."""
        return self._authority.needs_key

    @property
    def is_exposed(self) -> bool:
        """Whether other machines reach it."""
        return self._authority.is_exposed

    def start(
        self,
        host: str = "127.0.0.1",
        port: int = 8642,
        api_key: str | None = None,
        access: Access = Access(),  # noqa: B008, it is a frozen value
        certificate: Certificate | None = None,
    ) -> str:
        """Listen, and return the base URL. Raises PortInUseError, and UsageError for an open door without a key."""
        url = self.open(host, port, api_key, access, certificate)
        self.answer()
        return url

    def open(
        self,
        host: str,
        port: int,
        api_key: str | None,
        access: Access = Access(),  # noqa: B008
        certificate: Certificate | None = None,
    ) -> str:
        """Take the port, and return the base URL: who connects waits for `answer`. Raises as `start`.

        api_key: one that holds beside the kept ones.
        """
        assert not self._address, "started twice"
        authority = Authority(self._keys, api_key or None, is_exposed=not is_loopback(host), own=self.own_key)
        if authority.is_exposed and not authority.has_key:
            raise UsageError(
                f"“{host}” can be reached from other machines, so the port needs an API key. "
                "Make one with “slipstream keys --add NAME” or in the settings."
            )
        tls = certificate.context() if certificate else None
        door = _Door(address.bind(host, port), host, authority, access, tls)
        url = address.url(host, door.socket.getsockname()[1], "https" if tls else "http")
        with self._lock:
            self._door, self._address, self._trouble, self._authority = door, url, None, authority
        return url

    def allow(self, access: Access) -> None:
        """Other names and pages, from the next request on."""
        with self._lock:
            if self._door:
                self._door = replace(self._door, access=access)
            if self._guard:
                self._guard.access = access

    def answer(self) -> None:
        """Those who wait and those who come, at the port that is open."""
        with self._lock:
            door, self._door = self._door, None
        assert door, "the port is not open, or is answered already"
        try:
            listener, switchboard, guard = self._listen(door)
        except BaseException:
            self._forget()
            door.socket.close()
            raise
        with self._lock:
            self._listener, self._switchboard, self._guard = listener, switchboard, guard
        listener.ended.add_done_callback(partial(self._note_end, listener))

    def _listen(self, door: _Door) -> "tuple[Listener, Switchboard, Guard]":
        from app.server.application import create_application  # FastAPI takes a quarter of a second to import
        from app.server.core.switchboard import Switchboard
        from app.server.guard import Guard
        from app.server.listener import Listener
        from app.server.native.routes import Native
        from app.server.register import Register

        switchboard = Switchboard(self._directory, self._load_seconds, self._folder, self._look, self._keys)
        limits = self._limits or limits_of_this_process()
        native = Native(self._control(), self.calls) if self._control else None
        application = create_application(switchboard, native)
        guard = Guard(application, door.host, door.authority, door.access, self._max_body, limits)
        register = Register(guard, self.calls)

        def hang_up() -> None:
            switchboard.hang_up()
            if native:
                native.hang_up()

        look = partial(self.calls.expel, door.authority.knows)
        return Listener(register, door.socket, limits, hang_up, door.tls, look), switchboard, guard

    def stop(self) -> None:
        """Returns within two seconds, also with open streams."""
        door, self._door = self._door, None
        if listener := self._forget():
            listener.stop()
        elif door:
            door.socket.close()
        if self._keys:
            self._keys.write_uses()

    def _forget(self, trouble: str | None = None) -> "Listener | None":
        with self._lock:
            listener, self._listener, self._switchboard, self._address = self._listener, None, None, None
            self._guard = None
            self._trouble = trouble
        return listener

    def _note_end(self, listener: "Listener", ended: "Future[str | None]") -> None:
        reason = ended.result()
        if reason is None or listener is not self._listener:  # it was told to
            return
        url, switchboard = self._address, self._switchboard
        trouble = f"The port {url} stopped by itself ({reason[:MAX_REASON]}). Start it again."
        self._forget(trouble)
        if switchboard:
            switchboard.abandon()
        for tell in list(self._subscribers):
            tell(trouble)
