"""Ends the parts of the application side by side and in time, whatever one of them waits for. Knows none of them."""

import atexit
import logging
import multiprocessing
import multiprocessing.util  # whose own call at the exit, which waits for children without end, must come after ours
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

_log = logging.getLogger(__name__)


def close_all(parts: Mapping[str, Callable[[], None]], seconds: float) -> None:
    """Returns when all have ended, or when the time is over: what hangs is left to the end of the process."""
    threads = {name: threading.Thread(target=_close, args=(name, close), daemon=True) for name, close in parts.items()}
    until = time.monotonic() + seconds
    for thread in threads.values():
        thread.start()
    for name, thread in threads.items():
        thread.join(max(0.0, until - time.monotonic()))
        if thread.is_alive():
            _log.warning("left behind: %s did not end within %.0f s", name, seconds)


def kill_children_at_exit() -> None:
    """Once, by the entry point: a stopped child would be waited for without end."""
    atexit.register(_kill_children)


def _close(name: str, close: Callable[[], None]) -> None:
    try:
        close()
    except Exception:  # the edge: one part that cannot close must not keep the others open
        _log.exception("%s could not be closed", name)


def _kill_children() -> None:
    """Those that this program has started, and theirs; what a person has opened with it is no child of it."""
    for child in multiprocessing.active_children():
        import psutil  # most commands leave none, and start sooner without it

        with suppress(psutil.Error):
            for grandchild in psutil.Process(child.pid).children(recursive=True):
                with suppress(psutil.Error):
                    grandchild.kill()
        child.kill()
