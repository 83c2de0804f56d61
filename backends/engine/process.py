"""The engine process: what it does from Load to Close, and the loop that steps.

Messages never use the child's stdout: file descriptors 1 and 2 go to the log, which is also the crash report.
"""

import gc
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from queue import Empty, SimpleQueue

from backends import registry
from backends.child import redirect_output, settle
from backends.engine.embedder import Job
from backends.engine.encoder import Note
from backends.engine.engine import Engine
from backends.engine.heartbeat import Heartbeat
from backends.engine.news import Counts, Stopped
from backends.engine.receiver import Receiver
from backends.engine.runner import LoadedModel, LoadError
from backends.engine.sender import MAX_BEHIND, Sender
from backends.engine.teller import Teller
from backends.prompt_cache.state_reader import Read
from backends.prompt_cache.state_store import open_store
from backends.protocol import (
    Abort,
    Close,
    Failed,
    Load,
    Loading,
    Output,
    Outputs,
    Pause,
    Reading,
    Resume,
)

STATS_INTERVAL = 0.25  # seconds, while it works
IDLE_INTERVAL = 1.0
BEHIND_INTERVAL = 0.01  # until it is asked again whether the sender has caught up
CALM = 0.3  # seconds without work before the engine measures its steps: the first question may be on its way
LOADING_STEP = 0.01  # of the weights, between two Loading events
# that a thread may keep the interpreter's lock from one that wants it. The step thread wants it when a decode returns,
# and others may be at work on a long prompt then (Python's own 5 ms are half a step); but what stands between two
# decodes takes 0.1 ms, and is not to be cut in two
SWITCH_SECONDS = 0.0005


def main(connection: Connection, backend: str, log_path: str | None) -> None:
    """Serve one model over the pipe until Close or its end.

    log_path: None for a process that stands by: it imports before its load comes, which names the log.
    """
    settle(Path(log_path) if log_path else None)
    sys.setswitchinterval(SWITCH_SECONDS)
    sender = Sender(connection)
    heartbeat = Heartbeat(sender)
    prepared = None if log_path else _Prepared(backend)
    try:
        load = connection.recv()
    except EOFError:
        return
    assert isinstance(load, Load)
    if log_path is None and load.log:
        redirect_output(load.log)
    receiver = Receiver(connection)
    with heartbeat:
        model = _load(sender, heartbeat, prepared or _Prepared(backend), load)
    if model is not None:
        _serve(receiver, sender, heartbeat, load, model)
    heartbeat.close()
    sender.close()
    if model is not None:  # not before: what was told last becomes text with its vocabulary
        model.close()


def _serve(receiver: Receiver, sender: Sender, heartbeat: Heartbeat, load: Load, model: LoadedModel) -> None:
    """From Ready to Close. Going over to work and putting away are stages like a load."""
    options = load.options
    with heartbeat:
        store = open_store(options, model.state_key(), model.runner.can_cut_saved, receiver.notes.put)
        teller = Teller(model, lambda uid: receiver.notes.put(Stopped(uid)))
        sender.begin(teller.events)
        engine = Engine(model, options, store, sender.tell, sender.tell_again)
    receiver.begin(model)
    sender.send(model.ready if store.note is None else replace(model.ready, notes=(*model.ready.notes, store.note)))
    gc.freeze()  # what is there now stays: no collection between two decodes need look through all of it
    Loop(sender, receiver.notes, engine, heartbeat).run()
    with heartbeat:
        engine.close()
        receiver.close()


class _Prepared:
    """The backend's loader. What keeps it from being imported is raised when it is called: then there is a log."""

    def __init__(self, backend: str):
        self._fault: Exception | None = None
        try:
            self._loader = registry.loader(backend)
        except Exception as fault:
            self._fault = fault

    def __call__(self, load: Load, report: Callable[[float], None]) -> LoadedModel:
        if self._fault:
            raise self._fault
        return self._loader(load, report)


def _load(sender: Sender, heartbeat: Heartbeat, loader: registry.Loader, load: Load) -> LoadedModel | None:
    reported = 0.0

    def report(fraction: float) -> None:
        nonlocal reported
        if fraction - reported >= LOADING_STEP:
            reported = fraction
            heartbeat.go_on()
            sender.send(Loading(fraction))

    try:
        return loader(load, report)
    except LoadError as error:
        sender.send(Failed(None, error.kind, str(error)))
        return None


