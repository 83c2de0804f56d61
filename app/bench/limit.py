"""What no answer can be quicker than: the bytes that a token reads, over those that the memory gives."""

from collections.abc import Callable
from contextlib import suppress
from functools import cached_property
from pathlib import Path

from app.errors import EngineError, ModelFileError
from app.inference.planning import Planning
from app.planner.model import Model
from app.planner.sizing import Sizing
from app.planner.speed import step_bytes
from app.telemetry.sample import Sample
from backends.protocol import EngineOptions, Ready

Weigh = Callable[[int], int | None]  # bytes that a token reads behind so many others


class Limit:
    """Of one model on this machine. look: one sample of the GPUs' drivers, which wakes them. measure: finds this
    machine's rates out, once; raises EngineError or Cancelled."""

    def __init__(
        self,
        planning: Planning,
        measure: Callable[[EngineOptions], None],
        look: Callable[[], Sample],
        file: Path,
        options: EngineOptions,
    ):
        self._planning, self._measure, self._look = planning, measure, look
        self._file, self._options = file, options

    def prepare(self) -> None:
        """What the memory gives, where it is not known yet. Raises Cancelled."""
        with suppress(EngineError):  # it is no reason to measure nothing
            self._measure(self._options)

    def num_bytes(self, depth: int) -> int | None:
        if self._plan is None:
            return None
        model, sizing = self._plan
        return step_bytes(model, sizing, depth)

    def bandwidth(self, ready: Ready) -> float | None:
        """Bytes per second of the memory that holds all of it; None where that are two, or nobody knows."""
        if not ready.gpu_layers:
            rates = self._planning.known_rates
            return rates.memory if rates else None
        gpus = self._look().gpus
        return gpus[0].bandwidth if ready.gpu_layers > ready.num_layers and len(gpus) == 1 else None

    @cached_property
    def _plan(self) -> tuple[Model, Sizing] | None:
        try:
            return self._planning.model(self._file), self._planning.plan(self._file, self._options).sizing
        except (ModelFileError, EngineError):
            return None
