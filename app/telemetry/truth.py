"""Whether a loaded model is where it should be, and as fast as its GPU lets it: what was asked for and loaded beside
what the last samples show. Pure functions; one finding at a time, the worst first."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from app.telemetry.finding import Finding, Kind, Remedy
from app.telemetry.sample import EngineFigures, Gpu, Sample
from backends.protocol import DeviceMemory, Ready

CONSTANT = 3  # samples in a row that must show it: one alone may be of a moment between two states
LEAST_GROWTH = 0.5  # of the weights that the GPU should hold, which must be seen on it
LEAST_WEIGHTS = 256 << 20  # bytes; less disappears in what other programs do meanwhile
LEAST_GPU = 2 << 30  # bytes of a GPU that is worth a build of its own: a processor's own has a share of RAM
LEAST_FREE = 0.02  # of a GPU's memory: with less the driver begins to move things out
LEAST_OTHERS = 1 << 30  # bytes of other programs that are worth a word
LEAST_CLOCK = 0.7  # of the highest one, while it works
BUSY = 0.5  # a GPU with such a load works
LEAST_BANDWIDTH = 0.12  # of what the memory can deliver; the slowest real pair of model and card reaches a third
LEAST_OF_BEST = 0.3  # a long context halves it
LEAST_WHOLE = 0.8  # of the weights on the GPU: the input's stay in RAM always
LARGE = 2 << 30  # bytes of a model whose speed is that of the memory, and not of the launches


@dataclass(frozen=True, slots=True)
class Placed:
    """What a load has reported. asked_layers: None where the engine was to choose. before, after: the load, the GPUs as
    the engine's own backend saw them; none where it has none. cells: of its cache, as it was then.
    best: bytes per second that one answer alone has reached, the only limit there is where no driver tells one."""

    engine: str
    title: str
    ready: Ready
    asked_layers: int | None
    before: tuple[DeviceMemory, ...] = ()
    after: tuple[DeviceMemory, ...] = ()
    cells: int = 0
    best: float | None = None

    @property
    def is_whole(self) -> bool:
        """On the GPU, and nothing of it kept in RAM by a plan."""
        return self.ready.gpu_bytes >= LEAST_WHOLE * self.ready.model_bytes

    @property
    def is_on_gpu(self) -> bool:
        return self.ready.gpu_layers > 0

    def held(self, figures: EngineFigures) -> Counter[str]:
        """Bytes of each device: what the load took of it, and its part of what the cache has grown by since."""
        taken = Counter(
            {now.name: max(0, was.free - now.free) for was, now in zip(self.before, self.after, strict=False)}
        )
        grown = max(0, figures.cells.allocated - self.cells) * self.ready.cell_bytes if figures.cells else 0.0
        return Counter({name: size + round(grown * size / taken.total()) for name, size in taken.items() if size})


def judge(placed: Placed, samples: Sequence[Sample]) -> Finding | None:
    """samples: the latest last. None: all is well, or nothing is known to the contrary."""
    rules = (_fallback, _spill, _slow, _throttled, _squeezed)
    recent = samples[-CONSTANT:]
    if len(recent) < CONSTANT:
        return None
    return next((finding for rule in rules if (finding := rule(placed, recent))), None)


def seen_by_engines(placed: Mapping[str, Placed], engines: Sequence[EngineFigures]) -> tuple[Gpu, ...]:
    """The GPUs where no driver tells of them: as the engines' backend sees them, and what of them our models hold."""
    devices = next((each.devices for each in engines if each.devices), ())
    own = sum((placed[each.name].held(each) for each in engines if each.name in placed), Counter[str]())
    used = {device.name: device.total - device.free for device in devices}
    return tuple(
        Gpu(device.name, "engine", used[device.name], device.total, min(own[device.name], used[device.name]))
        for device in devices
    )


def _fallback(placed: Placed, samples: Sequence[Sample]) -> Finding | None:
    ready, name = placed.ready, placed.title
    if placed.asked_layers == 0:
        return None  # as it was asked for
    if placed.is_on_gpu:
        wanted = min(placed.asked_layers or 0, ready.num_layers + 1)
        if ready.gpu_layers >= wanted:
            return None
        sentence = f"Only {ready.gpu_layers} of the {wanted} layers of “{name}” that were asked for are on the GPU."
        return Finding(placed.engine, Kind.FALLBACK, sentence, Remedy.RELOAD)
    if placed.before:
        largest = max(placed.before, key=lambda device: device.total)
        sentence = f"“{name}” runs on the CPU: {_gb(largest.free)} of {_gb(largest.total)} were free on {largest.name}."
        return Finding(placed.engine, Kind.FALLBACK, sentence, Remedy.RELOAD)
    if seen := next((gpu for gpu in _gpus(samples) if (gpu.total or 0) >= LEAST_GPU), None):
        sentence = f"“{name}” runs on the CPU, because this build of the engine cannot use the {seen.name}."
        return Finding(placed.engine, Kind.FALLBACK, sentence, Remedy.SETTINGS)
    return None


