"""The requests in flight at one engine, each with whoever hears of it. Knows no engine."""

import logging
import threading
from collections.abc import Callable, Iterable
from typing import Any

from backends.embedding import EmbeddingEvent
from backends.protocol import Failed, FailureKind, Finish, Output, Progress, Reading

Told = Output | Progress | Reading | Failed | EmbeddingEvent
Sink = Callable[[Any], None]  # of what its request may have for an answer: Told

_log = logging.getLogger(__name__)


class Answers:
    """Thread-safe. A sink hears each Progress and Output, and last a finish, a Reading, vectors or a Failed; nothing
    after that."""

    def __init__(self) -> None:
        self._sinks: dict[int, Sink] = {}
        self._lock = threading.Lock()  # of the table; several threads submit, and more than one can end an answer
        # held while a sink hears something: no words may come after the end that another thread has told
        self._telling = threading.RLock()

    def __contains__(self, uid: int) -> bool:
        return uid in self._sinks

    def __len__(self) -> int:
        return len(self._sinks)

    def open(self, uid: int, sink: Sink) -> None:
        with self._lock:
            self._sinks[uid] = sink

    def withdraw(self, uid: int) -> None:
        """Without a word."""
        with self._lock:
            self._sinks.pop(uid, None)

    def tell(self, event: Told) -> None:
        """Nothing, if its answer has been ended already."""
        assert event.uid is not None
        is_last = event.finish is not None if isinstance(event, Output) else not isinstance(event, Progress)
        with self._telling:
            with self._lock:
                sink = self._sinks.pop(event.uid, None) if is_last else self._sinks.get(event.uid)
            if sink:
                _tell(sink, event)

    def tell_all(self, outputs: Iterable[Output]) -> None:
        """The same for those of some steps: most end nothing, and leave the table as it is."""
        with self._telling:
            for output in outputs:
                if output.finish is not None:
                    self.tell(output)
                elif sink := self._sinks.get(output.uid):
                    _tell(sink, output)

    def end(self, last: Callable[[int], Output | Failed]) -> None:
        """All of them, with this last word."""
        with self._telling:
            with self._lock:
                sinks, self._sinks = self._sinks, {}
            for uid, sink in sinks.items():
                _tell(sink, last(uid))


def called_off(uid: int) -> Output | Failed:
    return Output(uid, "", 0, Finish.ABORT)


def died(uid: int, sentence: str) -> Output | Failed:
    return Failed(uid, FailureKind.ENGINE_DIED, sentence)


def _tell(sink: Sink, event: Told) -> None:
    try:
        sink(event)
    except Exception:  # the edge: one listener's defect must not end the others' answers
        _log.exception("an answer could not be told")
