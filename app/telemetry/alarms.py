"""Judges each loaded model by its load report and the last samples. Used under its owner's lock."""

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from app.inference.snapshot import EngineSnapshot
from app.telemetry.finding import Finding, Kind
from app.telemetry.sample import Sample
from app.telemetry.truth import CONSTANT, Placed, judge, seen_by_engines


class Alarms:
    def __init__(self) -> None:
        self._placed: dict[str, Placed] = {}
        self._samples: deque[Sample] = deque(maxlen=CONSTANT)
        self._fallbacks: dict[str, Finding] = {}  # where a model lies does not change until it is loaded anew

    def place(self, snapshot: EngineSnapshot, asked_layers: int | None) -> None:
        """The engine is ready, and has told of itself for the first time."""
        ready, stats = snapshot.ready, snapshot.stats
        assert ready
        self.forget(snapshot.name)
        after, cells = (stats.devices, stats.cells.allocated) if stats else ((), 0)
        placed = Placed(snapshot.name, ready.name, ready, asked_layers, ready.devices, after, cells)
        self._placed[snapshot.name] = placed

    def forget(self, name: str) -> None:
        self._placed.pop(name, None)
        self._fallbacks.pop(name, None)

    def findings(self, sample: Sample) -> Iterable[Finding]:
        if not sample.gpus:  # no driver tells of any
            sample = replace(sample, gpus=seen_by_engines(self._placed, sample.engines))
        self._samples.append(sample)
        for name, placed in list(self._placed.items()):
            placed = self._placed[name] = _with_best(placed, sample)
            finding = self._fallbacks.get(name) or judge(placed, list(self._samples))
            if finding is None:
                continue
            if finding.kind is Kind.FALLBACK:
                self._fallbacks[name] = finding
            yield finding


def _with_best(placed: Placed, sample: Sample) -> Placed:
    figures = sample.engine(placed.engine)
    if figures is None or figures.bandwidth is None or figures.num_running != 1:
        return placed
    return replace(placed, best=max(placed.best or 0.0, figures.bandwidth))
