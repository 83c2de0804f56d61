"""Plans loads on this machine: reads headers, asks memory and devices, has llama.cpp confirm, remembers the difference.

The arithmetic is `app.planner`'s; whoever asks a GPU does it in a child.
"""

import hashlib
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from app.errors import ModelFileError
from app.inference.build import has_gpu_library
from app.inference.differences import Differences
from app.inference.machine_rates import MachineRates
from app.jobs.child import OnProgress, run_in_child
from app.planner.corrections import Correction
from app.planner.machine import Gpu, Machine, margin
from app.planner.model import Model
from app.planner.plan import Plan
from app.planner.planner import plan
from app.planner.verdict import Place, pace, size
from backends.formats import FormatError
from backends.formats.gguf_split import read_parts
from backends.measurement import Buffers, ContextWish, Device
from backends.protocol import EngineOptions, KVLayout
from backends.system_memory import system_memory

_log = logging.getLogger(__name__)

DEVICES, MEASURE = "backends.llama.dry_load:devices", "backends.llama.dry_load:measure"
CHILD_SECONDS = 60.0


class Planning:
    """Thread-safe: it keeps nothing but what lies in files."""

    def __init__(self, cache: Path, logs: Path, build: Callable[[], str]):
        """build: names the installed library."""
        self._differences = Differences(cache / "plans.json")
        self.rates = MachineRates(cache, logs)
        self._logs, self._build = logs, build

    def machine(self) -> Machine:
        """As it is now. Raises EngineError when the GPUs cannot be asked."""
        memory, rates = system_memory(), self.rates.known(self._build())
        gpus = tuple(
            Gpu(device.name, device.free, device.total, rates.gpu if rates else None, device.is_shared)
            for device in self._devices()
            if device.is_gpu
        )
        if rates is None:
            return Machine(memory.available, memory.total, gpus)
        return Machine(memory.available, memory.total, gpus, rates.by_type, rates.layer_seconds)

    def measure_rates(
        self, options: EngineOptions, on_progress: OnProgress, cancelled: threading.Event | None = None
    ) -> None:
        """Once for each build: then a plan knows how fast this machine is. Raises EngineError or Cancelled."""
        self.rates.measured(self._build(), on_progress, cancelled, options.extra_buffer_types)

    def plan(
        self, file: Path, options: EngineOptions, machine: Machine | None = None, freed: Mapping[str, int] | None = None
    ) -> Plan:
        """freed: bytes of each device that are given back before. Raises ModelFileError or EngineError."""
        machine = machine or self.machine()
        if freed:
            machine = machine.without({name: -num_bytes for name, num_bytes in freed.items()})
        return self.planner(file, options)(machine, options)

    def planner(self, file: Path, options: EngineOptions) -> Callable[[Machine, EngineOptions], Plan]:
        """Reads what there is to read, so that many plans can be made of it. options: of which the files count.

        Raises ModelFileError.
        """
        model, correction = self.model(file), self.correction(file)
        draft = self.model(options.draft_model) if options.draft_model else None
        return lambda machine, options: plan(model, machine, options, draft, correction)

    def model(self, file: Path) -> Model:
        """Of all its parts. Raises ModelFileError."""
        try:
            status = file.stat()
            return _model(file, status.st_size, status.st_mtime_ns)
        except FormatError as error:
            raise ModelFileError(str(error)) from error
        except OSError as error:
            raise ModelFileError(f"{file.name} could not be read: {error}.") from error

    def correction(self, file: Path) -> Correction:
        return self._differences.of(self._key(file))

    def confirm(self, file: Path, planned: Plan) -> Buffers:
        """What llama.cpp would allocate for it; the difference corrects the next plan. Raises EngineError."""
        batch, sizing = planned.sizing.batch, planned.sizing
        wish = ContextWish(
            sizing.cells,
            sizing.layout.num_slots,
            batch.is_unified,
            batch.tokens,
            batch.flash_attention,
            batch.snapshots,
        )
        options = replace(planned.options, placement=planned.placement)
        found = self._child(MEASURE, model=file, options=options, wish=wish)
        assert isinstance(found, Buffers)
        factors = self._differences.of(self._key(file)).factors
        reckoned = {
            room.take.device: round(room.take.compute / factors.get(room.take.device, 1.0)) for room in planned.rooms
        }
        self._differences.keep(self._key(file), Correction.of(reckoned, found.compute))
        return found

    def prepared(self, options: EngineOptions, found: Plan) -> tuple[EngineOptions, tuple[str, ...]]:
        """For a load by this plan: the options with a placement, where there is a choice, and sentences for the load
        event."""
        if options.kv_layout is KVLayout.AUTO:  # else the engine would choose by the memory that it sees then
            options = replace(options, kv_layout=found.layout.kind)
        if found.verdict.place in (Place.DISK, Place.NOWHERE) and options.from_disk and _is_hopeless(found):
            return options, (_from_disk(found),)
        if options.gpu_layers is not None or not any(room.total for room in found.rooms[1:]):
            return options, ()
        return replace(options, placement=replace(found.placement, note=_note(found))), ()

    def refusal(self, file: Path, options: EngineOptions, found: Plan) -> str | None:
        """Of what no memory here holds, unless that is wanted."""
        return _refusal(file, found) if _is_hopeless(found) and not options.from_disk else None

    def _devices(self) -> tuple[Device, ...]:
        if not has_gpu_library():
            return ()
        found: tuple[Device, ...] = self._child(DEVICES)
        return found

    def _child(self, target: str, **arguments: Any) -> Any:
        log = self._logs / "planning.log"
        return run_in_child(target, log_path=log, limit=CHILD_SECONDS, **arguments)

    def _key(self, file: Path) -> str:
        try:
            status = file.stat()
            stamp = f"{status.st_size} {status.st_mtime_ns}"
        except OSError:
            stamp = ""
        text = f"{self._build()} {file} {stamp}"
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@lru_cache(maxsize=64)  # a header with a large vocabulary takes a while
def _model(file: Path, _size: int, _mtime: int) -> Model:
    first, *more = read_parts(file)
    return Model.of(first, more)


def _is_hopeless(found: Plan) -> bool:
    """Whether the weights alone are more than there is; a context can be smaller than planned."""
    ram = found.rooms[0]
    return ram.take.weights > ram.usable + margin(ram.total)


def _note(found: Plan) -> str | None:
    """What is not as a person would expect it, for the load event."""
    spread, num_layers = found.spread, found.num_layers
    if not spread.gpu_layers:
        return "The model does not fit on the GPU beside what is there, so it runs on the CPU."
    if spread.kept:
        what = "experts" if spread.keeps == "experts" else "feed-forward weights"
        return f"The {what} of {spread.kept} of {num_layers} layers stay in RAM: the GPU's memory is too small for all."
    if spread.gpu_layers <= num_layers:
        return f"{spread.gpu_layers} of {num_layers + 1} layers are on the GPU: its memory is too small for all."
    return None


def _refusal(file: Path, found: Plan) -> str:
    ram = found.rooms[0]
    return (
        f"{file.name} needs {size(found.total)}, and {size(ram.usable)} of memory are free. Choose a smaller "
        f"quantization, or close other programs. With --from-disk it is read anew for each token: about "
        f"{pace(found.speed.tokens)}."
    )


def _from_disk(found: Plan) -> str:
    return (
        f"The model is larger than the free memory by {size(found.from_disk)}, so it is read from the disk while it "
        f"answers: about {pace(found.speed.tokens)}."
    )
