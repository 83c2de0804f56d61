"""The HTTP server: uvicorn in a thread of the application, with a loop of its own."""

import asyncio
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

import uvicorn

from app.errors import UsageError
from app.server import address
from app.server.application import create_application
from app.server.auth import is_loopback
from app.server.directory import ModelDirectory
from app.server.guard import MAX_BODY
from app.server.switchboard import Switchboard

LOAD_SECONDS = 600.0
GRACE_SECONDS = 1


@dataclass(frozen=True, slots=True)
class _Running:
    address: str
    loop: asyncio.AbstractEventLoop
    uvicorn: "_Uvicorn"
    switchboard: Switchboard
    thread: threading.Thread


class Server:
    """start() and stop() may alternate; both are called from one thread, and return when it is done."""

    def __init__(self, directory: ModelDirectory, load_seconds: float = LOAD_SECONDS, max_body: int = MAX_BODY):
        self._directory = directory
        self._load_seconds = load_seconds
        self._max_body = max_body
        self._running: _Running | None = None

    @property
    def address(self) -> str | None:
        """The base URL while it listens."""
        return self._running.address if self._running else None

    @property
    def num_requests(self) -> int:
        """Requests for text in flight, those that wait for a load included."""
        return self._running.switchboard.num_exchanges if self._running else 0

    def start(self, host: str = "127.0.0.1", port: int = 8642, api_key: str | None = None) -> str:
        """Listen, and return the base URL. Raises PortInUseError, and UsageError for an open door without a key."""
        assert not self._running, "started twice"
        if not is_loopback(host) and not api_key:
            raise UsageError(f"“{host}” can be reached from other machines, so the port needs an API key.")
        listener = address.bind(host, port)
        switchboard = Switchboard(self._directory, self._load_seconds)
        app = create_application(switchboard, host, api_key or None, self._max_body)
        started: Future[asyncio.AbstractEventLoop] = Future()
        server = _Uvicorn(_config(app), started.set_result)
        thread = threading.Thread(target=_run, args=(server, listener, started), name="port", daemon=True)
        bound_port = listener.getsockname()[1]
        thread.start()
        loop = started.result()
        self._running = _Running(address.url(host, bound_port), loop, server, switchboard, thread)
        return self._running.address

    def stop(self) -> None:
        """Streams get a last sentence; a reader who does not take it is cut off after a second."""
        running, self._running = self._running, None
        if running:
            running.loop.call_soon_threadsafe(running.switchboard.hang_up)
            running.loop.call_soon_threadsafe(running.uvicorn.leave)
            running.thread.join()


class _Uvicorn(uvicorn.Server):
    """Tells when it listens, and leaves no connection open behind it."""

    def __init__(self, config: uvicorn.Config, on_started: Callable[[asyncio.AbstractEventLoop], None]):
        super().__init__(config)
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started(asyncio.get_running_loop())

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            if transport := getattr(connection, "transport", None):
                transport.abort()
        await asyncio.gather(*self.server_state.tasks, return_exceptions=True)

    def leave(self) -> None:
        self.should_exit = True


def _config(app: object) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",  # handlers log their own errors
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def _run(server: _Uvicorn, listener: socket.socket, started: "Future[asyncio.AbstractEventLoop]") -> None:
    try:
        asyncio.run(server.serve([listener]))
    except BaseException as error:
        if started.done():
            raise
        started.set_exception(error)
    finally:
        listener.close()
