"""One uvicorn in a thread with a loop of its own. Imported when the port opens: no window waits for FastAPI."""

import asyncio
import logging
import socket
import ssl
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from app.server.connection import Connection
from app.server.core.limits import Limits
from app.server.handshakes import Handshakes

GRACE_SECONDS = 1
NUM_ACCEPTED = 32  # at one go: each takes a file of this process before the first is looked at
TICKS = 10  # of uvicorn in a second
BACKLOG = 1024  # that wait in the system, and take none
COMPLAINT_SECONDS = 60.0
REST_SECONDS = 5.0  # between two ticks while nobody is connected: each wakes a processor that may be asleep

log = logging.getLogger(__name__)


class Listener:
    """Serves from its making until `stop`, or until it fails: `ended` is set then, with the reason if it failed."""

    def __init__(
        self,
        app: ASGIApp,
        listener: socket.socket,
        limits: Limits,
        hang_up: Callable[[], None],
        tls: ssl.SSLContext | None = None,
        look: Callable[[], None] = lambda: None,
    ):
        """hang_up: called on the loop before it stops, so that whoever reads gets a last sentence. look: called on it
        about once a second while somebody is connected."""
        self._hang_up = hang_up
        self.ended: Future[str | None] = Future()
        started: Future[asyncio.AbstractEventLoop] = Future()
        handshakes = Handshakes(tls, limits) if tls else None
        rest = Rest()
        config = _config(app, limits, tls, rest)
        self._uvicorn = _Uvicorn(config, listener, started.set_result, handshakes, look, rest)
        arguments = (self._uvicorn, listener, started, self.ended)
        self._thread = threading.Thread(target=_run, args=arguments, name="port", daemon=True)
        self._thread.start()
        self.loop = started.result()

    def stop(self) -> None:
        """Streams get a last sentence; a reader who does not take it is cut off after a second."""
        if not self.ended.done():
            try:
                self.loop.call_soon_threadsafe(self._hang_up)
                self.loop.call_soon_threadsafe(self._uvicorn.leave)
            except RuntimeError:  # it has failed just now: the loop is closed
                pass
        self._thread.join()


class _Uvicorn(uvicorn.Server):
    """Tells when it listens, ends connections that keep it waiting, and leaves none open behind it."""

    def __init__(
        self,
        config: uvicorn.Config,
        listener: socket.socket,
        on_started: Callable[[asyncio.AbstractEventLoop], None],
        handshakes: Handshakes | None,
        look: Callable[[], None],
        rest: "Rest",
    ):
        super().__init__(config)
        self._rest = rest
        self._handshakes = handshakes
        self._look = look
        self._listener = listener
        self._on_started = on_started
        self._complained = -COMPLAINT_SECONDS

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        loop = asyncio.get_running_loop()
        if self._handshakes:
            loop.create_server = partial(_create_server, loop.create_server, self._handshakes)  # type: ignore[method-assign]
        await super().startup(sockets)
        self._listener.listen(BACKLOG)  # asyncio has one number for both
        loop.set_exception_handler(self._complain)
        self._on_started(loop)

    async def on_tick(self, counter: int) -> bool:
        now = asyncio.get_running_loop().time()
        for connection in self._connections():
            connection.look(now)
        if counter % TICKS == 0:
            self._look()
        self._listener.getsockname()  # raises when the system has taken it away, which nobody else would notice
        return await super().on_tick(counter)

    async def main_loop(self) -> None:
        """As uvicorn's, but that a port to which nobody is connected ticks seldom."""
        counter = 0
        try:
            while not await self.on_tick(counter):
                if self.server_state.connections:
                    await asyncio.sleep(1 / TICKS)
                    counter += 1
                else:
                    await self._rest.sleep()
                    counter += TICKS - counter % TICKS
        except BaseException:
            self._hang_up()
            raise

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        self._hang_up()
        await asyncio.gather(*self.server_state.tasks, return_exceptions=True)

    def leave(self) -> None:
        self.should_exit = True
        self._rest.stir()

    def _connections(self) -> list[Connection]:
        return [each for each in self.server_state.connections if isinstance(each, Connection)]

    def _hang_up(self) -> None:
        for server in self.servers:
            server.close()
        if self._handshakes:
            self._handshakes.end()
        for connection in self._connections():
            connection.end()

    def _complain(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """asyncio waits a second when no file is left for another connection; those that say nothing have some."""
        if "accept" not in context.get("message", ""):
            loop.default_exception_handler(context)
            return
        for connection in self._connections():
            if connection.is_silent():
                connection.end()
        if time.monotonic() - self._complained > COMPLAINT_SECONDS:
            self._complained = time.monotonic()
            log.warning("no file is left for another connection: %s", context.get("exception"))


class Rest:
    """The sleep of a port to which nobody is connected. Belongs to its loop."""

    def __init__(self) -> None:
        self._stirred = asyncio.Event()

    def stir(self) -> None:
        self._stirred.set()

    async def sleep(self) -> None:
        """For a while, or until somebody comes."""
        with suppress(TimeoutError):
            async with asyncio.timeout(REST_SECONDS):
                await self._stirred.wait()
        self._stirred.clear()


async def _create_server(
    usual: Callable[..., Awaitable[asyncio.Server]],
    handshakes: Handshakes,
    make: Callable[[], asyncio.Protocol],
    *,
    ssl: ssl.SSLContext,  # noqa: ARG001, the handshakes have it
    **named: Any,
) -> asyncio.Server:
    return await usual(handshakes.before(make), **named)


def _config(app: ASGIApp, limits: Limits, tls: ssl.SSLContext | None, rest: Rest) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http=partial(Connection, limits, rest.stir),  # type: ignore[arg-type]
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",  # handlers log their own errors
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=NUM_ACCEPTED,
        timeout_keep_alive=limits.idle,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    config.load()
    config.ssl = tls  # ours: uvicorn would ask at the terminal for a key's password
    return config


def _run(
    server: _Uvicorn,
    listener: socket.socket,
    started: "Future[asyncio.AbstractEventLoop]",
    ended: "Future[str | None]",
) -> None:
    reason = None
    try:
        asyncio.run(server.serve([listener]))
    except BaseException as error:
        if not started.done():
            started.set_exception(error)
            return
        log.exception("the port has failed")
        reason = str(error).rstrip(".") or type(error).__name__
    finally:
        listener.close()
    if reason is None and not server.should_exit:
        reason = "its loop has ended"
    ended.set_result(reason)
