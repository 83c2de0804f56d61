"""One engine's child process with its pipe and its log. Knows no request, no state and no restart."""

import multiprocessing
import threading
from contextlib import suppress
from pathlib import Path

import psutil

from backends.child import call
from backends.ownership.private import make_private_folder
from backends.quiet_start import start_quietly

ENTRY = "backends.engine.process:main"  # by its name only: the application imports nothing of an engine
KILL_SECONDS = 1.0  # that the system may take to end what was killed


class EngineProcess:
    """Any thread may `kill`; the one that made it reads from the connection and calls `end`."""

    def __init__(self, backend: str, log_path: Path | None = None):
        """Starts it. Raises OSError when there is no room for its pipe, its log or itself.

        log_path: None for one that stands by until its load names the log.
        """
        if log_path:
            rotate(log_path)
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        log = log_path and str(log_path)
        self._process = context.Process(target=call, args=(ENTRY, theirs, backend, log), daemon=True)
        self._is_over = False
        self._children: set[psutil.Process] = set()
        self._lock = threading.Lock()  # a pid must not be given away between the look and the kill
        try:
            start_quietly(self._process)
        except BaseException:
            self.connection.close()
            raise
        finally:
            theirs.close()  # or the pipe would never report the child's death
        self.pid = self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.is_alive()

    @property
    def is_stopped(self) -> bool:
        """By a signal or a debugger: it does nothing until somebody lets it go on."""
        try:
            return psutil.Process(self.pid).status() in (psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP)
        except psutil.Error:  # it is gone
            return False

    def kill(self) -> None:
        with self._lock:
            if not self._is_over:
                self._note_children()
                self._process.kill()
        self._kill_children()

    def end(self, seconds: float) -> int | None:
        """Let it leave by itself for so long, then kill it. Its exit code, None when that is not known.

        The connection is left to whoever reads and writes it."""
        with self._lock:
            self._note_children()
        self._process.join(seconds)
        self.kill()
        self._process.join(KILL_SECONDS)
        with self._lock:
            exitcode = self._process.exitcode
            if exitcode is not None:  # else it hangs in the system itself, where nothing can end it
                self._is_over = True
                self._process.close()
        return exitcode

    def _note_children(self) -> None:
        """While it lives: afterwards nobody knows whose they were. A child that is stopped does not see its engine's
        end."""
        with suppress(psutil.Error, OSError):  # no file may be free to look
            self._children |= set(psutil.Process(self.pid).children(recursive=True))

    def _kill_children(self) -> None:
        for child in self._children:
            with suppress(psutil.Error, OSError):
                child.kill()  # psutil looks at the time of its start first: the pid may be another's by now


def rotate(log_path: Path) -> None:
    """Keep the log of the process before: it may be the one that says why it died."""
    make_private_folder(log_path.parent)
    with suppress(OSError):  # there was none; or, on Windows, somebody reads it
        log_path.replace(log_path.with_suffix(".previous.log"))
