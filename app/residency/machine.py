"""What models may have of this machine's memory, and what each takes of it: by its plan before it is loaded, as it was
measured afterwards."""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from app.errors import EngineError, ModelFileError
from app.inference.snapshot import EngineSnapshot, EngineState
from app.planner.machine import Machine, margin
from app.residency.room import RAM, Bytes
from app.residency.wish import Fixed, Planned, Share, Wish
from backends.protocol import DeviceMemory, EngineOptions
from backends.system_memory import system_memory

if TYPE_CHECKING:
    from app.inference.planning import Planning

SHARE_OF_FREE = 0.9  # the rest is for other programs

_log = logging.getLogger(__name__)


class MachineMemory:
    """The RAM is asked each time. What other programs have of the GPUs is known from the last time that a GPU was asked
    while it was clear what is ours: whoever leaves makes room at once, and a load asks again before it begins."""

    def __init__(self, chosen: Callable[[], int | None], ask: Callable[[], Machine]):
        """chosen: bytes of RAM that a person lets models have at most; None: what is free. ask: takes a while."""
        self._chosen = chosen
        self._ask = ask
        self._machine: Machine | None = None
        self._measured = 0.0
        self._others: dict[str, int] = {}  # bytes of each GPU that are not ours

    @property
    def machine(self) -> Machine | None:
        """As it was last asked for."""
        return self._machine

    @property
    def is_known(self) -> bool:
        return self._machine is not None

    def measure(self, max_age: float = 0.0) -> Machine:
        """Where a driver fails, there are no GPUs: the engine decides then."""
        if self._machine and time.monotonic() - self._measured <= max_age:
            return self._machine
        try:
            machine = self._ask()
        except EngineError as error:
            _log.warning("the GPUs could not be asked: %s", error)
            memory = system_memory()
            machine = Machine(memory.available, memory.total)
        if self._machine is None or [gpu.name for gpu in self._machine.gpus] != [gpu.name for gpu in machine.gpus]:
            self._others = {gpu.name: max(0, gpu.total - gpu.free) for gpu in machine.gpus}
        self._machine, self._measured = machine, time.monotonic()
        return machine

    def hear(self, devices: Iterable[DeviceMemory], taken: Bytes) -> None:
        """What an engine, or `measure`, has seen of the GPUs, while models had so much of them."""
        for device in devices:
            self._others[device.name] = max(0, device.total - device.free - taken.get(device.name, 0))

    def limits(self, pids: Sequence[int]) -> Bytes:
        """What models may have in all. pids: their processes."""
        memory = system_memory()
        there = memory.available + sum(map(_held, pids))
        ram = max(0, min(round(SHARE_OF_FREE * there), there - margin(memory.total)))
        limits = {RAM: ram if (chosen := self._chosen()) is None else min(chosen, ram)}
        for gpu in self._machine.gpus if self._machine else ():
            free = gpu.total - self._others.get(gpu.name, 0)
            limits[gpu.name] = replace(gpu, free=free).usable
        return limits


def _held(pid: int) -> int:
    """Bytes that come back with the end of a process: what is mapped from files counts as free already."""
    with suppress(psutil.Error):
        memory = psutil.Process(pid).memory_info()
        return max(0, int(memory.rss) - int(getattr(memory, "shared", 0)))
    return 0


class PlannedCosts:
    def __init__(self, planning: Callable[[], "Planning"], machine: Callable[[], Machine | None]):
        """machine: None while nobody has asked for the GPUs yet."""
        self._planning, self._machine = planning, machine

    def confirm(self, model: Path, options: EngineOptions) -> None:
        """Once for each model and build, on a GPU, where a plan that is wrong is a load that fails."""
        planning, machine = self._planning(), self._machine()
        if machine is None or not machine.gpus or planning.correction(model).factors:
            return
        try:
            planning.confirm(model, planning.plan(model, options, machine))
        except (ModelFileError, EngineError) as error:
            _log.warning("the plan for %s could not be confirmed: %s", model, error)

    def wish(self, model: Path, options: EngineOptions) -> Wish:
        """Nothing of a file that cannot be read: its load will say why."""
        planning, memory = self._planning(), system_memory()
        machine = self._machine() or Machine(memory.available, memory.total)
        try:
            plan = planning.planner(model, options)
            beside = sum(adapter.path.stat().st_size for adapter in options.adapters)
        except (ModelFileError, OSError):
            return Fixed({})
        return Planned(plan, machine, options, lambda found: planning.refusal(model, options, found), beside)

    def prepared(self, model: Path, options: EngineOptions, share: Share) -> tuple[EngineOptions, tuple[str, ...]]:
        """For the load: as it was planned, with sentences on what a person would not expect."""
        return self._planning().prepared(model, options, share.plan) if share.plan else (options, ())

    def taken(self, snapshot: EngineSnapshot, share: Share | None) -> Bytes:
        ready, stats = snapshot.ready, snapshot.stats
        if ready is None or stats is None or snapshot.state is not EngineState.READY:
            return {}
        taken = {RAM: stats.rss_bytes}
        if ready.gpu_layers and share and share.plan:
            cells = stats.cells
            part = cells.allocated / cells.limit if cells.limit else 1.0
            for room in share.plan.rooms[1:]:
                take = room.take
                if num_bytes := take.total - take.cache + round(part * take.cache):
                    taken[take.device] = num_bytes
        return taken