def _spill(placed: Placed, samples: Sequence[Sample]) -> Finding | None:
    """Less has come onto the GPU than should lie there. A backend that always calls all of it free says nothing."""
    expected = placed.ready.gpu_bytes
    if expected < LEAST_WEIGHTS:
        return None

    grown = [_grown(placed, sample) for sample in samples]
    if any(each is None or each >= LEAST_GROWTH * expected for each in grown):
        return None
    sentence = (
        f"“{placed.title}” should have {_gb(expected)} on the GPU and has {_gb(grown[-1] or 0)}: the rest lies in "
        "system memory, which is many times slower."
    )
    return Finding(placed.engine, Kind.SPILL, sentence, Remedy.RELOAD)


def _slow(placed: Placed, samples: Sequence[Sample]) -> Finding | None:
    """One answer alone, whole on one GPU, reads its weights far slower than that GPU can, or than it did before."""
    if not placed.is_whole or placed.ready.model_bytes < LARGE or len(placed.before) != 1:
        return None

    def is_so(figures: EngineFigures, sample: Sample) -> bool:
        if figures.bandwidth is None or figures.num_running != 1 or any(gpu.throttle for gpu in sample.gpus):
            return False
        return figures.bandwidth < max(LEAST_BANDWIDTH * (_limit(sample) or 0.0), LEAST_OF_BEST * (placed.best or 0.0))

    if not _always(placed, samples, is_so):
        return None
    figures, sample = _last(placed, samples)
    reads = f"“{placed.title}” reads its weights at {(figures.bandwidth or 0) / 1e9:.0f} GB/s"
    limit = _limit(sample)
    beside = f"the GPU could {limit / 1e9:,.0f}" if limit else f"it did {(placed.best or 0) / 1e9:,.0f} before"
    sentence = f"{reads}, {beside}: part of it may lie in system memory, or another program computes on the GPU."
    return Finding(placed.engine, Kind.SPILL, sentence, Remedy.RELOAD)


def _throttled(placed: Placed, samples: Sequence[Sample]) -> Finding | None:
    def slow(sample: Sample) -> Gpu | None:
        return next((gpu for gpu in sample.gpus if _is_throttled(gpu)), None)

    if not placed.is_on_gpu or not _always(placed, samples, lambda _, sample: slow(sample) is not None):
        return None
    gpu = slow(samples[-1])
    assert gpu
    heat = f" ({gpu.celsius:.0f} °C)" if gpu.celsius is not None else ""
    sentence = f"The {gpu.name} runs at {gpu.mhz:,.0f} of {gpu.mhz_limit:,.0f} MHz: {gpu.throttle}{heat}."
    return Finding(placed.engine, Kind.THROTTLED, sentence, Remedy.LOOK)


def _squeezed(placed: Placed, samples: Sequence[Sample]) -> Finding | None:
    """Others have so much that nothing is left."""

    def tight(sample: Sample) -> Gpu | None:
        return next((gpu for gpu in sample.gpus if _others(gpu) >= LEAST_OTHERS and _is_full(gpu)), None)

    if not placed.is_on_gpu or not _always(placed, samples, lambda _, sample: tight(sample) is not None):
        return None
    gpu = tight(samples[-1])
    assert gpu
    sentence = (
        f"Other programs hold {_gb(_others(gpu))} of the {_gb(gpu.total or 0)} of the {gpu.name}, and "
        f"{_gb(gpu.free or 0)} are left: “{placed.title}” may become slow or run out of memory."
    )
    return Finding(placed.engine, Kind.SQUEEZED, sentence, Remedy.RELOAD)


def _limit(sample: Sample) -> float | None:
    return sample.gpus[0].bandwidth if len(sample.gpus) == 1 else None


def _is_throttled(gpu: Gpu) -> bool:
    """Its power limit alone is how every card works at its best."""
    if not gpu.throttle or gpu.mhz is None or gpu.mhz_limit is None or (gpu.load or 0.0) < BUSY:
        return False
    return gpu.mhz < LEAST_CLOCK * gpu.mhz_limit


def _others(gpu: Gpu) -> int:
    """Bytes that other programs hold; 0 where nobody tells what is ours."""
    return 0 if gpu.used is None or gpu.own is None else gpu.used - gpu.own


def _is_full(gpu: Gpu) -> bool:
    return gpu.free is not None and gpu.total is not None and gpu.free < LEAST_FREE * gpu.total


def _grown(placed: Placed, sample: Sample) -> int | None:
    """Bytes on the GPUs: by the driver for our process alone, else what the backend saw become of them by the load.
    What it sees later is no measure: other programs, and other models, come and go."""
    own = [gpu.own for gpu in sample.gpus if gpu.own is not None]
    if own and len(sample.engines) == 1:
        return sum(own)
    free = sum(device.free for device in placed.before) - sum(device.free for device in placed.after)
    is_telling = any(device.free < device.total for device in (*placed.before, *placed.after))
    return free if placed.before and placed.after and is_telling else None


def _always(placed: Placed, samples: Sequence[Sample], is_so: Callable[[EngineFigures, Sample], bool]) -> bool:
    for sample in samples:
        figures = sample.engine(placed.engine)
        if figures is None or not is_so(figures, sample):
            return False
    return True


def _last(placed: Placed, samples: Sequence[Sample]) -> tuple[EngineFigures, Sample]:
    figures = samples[-1].engine(placed.engine)
    assert figures
    return figures, samples[-1]


def _gpus(samples: Sequence[Sample]) -> list[Gpu]:
    return [gpu for sample in samples for gpu in sample.gpus]


def _gb(num_bytes: float) -> str:
    return f"{max(0.0, num_bytes) / 1e9:.1f} GB"
