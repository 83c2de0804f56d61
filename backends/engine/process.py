"""The engine process: what it does from Load to Close, and the loop that steps.

Messages never use the child's stdout: file descriptors 1 and 2 go to the log, which is also the crash report.
"""

import time
import traceback
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from queue import Empty, SimpleQueue

import psutil

from backends import registry
from backends.child import settle
from backends.engine.encoder import Note
from backends.engine.engine import Engine
from backends.engine.heartbeat import Heartbeat
from backends.engine.receiver import Receiver
from backends.engine.runner import LoadedModel, LoadError
from backends.engine.sender import Sender
from backends.prompt_cache.state_reader import Read
from backends.prompt_cache.state_store import open_store
from backends.protocol import (
    Abort,
    Close,
    Failed,
    FailureKind,
    Load,
    Loading,
    Output,
    Outputs,
    Pause,
    Resume,
    Stats,
)

STATS_INTERVAL = 0.25  # seconds, while it works
IDLE_INTERVAL = 1.0
LOADING_STEP = 0.01  # of the weights, between two Loading events


def main(connection: Connection, backend: str, log_path: str) -> None:
    """Serve one model over the pipe until Close or its end."""
    settle(Path(log_path))
    sender = Sender(connection)
    heartbeat = Heartbeat(sender)
    try:
        load = connection.recv()
    except EOFError:
        return
    assert isinstance(load, Load)
    receiver = Receiver(connection)
    with heartbeat:
        model = _load(sender, heartbeat, backend, load)
    if model is not None:
        _serve(receiver, sender, heartbeat, load, model)
    heartbeat.close()
    sender.close()


def _serve(receiver: Receiver, sender: Sender, heartbeat: Heartbeat, load: Load, model: LoadedModel) -> None:
    """From Ready to Close. Going over to work and putting away are stages like a load."""
    options = load.options
    with heartbeat:
        store = open_store(options, model.state_key(), model.runner.can_cut_saved, receiver.notes.put)
        engine = Engine(model, options.parallel, options.draft, options.draft_length, store)
    receiver.begin(model)
    sender.send(model.ready if store.note is None else replace(model.ready, notes=(*model.ready.notes, store.note)))
    Loop(sender, model, receiver.notes, engine, heartbeat).run()
    with heartbeat:
        engine.close()
        receiver.close()
        model.close()


def _load(sender: Sender, heartbeat: Heartbeat, backend: str, load: Load) -> LoadedModel | None:
    reported = 0.0

    def report(fraction: float) -> None:
        nonlocal reported
        if fraction - reported >= LOADING_STEP:
            reported = fraction
            heartbeat.go_on()
            sender.send(Loading(fraction))

    try:
        return registry.loader(backend)(load, report)
    except LoadError as error:
        sender.send(Failed(None, error.kind, str(error)))
        return None


class Loop:
    """Steps while there is work, sleeps on the queue while there is none."""

    def __init__(
        self, sender: Sender, model: LoadedModel, notes: "SimpleQueue[Note]", engine: Engine, heartbeat: Heartbeat
    ):
        self._sender = sender
        self._model = model
        self._notes = notes
        self._engine = engine
        self._heartbeat = heartbeat
        self._process = psutil.Process()
        self._rss = 0
        self._last_stats = 0.0
        self._said: tuple[int, int] | None = None  # how many run and wait, as it was last told
        self._is_open = True

    def run(self) -> None:
        self._send_stats()
        while self._is_open:
            self._take_notes()
            if not self._engine.is_idle:
                self._step()
            elif not self._engine.calibration.is_done:
                self._calibrate()
            if time.monotonic() - self._last_stats >= STATS_INTERVAL:
                self._send_stats()

    def _take_notes(self) -> None:
        """All that has arrived; when idle, wait for something."""
        try:
            may_calibrate = self._engine.is_idle and not self._engine.calibration.is_done
            has_work = may_calibrate or not self._engine.is_blocked
            if not has_work:
                if self._said != self._counts():  # it has come to rest without a step: by an abort or a pause
                    self._send_stats()
                self._take(self._notes.get(timeout=IDLE_INTERVAL))
        except Empty:
            pass
        while not self._notes.empty():  # the only reader: what is there stays there
            self._take(self._notes.get())

    def _take(self, note: Note) -> None:
        match note:
            case Close():
                self._is_open = False
            case Abort():
                self._send(self._engine.abort(note.uid))
            case Pause():
                self._engine.pause(note.uid)
            case Resume():
                self._engine.resume(note.uid)
            case Failed() | Output():
                self._send((note,))
            case Read():
                self._engine.take(note)
            case (seq, stops):
                self._engine.add(seq, stops)

    def _step(self) -> None:
        try:
            with self._heartbeat:
                outputs = self._engine.step()
        except Exception:  # the edge: the cause goes to the log, every reader gets a sentence
            traceback.print_exc()
            sentence = "The engine met an error in a step and dropped this answer. Try again."
            for uid in self._engine.fail_all():
                self._sender.send(Failed(uid, FailureKind.INTERNAL, sentence))
            return
        self._send(outputs)
        if self._engine.is_idle:
            self._send_stats()

    def _calibrate(self) -> None:
        try:
            with self._heartbeat:
                self._engine.calibration.step()
        except Exception:  # the edge: without it the engine learns from real steps
            traceback.print_exc()
            self._engine.calibration.give_up()

    def _send(self, said: tuple[Output | Failed, ...]) -> None:
        if outputs := tuple(event for event in said if isinstance(event, Output)):
            self._sender.send(Outputs(outputs))
        for event in said:
            if isinstance(event, Failed):
                self._sender.send(event)

    def _memory(self) -> int:
        """What was seen last, where no file is free to look again."""
        with suppress(OSError, psutil.Error):
            self._rss = self._process.memory_info().rss
        return self._rss

    def _counts(self) -> tuple[int, int]:
        return len(self._engine.scheduler.running), self._engine.scheduler.num_waiting

    def _send_stats(self) -> None:
        self._last_stats = time.monotonic()
        self._said = num_running, num_waiting = self._counts()
        engine, totals = self._engine, self._engine.totals
        self._sender.send(
            Stats(
                num_running=num_running,
                num_waiting=num_waiting,
                used_cells=engine.used_cells,
                num_cells=self._model.runner.num_cells,
                rss_bytes=self._memory(),
                devices=self._model.devices(),
                num_steps=totals.num_steps,
                num_tokens=totals.num_tokens,
                num_prompt_tokens=totals.num_prompt_tokens,
                num_cached_tokens=totals.num_cached_tokens,
                num_drafted=totals.num_drafted,
                num_accepted=totals.num_accepted,
                decode_us=totals.decode_us,
                step_us=totals.step_us,
                drafting=engine.speculation.describe(),
                kv_layout=self._model.ready.kv_layout,
                processor=self._model.processor(),
            )
        )
