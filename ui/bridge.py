"""The one place where other threads meet Qt: their messages queue up here and are told in the GUI thread.

Senders on any thread only append; the first message after a rest wakes a 30 ms timer, which merges what came
meanwhile (the tokens of one answer, the states of one engine or job) and says it once, as a signal.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from PySide6.QtCore import QObject, QTimer, Signal, Slot

from app.errors import SlipstreamError
from backends.protocol import Failed, Output
from ui.workers import Workers

TICK_MS = 30
NUM_WORKERS = 3
CLOSE_SECONDS = 1.0

T = TypeVar("T")

log = logging.getLogger(__name__)


class Answer(QObject):
    """One request in flight, as the window sees it. Ends with an Output that has a finish, or with Failed."""

    grew = Signal(object)  # Output: all that came since the last tick
    failed = Signal(object)  # Failed
    uid: int | None = None


class Bridge(QObject):
    engine_changed = Signal(object)  # EngineSnapshot
    job_changed = Signal(object)  # Job
    sampled = Signal(object)  # Sample
    _woken = Signal(int)  # milliseconds until its messages are told

    def __init__(self, parent: QObject | None = None):
        super().__init__(parent)
        # the timer must be woken exactly once per rest: filling and emptying exclude each other
        self._lock = threading.Lock()
        self._messages: dict[object, Callable[[], None]] = {}
        self._is_closed = False
        self._outputs: dict[Answer, list[Output | Failed]] = {}
        self._workers = Workers(NUM_WORKERS)
        self._timer = QTimer(self, singleShot=True)
        self._timer.timeout.connect(self._drain)
        self._woken.connect(self._wake)

    def tell_engine(self, snapshot: Any) -> None:
        """For Supervisor.subscribe. Two states of one engine are both told; news within a state replace each other."""
        self._put(("engine", snapshot.name, snapshot.state), lambda: self.engine_changed.emit(snapshot))

    def tell_job(self, job: Any) -> None:
        self._put(("job", job.id), lambda: self.job_changed.emit(job))

    def tell_sample(self, sample: Any) -> None:
        self._put("sample", lambda: self.sampled.emit(sample))

    def tell_output(self, answer: Answer, event: Output | Failed) -> None:
        with self._lock:
            self._outputs.setdefault(answer, []).append(event)
        self._put("outputs", lambda: None)

    def tell(self, message: Callable[[], None]) -> None:
        """Run in the GUI thread, after all that was told before it."""
        self._put(object(), message)

    def call(
        self,
        function: Callable[[], T],
        done: Callable[[T], None],
        failed: Callable[[Exception], None] | None = None,
        *,
        is_awaited: bool = False,
    ) -> None:
        """Run `function` on a worker and hand its result, or what it raised, back in the GUI thread. is_awaited: a hand
        rests on what it changes, so it is told at once."""
        self._workers.submit(partial(self._work, function, done, failed, 0 if is_awaited else TICK_MS))

    def close(self) -> None:
        """Wait for the workers, but not long; what they say after this is not told any more."""
        self._workers.close(CLOSE_SECONDS)
        self._timer.stop()
        with self._lock:  # a worker that comes later finds no window
            self._is_closed = True
            self._messages.clear()
            self._outputs.clear()

    def _work(
        self,
        function: Callable[[], Any],
        done: Callable[[Any], None],
        failed: Callable[[Exception], None] | None,
        delay: int,
    ) -> None:
        try:
            result = function()
        except Exception as error:
            problem = error  # the name `error` ends with this block
            if not isinstance(error, SlipstreamError):
                log.exception("a worker of the window failed")
            if failed:
                self._put(object(), lambda: failed(problem))
            return
        self._put(object(), lambda: done(result), delay)

    def _put(self, key: object, message: Callable[[], None], delay: int = TICK_MS) -> None:
        with self._lock:
            if self._is_closed:
                return
            is_first = not self._messages
            self._messages.pop(key, None)  # the newest goes last: states are told in the order they came
            self._messages[key] = message
            if is_first or not delay:
                self._woken.emit(delay)

    @Slot(int)
    def _wake(self, delay: int) -> None:
        self._timer.start(delay)

    @Slot()
    def _drain(self) -> None:
        with self._lock:
            messages, self._messages = list(self._messages.values()), {}
            outputs, self._outputs = self._outputs, {}
        for answer, events in outputs.items():
            self._tell(answer, events)
        for message in messages:
            message()

    def _tell(self, answer: Answer, events: list[Output | Failed]) -> None:
        merged = merge([event for event in events if isinstance(event, Output)])
        if merged:
            answer.grew.emit(merged)
        for event in events:
            if isinstance(event, Failed):
                answer.failed.emit(event)


def merge(outputs: list[Output]) -> Output | None:
    """One Output that says what all of them say."""
    if not outputs:
        return None
    return replace(
        outputs[-1],
        text="".join(output.text for output in outputs),
        num_tokens=sum(output.num_tokens for output in outputs),
        timings=next((output.timings for output in reversed(outputs) if output.timings), None),
    )
