"""Engine processes that were started before their models are known: they import while the application does."""

import threading
from contextlib import suppress
from pathlib import Path

from app.inference.engine_process import EngineProcess, rotate

MOST = 4  # of them; each takes some 60 MB and a third of a second of a core


class Standby:
    """Thread-safe. Each is handed out once; `close` ends those that nobody has wanted."""

    def __init__(self, count: int = 1, backend: str = "llama"):
        self._backend = backend
        self._lock = threading.Lock()  # the threads of several engines ask
        self._processes: list[EngineProcess] = []
        with suppress(OSError):  # no room for one: an engine that is wanted will say so
            for _ in range(min(count, MOST)):
                self._processes.append(EngineProcess(backend))

    def take(self, backend: str, log_path: Path) -> EngineProcess | None:
        """One that waits for its load, which must name this log. Raises OSError when there is no place for it."""
        with self._lock:
            while backend == self._backend and self._processes:
                if self._processes[-1].is_alive:
                    rotate(log_path)
                    return self._processes.pop()
                _end(self._processes.pop())
        return None

    def renew(self) -> None:
        """The engine build has changed: those that wait have loaded the other one."""
        with self._lock:
            count = len(self._processes)
            while self._processes:
                _end(self._processes.pop())
            with suppress(OSError):
                for _ in range(count):
                    self._processes.append(EngineProcess(self._backend))

    def close(self) -> None:
        with self._lock:
            while self._processes:
                _end(self._processes.pop())


def _end(process: EngineProcess) -> None:
    process.kill()  # it has nothing to put away
    process.end(0.0)
    process.connection.close()
