"""Jobs that measure a model's speed and tune it. Each takes the whole machine."""

from dataclasses import dataclass

from app.bench.figures import Figures
from app.bench.tuned import Purpose, Tuned
from app.bench.workbench import Hear, Workbench
from app.jobs.job import JobContext
from app.library.entry import ModelEntry
from backends.child import Progress

PURPOSES = {Purpose.CHAT: "chat", Purpose.BATCH: "many requests"}


@dataclass(frozen=True, slots=True)
class BenchModel:
    """Its result is the Figures."""

    workbench: Workbench
    entry: ModelEntry
    steps: tuple[str, ...] = ("Measure",)

    @property
    def title(self) -> str:
        return f"Measure the speed of {self.entry.full_name}"

    def run(self, context: JobContext) -> Figures:
        """Raises ModelFileError, EngineError, RequestError, BenchError or Cancelled; then nothing is kept."""
        return self.workbench.measure(self.entry, _hear(context), context.cancelled)


@dataclass(frozen=True, slots=True)
class TuneModel:
    """Its result is the Tuned."""

    workbench: Workbench
    entry: ModelEntry
    purpose: Purpose
    steps: tuple[str, ...] = ("Tune",)

    @property
    def title(self) -> str:
        return f"Tune {self.entry.full_name} for {PURPOSES[self.purpose]}"

    def run(self, context: JobContext) -> Tuned:
        """Raises the same; then nothing is kept."""
        return self.workbench.tune(self.entry, self.purpose, _hear(context), context.cancelled)


def _hear(context: JobContext) -> Hear:
    on_progress = context.step(0)
    return lambda doing, done: on_progress(Progress(done, doing))
