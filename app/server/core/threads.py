"""Calls that may block, made from the server's loop."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


async def in_thread(function: Callable[[], T]) -> T:
    """Run it in a thread of its own: a pool would fill with waits for a load, and aborts would queue behind them.

    Cancelling this does not end the function, only the wait for it.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def run() -> None:
        try:
            settle = _setter(future.set_result, function())
        except Exception as error:
            settle = _setter(future.set_exception, error)
        with suppress(RuntimeError):  # the server was stopped meanwhile: nobody waits
            loop.call_soon_threadsafe(_unless_cancelled, future, settle)

    start_thread(run)
    return await future


def start_thread(function: Callable[[], None]) -> None:
    threading.Thread(target=function, name="port-call", daemon=True).start()


def _setter(method: Callable[[T], None], value: T) -> Callable[[], None]:
    return lambda: method(value)


def _unless_cancelled(future: "asyncio.Future[T]", settle: Callable[[], None]) -> None:
    if not future.done():
        settle()
