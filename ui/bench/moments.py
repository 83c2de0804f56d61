"""What the picture of runs shows: one figure over time, a line for each model, build and machine. Knows no painter."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from app.bench.rows import Row, rows

if TYPE_CHECKING:
    from app.bench.history import Run

FIRST = ("answer 0", "prompt 1024", "together 4 0", "first 1024", "start")  # those that are offered first


@dataclass(frozen=True, slots=True)
class Moment:
    """One run's figure: when it was measured (seconds since 1970), the median, and the lowest and highest run."""

    time: float
    value: float
    low: float
    high: float
    run: "Run"

    @property
    def text(self) -> str:
        """For the caption, and for who cannot see the picture."""
        subject = self.run.figures.subject
        busy = "  ·  the machine was busy" if self.run.figures.is_busy else ""
        when = f"{datetime.fromisoformat(subject.measured):%d %B %Y, %H:%M}"
        return f"{when}  ·  {self.value:,.1f}  ·  {series_of(self.run)}{busy}"


@dataclass(frozen=True, slots=True)
class Series:
    """The oldest moment first."""

    name: str
    moments: tuple[Moment, ...]


def series_of(run: "Run") -> str:
    subject = run.figures.subject
    machine = f", {subject.machine}" if run.is_foreign else ""
    return f"{run.title}, {subject.build}{machine}"


def series(runs: "list[Run]", key: str) -> list[Series]:
    """In the order of their first runs."""
    found: dict[str, list[Moment]] = {}
    for run in sorted(runs, key=_time):
        row = next((row for row in rows(run.figures) if row.key == key), None)
        if row is not None:
            found.setdefault(series_of(run), []).append(_moment(run, row))
    return [Series(name, tuple(moments)) for name, moments in found.items()]


def offered(runs: "list[Run]") -> list[Row]:
    """The figures that any run has, each once."""
    known: dict[str, Row] = {}
    for run in runs:
        for row in rows(run.figures):
            known.setdefault(row.key, row)
    order = {key: number for number, key in enumerate(FIRST)}
    return sorted(known.values(), key=lambda row: order.get(row.key, len(order)))


def _moment(run: "Run", row: Row) -> Moment:
    values = row.sample.values
    return Moment(_time(run), row.sample.median, min(values), max(values), run)


def _time(run: "Run") -> float:
    return datetime.fromisoformat(run.figures.subject.measured).timestamp()
