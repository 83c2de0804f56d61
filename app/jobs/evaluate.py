"""The job that makes a card. Takes the whole machine: it measures speed."""

from dataclasses import dataclass
from pathlib import Path

from app.jobs.job import JobContext
from app.lab.card import Card
from app.lab.lab import Lab
from app.lab.settings import WHOLE, Settings


@dataclass(frozen=True, slots=True)
class MeasureModel:
    """Its result is the Card. against: the file to compare with, None to leave quality open."""

    lab: Lab
    name: str
    file: Path
    against: Path | None = None
    settings: Settings = WHOLE
    steps: tuple[str, ...] = ("Measure",)
    type: str = ""  # of the file, beside the name

    @property
    def title(self) -> str:
        return f"Measure {self.name} {self.type}".rstrip()

    def run(self, context: JobContext) -> Card:
        """Raises EvaluationError, ModelFileError, EngineError or Cancelled; then no card is kept."""
        return self.lab.measure(
            self.file, self.against, context.step(0), context.cancelled, settings=self.settings, name=self.name
        )
