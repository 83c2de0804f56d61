"""One loaded model as the application sees it: a process, a pipe, a reader thread and its requests in flight."""

import hashlib
import multiprocessing
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path

from app.errors import EngineError, SlipstreamError
from app.inference.crash import CrashReport, crash_report
from backends.ownership.private import make_private_folder
from backends.protocol import (
    Abort,
    Close,
    EngineOptions,
    Event,
    Failed,
    FailureKind,
    Finish,
    Generate,
    Load,
    Loading,
    Output,
    Outputs,
    Pause,
    Ready,
    Resume,
    Stats,
)

Sink = Callable[[Output | Failed], None]
# checks the files before the process starts; may change the options, and adds sentences to the load event
Preflight = Callable[[Path, EngineOptions], tuple[EngineOptions, tuple[str, ...]]]

MAX_FILE_NAME = 120
MAX_RESTARTS = 5  # within RESTART_WINDOW seconds; an engine that dies faster than that stays down
RESTART_WINDOW = 60.0
CLOSE_SECONDS = 5.0  # it writes its prompt cache to disk first

_uids = count(1)


class EngineState(StrEnum):
    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"  # the load was refused, or it died too often
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class EngineSnapshot:
    """What a listener is told. `crash` stays until the next load is ready, so that it can be shown."""

    name: str
    model: Path
    state: EngineState
    fraction: float
    ready: Ready | None
    stats: Stats | None
    crash: CrashReport | None
    error: str | None


