"""One loaded model as the application sees it: its process, its requests in flight, and what becomes of both."""

import errno
import hashlib
import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import count
from multiprocessing.connection import Connection
from pathlib import Path

from app.errors import EngineError, ModelFileError, NoRoomError, SlipstreamError
from app.inference.alarm import Alarm
from app.inference.answers import Answers, Sink, called_off, died
from app.inference.bounds import check_calls, check_length, check_tokens
from app.inference.crash import CrashReport, MemoryWatch, crash_report
from app.inference.engine_process import KILL_SECONDS, EngineProcess
from app.inference.gate import Gate, Preflight
from app.inference.outbox import Outbox
from app.inference.restarts import Restarts
from app.inference.snapshot import EngineSnapshot, EngineState
from app.inference.speed import Speed
from app.inference.standby import Standby
from app.inference.users import Hold, Users
from app.inference.watchdog import Vitals
from app.library.gguf import UnreadableFileError
from backends.embedding import Embedded, EmbeddingEvent, EmbeddingRequest, Question, Ranked
from backends.protocol import (
    EngineOptions,
    Event,
    Failed,
    FailureKind,
    Generate,
    Load,
    Loading,
    Outputs,
    Pause,
    Progress,
    Pulse,
    Reading,
    Ready,
    Resume,
    Stats,
)

__all__ = ["EngineHandle", "EngineSnapshot", "EngineState"]


MAX_FILE_NAME = 120
CLOSE_SECONDS = 3.0  # it writes its prompt cache to disk first
RETIRE_SECONDS = 10.0  # the same, of one that leaves by itself: nobody waits for the end of the application
ABORT_SECONDS = 0.3  # a healthy engine needs a few milliseconds, and says what the answer has cost
SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM)  # of the system's, which mostly pass
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)  # seconds before each other try to start anew in a shortage
TOO_MANY_FILES = "too many files and connections are open. Close some, then load the model again"

_uids = count(1)
_log = logging.getLogger(__name__)


