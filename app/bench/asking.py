"""One loaded engine is asked and waited for. Knows requests and clocks, not what they are measured for."""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import psutil

from app.bench.figures import Footprint
from app.errors import Cancelled, EngineError, RequestError
from app.inference.engine_handle import EngineHandle, EngineState
from backends.protocol import Failed, Generate, Output, Ready, Stats, Timings

LOOK_SECONDS = 0.05  # between two looks whether it was called off
STATS_SECONDS = 2.0  # in which an engine that has become idle says how it is

Prompt = str


@dataclass(slots=True)
class Answer:
    """As it comes: (second, new tokens) of each output. Filled on the engine's reader thread."""

    arrivals: list[tuple[float, int]] = field(default_factory=list)
    last: Output | Failed | None = None
    is_over: threading.Event = field(default_factory=threading.Event)

    def hear(self, event: Output | Failed) -> None:
        if isinstance(event, Output) and event.num_tokens:
            self.arrivals.append((time.perf_counter(), event.num_tokens))
        if isinstance(event, Failed) or event.finish:
            self.last = event
            self.is_over.set()

    @property
    def intervals(self) -> list[float]:
        """Seconds from token to token; those that came together share theirs."""
        pairs = pairwise(self.arrivals)
        return [(now - before) / count for (before, _), (now, count) in pairs for _ in range(count)]

    @property
    def timings(self) -> Timings:
        """Raises RequestError for an answer that was refused or broke off."""
        if isinstance(self.last, Failed):
            raise RequestError(self.last.kind, self.last.message, self.last.numbers)
        if self.last is None or self.last.timings is None:
            raise EngineError("An answer ended without its account.")
        return self.last.timings


class Asking:
    """Of one engine, on one thread. Everything raises Cancelled once that is asked for."""

    def __init__(self, handle: EngineHandle, cancelled: threading.Event):
        self._handle = handle
        self._cancelled = cancelled

    def ready(self) -> Ready:
        """Once it is loaded. Raises EngineError."""
        while self._handle.snapshot.state is EngineState.LOADING:
            self._look(LOOK_SECONDS)
        return self._handle.wait_ready(0.0)

    def answer(self, request: Generate) -> Timings:
        """Raises EngineError or RequestError."""
        return self.answers([request])[0].timings

    def answers(self, requests: Sequence[Generate]) -> list[Answer]:
        """Side by side, each whole. Raises the same."""
        answers = [Answer() for _ in requests]
        uids = []
        try:
            for request, answer in zip(requests, answers, strict=True):
                uids.append(self._handle.submit(request, answer.hear))
            for answer in answers:
                while not answer.is_over.is_set():
                    self._look_for(answer.is_over)
        except BaseException:
            for uid in uids:
                self._handle.abort(uid)
            raise
        return answers

    def footprint(self) -> Footprint:
        """Raises EngineError when the engine has gone."""
        stats, pid = self._settled(), self._handle.pid
        try:
            rss = psutil.Process(pid).memory_info().rss
        except psutil.Error:
            raise EngineError("The engine ended while it was measured.") from None
        used = sum(gpu.total - gpu.free for gpu in stats.devices) if stats.devices else None
        return Footprint(rss, used, stats.cells)

    def rest(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._look(min(LOOK_SECONDS, left))

    def _settled(self) -> Stats:
        """After the last step: it comes once the engine is idle."""
        before, until = self._handle.snapshot.stats, time.monotonic() + STATS_SECONDS
        while self._handle.snapshot.stats is before and time.monotonic() < until:
            self._look(LOOK_SECONDS)
        stats = self._handle.snapshot.stats
        if stats is None:
            raise EngineError("The engine does not say what it holds.")
        return stats

    def _look(self, seconds: float) -> None:
        if self._cancelled.wait(seconds):
            raise Cancelled("Stopped.")

    def _look_for(self, event: threading.Event) -> None:
        if self._cancelled.is_set():
            raise Cancelled("Stopped.")
        event.wait(LOOK_SECONDS)


def together_per_second(answers: Sequence[Answer]) -> float:
    """Tokens per second of all, from when the last one has begun until the first one ends."""
    for answer in answers:
        _ = answer.timings  # whoever was refused has no speed
    begin = max(answer.arrivals[0][0] for answer in answers)
    end = min(answer.arrivals[-1][0] for answer in answers)
    tokens = sum(count for answer in answers for moment, count in answer.arrivals if begin < moment <= end)
    return tokens / (end - begin) if end > begin else 0.0
