"""The names under which figures are kept and drawn: of a sample, all that was known, in one flat table."""

from collections.abc import Callable, Iterator
from dataclasses import fields

from app.telemetry.sample import EngineFigures, Gpu, Sample

GPU_FIGURES = tuple(field.name for field in fields(Gpu) if field.name not in ("name", "source", "throttle"))
SUMS = ("answer_rate", "prompt_rate", "num_running", "num_waiting", "batch")  # over all engines
MEANS = ("first_token_ms", "queue_ms", "cached", "acceptance")


def figures_of(sample: Sample) -> dict[str, float]:
    return {name: float(value) for name, value in _all(sample) if value is not None}


def _all(sample: Sample) -> Iterator[tuple[str, float | None]]:
    yield "ram_used", sample.host.used
    yield "ram_total", sample.host.total
    yield "own_ram", sample.own_ram
    for number, gpu in enumerate(sample.gpus):
        for name in GPU_FIGURES:
            yield f"gpu{number}_{name}", getattr(gpu, name)
    engines = sample.engines
    for name in SUMS:
        yield name, _sum(engines, lambda each, name=name: getattr(each, name))  # type: ignore[misc]
    for name in MEANS:
        values = [value for each in engines if (value := getattr(each, name)) is not None]
        yield name, sum(values) / len(values) if values else None
    for name in ("used", "allocated", "limit"):
        yield f"kv_{name}", _sum(engines, lambda each, name=name: getattr(each.cells, name, None))  # type: ignore[misc]


def _sum(engines: tuple[EngineFigures, ...], value: Callable[[EngineFigures], float | None]) -> float | None:
    known = [found for each in engines if (found := value(each)) is not None]
    return sum(known) if known else None