class EngineHandle:
    """Thread-safe, and never waits for the engine but in `wait_ready` and `close`.

    A sink is called with each Output, and last with a finish or a Failed: on the reader thread, or on that of whoever
    ends the answer.
    """

    def __init__(
        self,
        name: str,
        model: Path,
        options: EngineOptions,
        backend: str,
        logs: Path,
        preflight: Preflight | None,
        notify: Callable[[EngineSnapshot], None],
        alarm: Alarm,
        standby: Standby | None = None,
        gate: Gate | None = None,
    ):
        self.name = name
        self.model = model
        self.options = options
        self.backend = backend
        self.log_path = logs / f"engine-{_file_name(name)}.log"
        self.vitals: Vitals | None = None  # for the watchdog, which may always look
        self.gate = gate
        self._preflight = preflight
        self._notify = notify
        self._alarm = alarm
        self._standby = standby
        # several threads submit, one reads: who finds it ready must find its outbox as well
        self._changed = threading.Condition(threading.RLock())
        self._snapshot = EngineSnapshot(name, model, EngineState.LOADING, 0.0, None, None, None, None)
        self._answers = Answers()
        self._users = Users()
        self._speed = Speed()
        self._process: EngineProcess | None = None
        self._outbox: Outbox | None = None
        self._ended_for: str | None = None  # the cause, if we have ended the process ourselves
        self._is_closing = threading.Event()
        self._restarts = Restarts()
        self._thread = threading.Thread(target=self._run, name=f"engine-{name}", daemon=True)

    @property
    def snapshot(self) -> EngineSnapshot:
        return self._snapshot

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def is_there(self) -> bool:
        """It works, or its process has not ended yet."""
        return self._thread.is_alive()

    @property
    def is_busy(self) -> bool:
        """Somebody holds it, or waits for an answer."""
        return bool(self._users) or len(self._answers) > 0

    @property
    def users(self) -> tuple[str, ...]:
        """The names of those that hold it."""
        with self._changed:
            return self._users.names

    @property
    def used(self) -> float:
        """When somebody has last asked it for something, or let go of it: seconds of time.monotonic()."""
        return self._users.used

    def start(self) -> None:
        self._thread.start()

    def hold(self, user: str) -> Hold | None:
        """For as long as this lasts it makes room for no other. None: it is doing so, or has done."""
        with self._changed:
            if self._users.is_drained or self._snapshot.state is EngineState.CLOSED:
                return None
            self._users.add(user)
        return Hold(partial(self._let_user_go, user))

    def _let_user_go(self, user: str) -> None:
        with self._changed:
            self._users.remove(user)

    def drain(self, is_drained: bool) -> None:
        """Whether it takes no more holds, so that it is free at some time."""
        with self._changed:
            self._users.is_drained = is_drained
            self._changed.notify_all()

    def wait_for_place(self, seconds: float) -> None:
        """For one that gave no hold: until it might, or another in its place."""
        with self._changed:
            self._changed.wait_for(
                lambda: not self._users.is_drained and self._snapshot.state is not EngineState.CLOSED, seconds
            )

    def retire(self) -> bool:
        """Unload it if nobody uses it; whether it does so. Does not wait for the process, which ends by itself."""
        with self._changed:
            if self.is_busy or self._snapshot.state is not EngineState.READY:
                return False
            self._shut()
        self._is_closing.set()
        self._alarm.after(RETIRE_SECONDS, self._end_if_there)
        return True

    def wait_ready(self, timeout: float | None = None) -> Ready:
        """Raises EngineError when the load fails, the engine is closed, or the time is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._snapshot.state is not EngineState.LOADING, timeout)
            snapshot = self._snapshot
        if snapshot.state is EngineState.READY and snapshot.ready:
            return snapshot.ready
        raise snapshot.refusal()

    def submit(self, request: Generate, sink: Sink) -> int:
        """Hand a request over and return its uid, at once.

        Raises EngineError unless the engine is ready and takes requests, RequestError for a prompt that cannot fit.
        """
        self.check(request)
        return self._submit(request, sink)

    def embed(self, request: EmbeddingRequest, sink: Sink) -> int:
        """The same for vectors or scores of texts: its sink hears one word."""
        return self._submit(request, sink)

    def _submit(self, request: Question, sink: Sink) -> int:
        uid = next(_uids)
        with self._changed:
            if self._snapshot.state is not EngineState.READY or self._outbox is None:
                raise self._snapshot.refusal()
            self._answers.open(uid, sink)
            if not self._outbox.put(replace(request, uid=uid)):
                self._answers.withdraw(uid)
                raise EngineError(f"“{self.name}” has too many requests before this one. Try again in a moment.")
        return uid

    def check(self, request: Generate) -> None:
        """Raises RequestError for a prompt of which its length alone says that it cannot fit, for ids that are no
        tokens, and for calls in it that are nested too deep."""
        check_calls(request)
        if ready := self._snapshot.ready:
            check_length(request, ready)
            check_tokens(request, ready)

    def pause(self, uid: int) -> None:
        """Nobody reads this answer: none of it is computed until `resume`. Unknown or finished uids are ignored."""
        self._tell(uid, Pause(uid))

    def resume(self, uid: int) -> None:
        self._tell(uid, Resume(uid))

    def _tell(self, uid: int, request: Pause | Resume) -> None:
        with self._changed:
            if self._outbox and uid in self._answers:
                self._outbox.tell(request)

    def abort(self, uid: int) -> None:
        """Call an answer off: its sink gets the finish, soon, whatever the engine does. Unknown uids are ignored."""
        with self._changed:
            if uid not in self._answers:
                return
            is_known = self._outbox is not None and not self._outbox.abort(uid)
        call_off = partial(self._answers.tell, called_off(uid))
        if is_known:
            self._alarm.after(ABORT_SECONDS, call_off)
        else:
            call_off()

    def restart(self, cause: str, *, is_asked: bool = False) -> None:
        """End the process without waiting for it; the way back is that of a death. is_asked: by a person."""
        with self._changed:
            self._ended_for = cause
            self._restarts.ask(is_asked)
            process = self._process
        if process:
            process.kill()

    def note_silence(self, seconds: float | None) -> None:
        """The watchdog's finding. Listeners hear of it once a second, and of its end."""
        seconds = None if seconds is None else float(int(seconds))
        if seconds != self._snapshot.silent_seconds:
            self._update(silent_seconds=seconds, speed=self._snapshot.speed if seconds is None else None)

    def ask_to_close(self) -> None:
        """Its answers end now, and the process soon by itself: it writes its prompt cache first."""
        with self._changed:
            if self._snapshot.state is EngineState.CLOSED:
                return
            self._shut()
        self._is_closing.set()
        self._answers.end(called_off)

    def _shut(self) -> None:
        """The lock is held."""
        self._set(state=EngineState.CLOSED, silent_seconds=None)
        self.vitals = None
        if self._outbox:
            self._outbox.close()

    def _end_if_there(self) -> None:
        if self._thread.is_alive():
            self.restart("it did not end by itself")  # closed, so it does not come back

    def close(self, seconds: float = CLOSE_SECONDS) -> None:
        """Returns when the process is gone; one that is stopped, or takes longer than `seconds`, is killed."""
        self.ask_to_close()
        if not self._thread.is_alive() or self._thread is threading.current_thread():
            return
        process = self._process
        if not (process and process.is_stopped):
            self._thread.join(seconds)
        if self._thread.is_alive():
            self.restart("it did not end by itself")  # closed, so it does not come back
            self._thread.join(KILL_SECONDS)

    def close_unloaded(self) -> None:
        """Without waiting, while it still loads: it has nothing to put away."""
        if self._snapshot.state is EngineState.LOADING:
            self.close(0.0)

    def _run(self) -> None:
        try:
            self._live()
        except NoRoomError as error:
            self._turn_back(str(error))
        except Exception as error:  # the edge: nobody may wait for a load that will never end
            if not isinstance(error, (SlipstreamError, OSError)):  # those say all that there is to say
                _log.exception("the thread of the engine “%s” failed", self.name)
            is_unloadable = isinstance(error, ModelFileError) and not isinstance(error, UnreadableFileError)
            self._give_up(_why(self.name, error), is_unloadable=is_unloadable)
        finally:
            if self._process:
                self._let_go(self._process)
            if self.gate:
                self.gate.leave(self)

    def _live(self) -> None:
        """Start, read to the end, and start again after a death, until closed or failed for good."""
        options, notes = self.options, tuple[str, ...]()
        if self._preflight:  # first: what cannot be loaded need not wait, and nobody leaves for it
            options, notes = self._preflight(self.model, self.options, self._is_closing)
        if self.gate:
            options, more = self.gate.enter(self, options, self._is_closing)
            notes += more
        load = Load(self.model, self.name, options, notes, self.log_path)
        while self._snapshot.state is EngineState.LOADING:
            process, is_short = self._start_process(), MemoryWatch()
            try:
                self._attend(process, load)
            finally:
                self.vitals = None
                exitcode = process.end(CLOSE_SECONDS)
            self._account_for_death(exitcode, is_short)
            self._let_go(process)

    def _start_process(self) -> EngineProcess:
        """One that has worked before is tried again while the system lacks files, processes or memory for it."""
        if self._standby and (process := self._standby.take(self.backend, self.log_path)):
            return process
        for pause in PAUSES if self._snapshot.ready else ():
            try:
                return EngineProcess(self.backend, self.log_path)
            except OSError as error:
                if error.errno not in SHORTAGES or self._is_closing.wait(pause):
                    raise
        return EngineProcess(self.backend, self.log_path)

    def _attend(self, process: EngineProcess, load: Load) -> None:
        """From the process's first word to its last."""
        outbox = Outbox(process.connection, self.name, self._lose)
        outbox.put(load)
        with self._changed:
            self._process, self._outbox, self._ended_for, self._speed = process, outbox, None, Speed()
            if self._snapshot.state is EngineState.CLOSED:  # meanwhile
                outbox.close()
                return
            self.vitals = vitals = Vitals()
        self._read(process.connection, vitals)

    def _let_go(self, process: EngineProcess) -> None:
        """Of its pipe: not before nobody writes any more."""
        with self._changed:
            outbox, self._outbox = self._outbox, None
        if outbox:
            outbox.leave()
        process.connection.close()

    def _read(self, connection: Connection, vitals: Vitals) -> None:
        while True:
            try:
                event: Event | EmbeddingEvent = connection.recv()
            except (EOFError, OSError):
                return
            except Exception:  # the edge: what is no message of ours is the end of this process
                _log.exception("“%s” said something that could not be read", self.name)
                self.restart("it said something that could not be read")
                return
            vitals.hear(event.busy_seconds if isinstance(event, Pulse) else 0.0)
            self._handle(event)

    def _handle(self, event: Event | EmbeddingEvent) -> None:
        match event:
            case Outputs():
                self._answers.tell_all(event.outputs)
            case Failed(uid=None):
                self._update(
                    state=EngineState.FAILED,
                    error=event.message,
                    is_unloadable=event.kind is FailureKind.BAD_MODEL,
                    is_of_memory=event.kind is FailureKind.OUT_OF_MEMORY,
                    silent_seconds=None,
                )
            case Failed() | Progress() | Reading() | Embedded() | Ranked():
                self._answers.tell(event)
            case Stats():
                self._take_stats(event)
            case Loading():
                self._update(fraction=event.fraction)
            case Ready():
                self._update(
                    state=EngineState.READY,
                    ready=event,
                    crash=None,
                    error=None,
                    is_unloadable=False,
                    is_of_memory=False,
                    fraction=1.0,
                )
                if self.gate:
                    self.gate.ready(self)

    def _take_stats(self, stats: Stats) -> None:
        """One that rests says the same every second, and nobody is told of it."""
        speed, known = self._speed.next(stats), self._snapshot
        if (stats, speed) != (known.stats, known.speed):
            self._update(stats=stats, speed=speed)

    def _lose(self, uid: int) -> None:
        sentence = "The request could not be handed to the engine. Try again."
        self._answers.tell(Failed(uid, FailureKind.INTERNAL, sentence))

    def _account_for_death(self, exitcode: int | None, is_short: Callable[[], bool]) -> None:
        """Tell the requests in flight, then decide between another start and giving up."""
        with self._changed:
            if self._snapshot.state is EngineState.FAILED:  # it said why and left by itself
                return
            last = called_off
            if self._snapshot.state is not EngineState.CLOSED:
                crash = crash_report(exitcode, self.log_path, self._ended_for, is_short)
                last = partial(died, sentence=str(crash))
                self._fall(crash)
            snapshot = self._snapshot
        self._notify(snapshot)
        self._answers.end(last)

    def _fall(self, crash: CrashReport) -> None:
        """The lock is held."""
        comes_back = self._restarts.after_death(has_worked=self._snapshot.ready is not None)
        self._set(
            crash=crash,
            stats=None,
            speed=None,
            error=str(crash),
            is_of_memory=crash.is_of_memory,
            fraction=0.0,
            state=EngineState.LOADING if comes_back else EngineState.FAILED,
            silent_seconds=None,
        )

    def note_wait(self, why: str) -> None:
        """Why its load cannot begin yet, a sentence; empty when it can. Listeners hear of each change."""
        if why != self._snapshot.waits:
            self._update(waits=why)

    def _turn_back(self, sentence: str) -> None:
        """There is no room for it: it is as if it had not come."""
        with self._changed:
            if self._snapshot.state is EngineState.CLOSED:
                return
            self._shut()
            self._set(error=sentence or None, waits="")
            snapshot = self._snapshot
        self._notify(snapshot)

    def _give_up(self, sentence: str, *, is_unloadable: bool = False) -> None:
        self._update(
            state=EngineState.FAILED, error=sentence, is_unloadable=is_unloadable, silent_seconds=None, waits=""
        )
        self._answers.end(partial(died, sentence=sentence))

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


def _why(name: str, error: Exception) -> str:
    if isinstance(error, SlipstreamError):
        return str(error)
    if isinstance(error, OSError):
        is_full = error.errno in (errno.EMFILE, errno.ENFILE)
        return f"“{name}” could not be started: {TOO_MANY_FILES if is_full else error}."
    return f"“{name}” could not be kept running ({error!r:.200}). Load it again; the log says more."


def _file_name(name: str) -> str:
    safe = "".join(c if c.isalnum() or c in "-_." else "-" for c in name)
    is_long = len(safe.encode()) > MAX_FILE_NAME  # in bytes, of which a file name may have 255
    return f"{safe[:40]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}" if is_long else safe
