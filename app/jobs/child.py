"""The application's side of a worker child: starts it, hears its progress, ends it. Knows no work."""

import logging
import multiprocessing
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from app.errors import Cancelled, EngineError, SlipstreamError, SlowError
from app.inference.crash import MemoryWatch, crash_report
from backends import child
from backends.child import Done, Message, Progress, Refused
from backends.ownership.private import make_private_folder
from backends.quiet_start import start_quietly

TICK_SECONDS = 0.1  # how often a cancel is looked for
EXIT_SECONDS = 1.0  # a child that has sent its result may take this long to leave
TERMINATE_SECONDS = 0.5  # then it is killed

_log = logging.getLogger(__name__)

OnProgress = Callable[[Progress], None]


def ignore_progress(_progress: Progress) -> None:
    pass


def run_in_child(
    target: str,
    /,
    *,
    log_path: Path,
    on_progress: OnProgress = ignore_progress,
    cancelled: threading.Event | None = None,
    error: type[SlipstreamError] = EngineError,
    limit: float | None = None,
    **arguments: Any,
) -> Any:
    """Calls `target` ("package.module:function") in a new process and returns its result.

    on_progress is called on the caller's thread. The child's output goes to log_path, which is overwritten.
    Raises Cancelled within a second of `cancelled` being set, and `error` with one sentence when the child
    refuses, dies or takes longer than `limit` seconds (then SlowError for EngineError); a death has its CrashReport in
    `error.crash` where that class carries one.
    """
    make_private_folder(log_path.parent)
    context = multiprocessing.get_context("spawn")
    results, child_results = context.Pipe(duplex=False)
    child_lifeline, lifeline = context.Pipe(duplex=False)
    process = context.Process(
        target=child.main, args=(child_results, child_lifeline, log_path, target, arguments), name=target, daemon=True
    )
    ear, is_short = Ear(results), MemoryWatch()
    try:
        start_quietly(process)
        child_results.close()  # else the end of the child would not be the end of the pipe
        child_lifeline.close()
        ear.start()
        last = _follow(ear, on_progress, cancelled, None if limit is None else _Limit(limit, target, error))
        process.join(EXIT_SECONDS)
        if last is None:
            raise _death(process.exitcode, target, log_path, error, is_short)
        if isinstance(last, Refused):
            raise error(last.message)
        return last.result
    finally:
        _end(process)
        for connection in (child_results, lifeline, child_lifeline):
            connection.close()
        ear.close()


class Ear:
    """Reads on a thread of its own: a child that stops in the middle of a message holds up nobody else."""

    def __init__(self, results: Connection):
        self.messages: SimpleQueue[Message | None] = SimpleQueue()  # None is the end
        self._results = results
        self._thread = threading.Thread(target=self._run, name="child-results", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """The child has ended, and its messages with it."""
        if self._thread.ident is not None:
            self._thread.join()
        self._results.close()

    def _run(self) -> None:
        try:
            while True:
                self.messages.put(self._results.recv())
        except Exception as error:  # the edge: the end of the pipe, or what is no message of ours
            if not isinstance(error, (EOFError, OSError)):
                _log.exception("a child said something that could not be read")
            self.messages.put(None)


class _Limit:
    """How long a child may take that nobody could call off."""

    def __init__(self, seconds: float, target: str, error: type[SlipstreamError]):
        self._until = time.monotonic() + seconds
        self._error = error
        self._sentence = f"The child process for “{_task(target)}” took longer than {seconds:.0f} s and was ended."

    def check(self) -> None:
        if time.monotonic() > self._until:
            raise SlowError(self._sentence) if self._error is EngineError else self._error(self._sentence)


def _follow(
    ear: Ear, on_progress: OnProgress, cancelled: threading.Event | None, limit: _Limit | None
) -> Done | Refused | None:
    """The child's last message, or None when it died without one."""
    while True:
        if limit:
            limit.check()
        if cancelled is not None and cancelled.is_set():
            raise Cancelled("Cancelled.")
        try:
            message = ear.messages.get(timeout=TICK_SECONDS)
        except Empty:
            continue
        if isinstance(message, Progress):
            on_progress(message)
        else:
            return message


def _end(process: SpawnProcess) -> None:
    if process.pid is None:
        return
    if process.is_alive():
        process.terminate()
        process.join(TERMINATE_SECONDS)
    if process.is_alive():
        process.kill()
        process.join()
    process.close()


def _death(
    exitcode: int | None, target: str, log_path: Path, error: type[SlipstreamError], is_short: Callable[[], bool]
) -> SlipstreamError:
    report = crash_report(exitcode, log_path, is_short=is_short)
    # a Python traceback ends with the line that says why; after a signal the log ends with stack addresses
    why = f" Its last words: {report.log[-1]}." if report.log and exitcode and exitcode > 0 else ""
    message = f"The child process for “{_task(target)}” stopped: {report.cause}.{why} Its log is {log_path}."
    return EngineError(message, report) if error is EngineError else error(message)


def _task(target: str) -> str:
    return target.rpartition(":")[2].replace("_", " ")
