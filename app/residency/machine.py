"""What models may have of this machine's memory, and an estimate of what they take, until a plan says it exactly."""

from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import psutil

from app.errors import ModelFileError
from app.inference.snapshot import EngineSnapshot, EngineState
from app.library.gguf import part_paths, read_model
from app.planner.fit import fit
from app.planner.machine import Machine
from app.residency.room import GPU, RAM, Bytes
from backends.protocol import DeviceMemory, EngineOptions

SHARE_OF_FREE = 0.9  # the rest is for other programs
# what an engine on a GPU wants of it, as backends/llama/placement.py has it
GPU_FACTOR, GPU_MORE = 1.15, 1 << 30
ENGINE = 300 << 20  # bytes of RAM of an engine whose model lies on the GPU


class MachineMemory:
    """devices: the GPUs as the engines see them; none before the first one is loaded."""

    def __init__(self, chosen: Callable[[], int | None], devices: Callable[[], tuple[DeviceMemory, ...]]):
        """chosen: bytes of RAM that a person lets models have; None: as much as is free."""
        self._chosen = chosen
        self._devices = devices

    def limits(self, taken: Bytes) -> Bytes:
        ram = self._chosen()
        if ram is None:
            ram = round(SHARE_OF_FREE * (psutil.virtual_memory().available + taken.get(RAM, 0)))
        devices = self._devices()
        if not devices:
            return {RAM: ram}
        return {RAM: ram, GPU: round(SHARE_OF_FREE * sum(each.total for each in devices))}


class EstimatedCosts:
    def __init__(self, devices: Callable[[], tuple[DeviceMemory, ...]]):
        self._devices = devices

    def planned(self, model: Path, options: EngineOptions) -> Bytes:
        """Nothing of a file that cannot be read: its load will say why."""
        try:
            weights = sum(file.stat().st_size for file in part_paths(model))
            ram = _in_ram(model, weights, model.stat().st_mtime_ns)
            if options.draft_model:
                weights += (draft := options.draft_model.stat().st_size)
                ram += draft
        except (ModelFileError, OSError):
            return {}
        on_gpu = round(GPU_FACTOR * weights) + GPU_MORE
        gpu = sum(each.total for each in self._devices())
        if options.gpu_layers != 0 and on_gpu <= SHARE_OF_FREE * gpu:
            return {GPU: on_gpu, RAM: ENGINE}
        return {RAM: ram}

    def taken(self, snapshot: EngineSnapshot) -> Bytes:
        ready, stats = snapshot.ready, snapshot.stats
        if ready is None or stats is None or snapshot.state is not EngineState.READY:
            return {}
        if not ready.gpu_layers or not stats.devices:
            return {RAM: stats.rss_bytes}
        share = min(1.0, ready.gpu_layers / max(1, ready.num_layers))
        on_gpu = round(share * ready.model_bytes)
        return {GPU: on_gpu, RAM: max(0, stats.rss_bytes - on_gpu)}


@lru_cache(maxsize=256)  # a header with a large vocabulary takes a while
def _in_ram(model: Path, weights: int, _mtime: int) -> int:
    return fit(weights, Machine.at_rest(0), read_model(model)).needed


class SeenDevices:
    """The GPUs, as the engines have last told of them."""

    def __init__(self) -> None:
        self._seen: tuple[DeviceMemory, ...] = ()

    def __call__(self) -> tuple[DeviceMemory, ...]:
        return self._seen

    def hear(self, snapshot: EngineSnapshot) -> None:
        """For Supervisor.subscribe."""
        with suppress(AttributeError):
            self._seen = snapshot.stats.devices or self._seen  # type: ignore[union-attr]
