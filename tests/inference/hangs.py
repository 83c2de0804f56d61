"""Engines and children that misbehave, for tests. Started by name in real child processes."""

import os
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

from backends.child import Progress

Report = Callable[[Progress], None]


def talks_nonsense(connection: Connection, _backend: str, _log_path: str) -> None:
    connection.recv()
    connection.send_bytes(b"no pickle at all")
    time.sleep(60)


def never_speaks(connection: Connection, _backend: str, _log_path: str) -> None:
    connection.recv()
    time.sleep(60)


def cannot_import(connection: Connection, backend: str, log_path: str | None) -> None:
    """The engine's own entry, where a library is missing."""
    from backends import registry
    from backends.engine.process import main

    def missing(_backend: str) -> None:
        raise ImportError("NoSuchLibrary")

    registry.loader = missing  # type: ignore[assignment]
    main(connection, backend, log_path)


def stops_itself(_report: Report) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def stops_in_a_message(report: Report) -> None:
    """The other side has read a part when the rest does not come."""
    pid = os.getpid()
    if os.fork() == 0:
        time.sleep(0.5)
        os.kill(pid, signal.SIGSTOP)
        os._exit(0)
    while True:
        report(Progress(0.0, "x" * 50_000_000))