class Loop:
    """Steps while there is work, sleeps on the queue while there is none."""

    def __init__(self, sender: Sender, notes: "SimpleQueue[Note]", engine: Engine, heartbeat: Heartbeat):
        self._sender = sender
        self._notes = notes
        self._engine = engine
        self._heartbeat = heartbeat
        self._stats_due = 0.0
        self._said: tuple[int, int] | None = None  # how many run and wait, as it was last told
        self._is_open = True
        self._calm_from = time.monotonic() + CALM

    def run(self) -> None:
        self._send_stats()
        while self._is_open:
            self._take_notes()
            if self._is_behind:
                continue
            if not self._engine.is_idle:
                self._work()
            elif self._engine.rest():
                self._send_stats()
            elif not self._engine.calibration.is_done and time.monotonic() >= self._calm_from:
                self._calibrate()
            if time.monotonic() >= self._stats_due:
                self._send_stats()

    @property
    def _is_behind(self) -> bool:
        """So much waits to be said that nothing more is made."""
        return self._sender.num_behind() > MAX_BEHIND

    def _take_notes(self) -> None:
        """All that has arrived; when idle, wait for something."""
        if (seconds := self._patience()) > 0:
            if self._said != self._counts():  # it has come to rest without a step: by an abort or a pause
                self._send_stats()
            with suppress(Empty):
                self._take(self._notes.get(timeout=seconds))
        while not self._notes.empty():  # the only reader: what is there stays there
            self._take(self._notes.get())

    def _patience(self) -> float:
        """Seconds to wait for something; none where there is work."""
        if self._is_behind:
            return BEHIND_INTERVAL
        if not self._engine.is_blocked:
            return 0.0
        may_calibrate = self._engine.is_idle and not self._engine.calibration.is_done
        return self._calm_from - time.monotonic() if may_calibrate else IDLE_INTERVAL

    def _take(self, note: Note) -> None:
        match note:
            case Close():
                self._is_open = False
            case Abort():
                self._engine.abort(note.uid)
            case Stopped():
                self._engine.stop(note.uid)
            case Pause():
                self._engine.pause(note.uid)
            case Resume():
                self._engine.resume(note.uid)
            case Failed() | Reading():
                self._sender.send(note)
            case Output():
                self._sender.send(Outputs((note,)))
            case Read():
                self._engine.take(note)
            case Job():
                self._engine.embedder.add(note)
            case (seq, stops, parser):
                self._engine.add(seq, stops, parser)

    def _work(self) -> None:
        """Step until there is something else to do. What stands here stands between two decodes."""
        engine, notes, heartbeat, num_behind = self._engine, self._notes, self._heartbeat, self._sender.num_behind
        now, due = time.monotonic(), self._stats_due
        try:
            while True:
                heartbeat.since = now
                engine.step()
                now = time.monotonic()
                if now >= due or not notes.empty() or not engine.scheduler.running or num_behind() > MAX_BEHIND:
                    break
        except Exception:  # the edge: the cause goes to the log, every reader gets a sentence
            traceback.print_exc()
            engine.fail_all("The engine met an error in a step and dropped this answer. Try again.")
        heartbeat.since = None
        self._calm_from = now + CALM
        if engine.is_idle:
            self._send_stats()

    def _calibrate(self) -> None:
        try:
            with self._heartbeat:
                self._engine.calibration.step()
        except Exception:  # the edge: without it the engine learns from real steps
            traceback.print_exc()
            self._engine.calibration.give_up()

    def _counts(self) -> tuple[int, int]:
        return len(self._engine.scheduler.running), self._engine.scheduler.num_waiting

    def _send_stats(self) -> None:
        self._stats_due = time.monotonic() + STATS_INTERVAL
        self._said = num_running, num_waiting = self._counts()
        model, engine = self._engine.model, self._engine
        self._sender.tell(
            Counts(
                num_running=num_running,
                num_waiting=num_waiting,
                cells=engine.cells,
                drafting=engine.speculation.describe(),
                kv_layout=model.ready.kv_layout,
                processor=model.processor(),
            )
        )
