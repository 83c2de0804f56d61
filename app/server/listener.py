"""One uvicorn in a thread with a loop of its own. Imported when the port opens: no window waits for FastAPI."""

import asyncio
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future

import uvicorn

from app.server.application import create_application
from app.server.switchboard import Switchboard

GRACE_SECONDS = 1


class Listener:
    """Serves from its making until `stop`."""

    def __init__(
        self, switchboard: Switchboard, listener: socket.socket, host: str, api_key: str | None, max_body: int
    ):
        self._switchboard = switchboard
        app = create_application(switchboard, host, api_key, max_body)
        started: Future[asyncio.AbstractEventLoop] = Future()
        self._uvicorn = _Uvicorn(_config(app), started.set_result)
        arguments = (self._uvicorn, listener, started)
        self._thread = threading.Thread(target=_run, args=arguments, name="port", daemon=True)
        self._thread.start()
        self._loop = started.result()

    def stop(self) -> None:
        """Streams get a last sentence; a reader who does not take it is cut off after a second."""
        self._loop.call_soon_threadsafe(self._switchboard.hang_up)
        self._loop.call_soon_threadsafe(self._uvicorn.leave)
        self._thread.join()


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