class EngineHandle:
    """Thread-safe. A sink is called on the reader thread with each Output, and last with a finish or a Failed."""

    def __init__(
        self,
        name: str,
        model: Path,
        options: EngineOptions,
        backend: str,
        logs: Path,
        preflight: Preflight | None,
        notify: Callable[[EngineSnapshot], None],
    ):
        self.name = name
        self.model = model
        self.options = options
        self.log_path = logs / f"engine-{_file_name(name)}.log"
        self._backend = backend
        self._preflight = preflight
        self._notify = notify
        # several threads submit, one reads: the table of sinks and the state must change together
        self._changed = threading.Condition(threading.RLock())
        self._snapshot = EngineSnapshot(name, model, EngineState.LOADING, 0.0, None, None, None, None)
        self._sinks: dict[int, Sink] = {}
        self._connection: Connection | None = None
        self._process: multiprocessing.process.BaseProcess | None = None
        self._deaths: deque[float] = deque(maxlen=MAX_RESTARTS)
        self._thread = threading.Thread(target=self._run, name=f"engine-{name}", daemon=True)

    @property
    def snapshot(self) -> EngineSnapshot:
        return self._snapshot

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self) -> None:
        self._thread.start()

    def wait_ready(self, timeout: float | None = None) -> Ready:
        """Raises EngineError when the load fails, the engine is closed, or the time is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._snapshot.state is not EngineState.LOADING, timeout)
            snapshot = self._snapshot
        if snapshot.state is EngineState.READY and snapshot.ready:
            return snapshot.ready
        if snapshot.state is EngineState.LOADING:
            raise EngineError(f"“{self.name}” is still loading. Try again in a moment.")
        raise EngineError(snapshot.error or f"“{self.name}” is not loaded any more.", snapshot.crash)

    def submit(self, request: Generate, sink: Sink) -> int:
        """Send a request and return its uid. Raises EngineError unless the engine is ready."""
        uid = next(_uids)
        with self._changed:
            connection = self._connection
            if self._snapshot.state is not EngineState.READY or connection is None:
                raise EngineError(self._not_ready(), self._snapshot.crash)
            self._sinks[uid] = sink
            with suppress(OSError):  # it died just now; the reader thread tells every sink, this one too
                connection.send(replace(request, uid=uid))
        return uid

    def abort(self, uid: int) -> None:
        """Call an answer off; its sink still gets the finish. Unknown or finished uids are ignored."""
        with self._changed:
            if self._connection and uid in self._sinks:
                with suppress(OSError):  # dead already: nothing left to abort
                    self._connection.send(Abort(uid))

    def pause(self, uid: int) -> None:
        """Nobody reads this answer: none of it is computed until `resume`. Unknown or finished uids are ignored."""
        self._tell(uid, Pause(uid))

    def resume(self, uid: int) -> None:
        self._tell(uid, Resume(uid))

    def _tell(self, uid: int, request: Pause | Resume) -> None:
        with self._changed:
            if self._connection and uid in self._sinks:
                with suppress(OSError):  # dead already: its sink is told so
                    self._connection.send(request)

    def close(self) -> None:
        with self._changed:
            if self._snapshot.state is EngineState.CLOSED:
                return
            self._set(state=EngineState.CLOSED)
            process = self._process
            if self._connection:
                with suppress(OSError):  # dead already
                    self._connection.send(Close())
        if process:
            _end(process)
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def _not_ready(self) -> str:
        if self._snapshot.state is EngineState.LOADING:
            return f"“{self.name}” is still loading. Try again in a moment."
        return self._snapshot.error or f"“{self.name}” is not loaded any more."

    def _run(self) -> None:
        """Start, read to the end, and start again after a death, until closed or failed for good."""
        options: EngineOptions = self.options
        notes: tuple[str, ...] = ()
        if self._preflight:
            try:
                options, notes = self._preflight(self.model, self.options)
            except SlipstreamError as error:
                self._update(state=EngineState.FAILED, error=str(error))
                return
        while self._is_wanted():
            connection, process = self._spawn(Load(self.model, self.name, options, notes))
            if connection is None:
                return
            self._read(connection)
            process.join(CLOSE_SECONDS)
            _end(process)
            self._account_for_death(process.exitcode)

    def _is_wanted(self) -> bool:
        return self._snapshot.state is EngineState.LOADING

    def _spawn(self, load: Load) -> tuple[Connection | None, multiprocessing.process.BaseProcess]:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(
            target=_engine_main,
            args=(theirs, self._backend, str(self.log_path)),
            name=f"slipstream-engine-{self.name}",
            daemon=True,
        )
        with self._changed:
            if self._snapshot.state is EngineState.CLOSED:
                _close(ours)
                _close(theirs)
                return None, process
            _rotate(self.log_path)
            process.start()
            theirs.close()  # or the pipe would never report the child's death
            self._connection, self._process = ours, process
            with suppress(OSError):  # it died at once; _read sees the same
                ours.send(load)
        return ours, process

    def _read(self, connection: Connection) -> None:
        while True:
            try:
                event: Event = connection.recv()
            except (EOFError, OSError):
                return
            self._handle(event)

    def _handle(self, event: Event) -> None:
        match event:
            case Outputs():
                for output in event.outputs:
                    self._deliver(output)
            case Failed(uid=None):
                self._update(state=EngineState.FAILED, error=event.message)
            case Failed():
                self._deliver(event)
            case Stats():
                self._update(stats=event)
            case Loading():
                self._update(fraction=event.fraction)
            case Ready():
                self._update(state=EngineState.READY, ready=event, crash=None, error=None, fraction=1.0)

    def _deliver(self, event: Output | Failed) -> None:
        assert event.uid is not None
        is_last = isinstance(event, Failed) or event.finish is not None
        with self._changed:
            sink = self._sinks.pop(event.uid, None) if is_last else self._sinks.get(event.uid)
        if sink:
            sink(event)

    def _account_for_death(self, exitcode: int | None) -> None:
        """Tell the requests in flight, then decide between another start and giving up."""
        with self._changed:
            _close(self._connection)
            self._connection = None
            orphans, self._sinks = self._sinks, {}
            if self._snapshot.state is EngineState.CLOSED:
                crash = None
            elif self._snapshot.state is EngineState.FAILED:  # it said why and left by itself
                return
            else:
                crash = crash_report(exitcode, self.log_path)
                self._deaths.append(time.monotonic())
                self._set(crash=crash, stats=None, error=str(crash), fraction=0.0, state=self._next_state())
            snapshot = self._snapshot
        self._notify(snapshot)
        for uid, sink in orphans.items():
            sink(_farewell(uid, crash))

    def _next_state(self) -> EngineState:
        is_first_load = self._snapshot.ready is None  # it has never worked: do not try in a loop
        recent = [t for t in self._deaths if time.monotonic() - t < RESTART_WINDOW]
        gives_up = is_first_load or len(recent) == MAX_RESTARTS
        return EngineState.FAILED if gives_up else EngineState.LOADING

    def _update(self, **changes: object) -> None:
        with self._changed:
            if self._snapshot.state is EngineState.CLOSED:
                return
            self._set(**changes)
            snapshot = self._snapshot
        self._notify(snapshot)

    def _set(self, **changes: object) -> None:
        self._snapshot = replace(self._snapshot, **changes)  # type: ignore[arg-type]
        self._changed.notify_all()


def _engine_main(connection: Connection, backend: str, log_path: str) -> None:
    """Runs in the child: the application knows the engine's entry point by name only."""
    from importlib import import_module

    import_module("backends.engine.process").main(connection, backend, log_path)


def _farewell(uid: int, crash: CrashReport | None) -> Output | Failed:
    if crash is None:
        return Output(uid, "", 0, Finish.ABORT)
    return Failed(uid, FailureKind.ENGINE_DIED, str(crash))


def _close(connection: Connection | None) -> None:
    if connection and not connection.closed:
        connection.close()


def _end(process: multiprocessing.process.BaseProcess) -> None:
    """The pipe is closed, so it ends by itself; one that hangs in native code is ended."""
    process.join(CLOSE_SECONDS)
    if process.is_alive():
        process.kill()
        process.join()


def _rotate(log_path: Path) -> None:
    """Keep the log of the process before: it may be the one that says why it died."""
    make_private_folder(log_path.parent)
    with suppress(OSError):  # there was none; or, on Windows, somebody reads it
        log_path.replace(log_path.with_suffix(".previous.log"))


def _file_name(name: str) -> str:
    safe = "".join(c if c.isalnum() or c in "-_." else "-" for c in name)
    is_long = len(safe.encode()) > MAX_FILE_NAME  # in bytes, of which a file name may have 255
    return f"{safe[:40]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}" if is_long else safe
