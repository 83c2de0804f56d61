"""Plans loads on this machine: reads headers, asks memory and devices, has llama.cpp confirm, remembers the difference.

The arithmetic is `app.planner`'s; whoever asks a GPU does it in a child.
"""

import hashlib
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from app.errors import ModelFileError
from app.inference.build import has_gpu_library
from app.inference.differences import Differences
from app.inference.machine_rates import MachineRates
from app.jobs.child import OnProgress, ignore_progress, run_in_child
from app.planner.corrections import Correction
from app.planner.machine import Gpu, Machine, margin
from app.planner.model import Model
from app.planner.plan import Plan
from app.planner.study import Study
from app.planner.verdict import Fits, Place
from backends.formats import FormatError
from backends.formats.gguf_split import read_parts
from backends.kv_layout import default_context
from backends.measurement import Buffers, ContextWish, Device, Rates
from backends.protocol import EngineOptions, KVLayout
from backends.system_memory import system_memory

_log = logging.getLogger(__name__)

DEVICES, MEASURE = "backends.llama.dry_load:devices", "backends.llama.dry_load:measure"
CHILD_SECONDS = 60.0
NUM_MODELS = 256  # whose headers are kept, some kilobytes each
Stamp = tuple[Path, int, int]


class Planning:
    """Thread-safe: it keeps nothing but what lies in files, and what their headers said."""

    def __init__(self, cache: Path, logs: Path, build: Callable[[], str]):
        """build: names the installed library."""
        self._differences = Differences(cache / "plans.json")
        self.rates = MachineRates(cache, logs)
        self._logs, self._build = logs, build
        self._models: OrderedDict[Stamp, Model] = OrderedDict()
        self._lock = threading.Lock()  # the window's workers and loads read headers side by side

    def machine(self) -> Machine:
        """As it is now. Raises EngineError when the GPUs cannot be asked."""
        memory, rates = system_memory(), self.known_rates
        gpus = tuple(
            Gpu(device.name, device.free, device.total, rates.gpu if rates else None, device.is_shared)
            for device in self._devices()
            if device.is_gpu
        )
        if rates is None:
            return Machine(memory.available, memory.total, gpus)
        return Machine(
            memory.available,
            memory.total,
            gpus,
            rates.by_type,
            rates.layer_seconds,
            attention=rates.attention if rates.is_quiet else {},  # a difference of two steps: noise is most of it
            rates_are_quiet=rates.is_quiet,
        )

    @property
    def known_rates(self) -> Rates | None:
        """Of the installed build, where they were measured."""
        return self.rates.known(self._build())

    def measure_rates(
        self,
        options: EngineOptions,
        on_progress: OnProgress = ignore_progress,
        cancelled: threading.Event | None = None,
    ) -> None:
        """Once for each build: then a plan knows how fast this machine is. Raises EngineError or Cancelled."""
        self.rates.measured(self._build(), on_progress, cancelled, options.extra_buffer_types)

    def study(
        self, file: Path, draft: Path | None, machine: Machine | None = None, freed: Mapping[str, int] | None = None
    ) -> Study:
        """freed: bytes of each device that are given back before. Raises ModelFileError or EngineError."""
        machine = machine or self.machine()
        if freed:
            machine = machine.without({name: -num_bytes for name, num_bytes in freed.items()})
        return self._studies(file, draft)(machine)

    def plan(
        self, file: Path, options: EngineOptions, machine: Machine | None = None, freed: Mapping[str, int] | None = None
    ) -> Plan:
        """As `study`."""
        return self.study(file, options.draft_model, machine, freed).plan(options)

    def planner(self, file: Path, options: EngineOptions) -> Callable[[Machine, EngineOptions], Plan]:
        """Reads what there is to read, so that many plans can be made of it. options: of which the files count.

        Raises ModelFileError.
        """
        studies = self._studies(file, options.draft_model)
        return lambda machine, options: studies(machine).plan(options)

    def _studies(self, file: Path, draft: Path | None) -> Callable[[Machine], Study]:
        model, drafting, correction = self.model(file), self.model(draft) if draft else None, self.correction(file)
        return lambda machine: Study(model, machine, drafting, correction)

    def model(self, file: Path) -> Model:
        """Of all its parts; read anew where the first has changed. Raises ModelFileError."""
        stamp = _stamp(file)
        with self._lock:
            known = self._models.get(stamp) if stamp else None
        if known:
            return known
        try:
            first, *more = read_parts(file)
        except FormatError as error:
            raise ModelFileError(str(error)) from error
        except OSError as error:
            raise ModelFileError(f"{file.name} could not be read: {error}.") from error
        model = Model.of(first, more)
        if stamp:
            with self._lock:
                self._models[stamp] = model
                while len(self._models) > NUM_MODELS:
                    self._models.popitem(last=False)
        return model

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

    def prepared(self, file: Path, options: EngineOptions, found: Plan) -> tuple[EngineOptions, tuple[str, ...]]:
        """For a load by this plan: the options with a placement, where there is a choice, and sentences for the load
        event."""
        if options.kv_layout is KVLayout.AUTO:  # else the engine would choose by the memory that it sees then
            options = replace(options, kv_layout=found.layout.kind)
        if found.verdict.place in (Place.DISK, Place.NOWHERE) and options.from_disk and _is_hopeless(found):
            return options, (f"{found.verdict.sentence}.",)
        if options.context is None and found.layout.context < default_context(self.model(file).context):
            options = replace(options, context=found.layout.context)
        note = None if found.verdict.fits is Fits.YES else f"{found.verdict.sentence}."
        if options.gpu_layers is not None or not any(room.total for room in found.rooms[1:]):
            return options, (note,) if note else ()
        return replace(options, placement=replace(found.placement, note=note)), ()

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
        stamp = _stamp(file)
        text = f"{self._build()} {file} {stamp[1]} {stamp[2]}" if stamp else f"{self._build()} {file} "
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _is_hopeless(found: Plan) -> bool:
    """Whether the weights alone are more than there is; a context can be smaller than planned."""
    ram = found.rooms[0]
    return ram.take.weights > ram.usable + margin(ram.total)


def _refusal(file: Path, found: Plan) -> str:
    what = f"{file.name}: {found.verdict.sentence}. Choose a smaller quantization, or close other programs."
    if found.verdict.place is not Place.DISK:
        return what
    return f"{what} Whoever wants it so slow asks for it: --from-disk in commands, “Load from the disk” in its plan."


def _stamp(file: Path) -> Stamp | None:
    """Unlike any other file's, and unlike this one's once it has changed."""
    try:
        status = file.stat()
    except OSError:
        return None
    return file, status.st_size, status.st_mtime_ns
