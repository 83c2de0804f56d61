"""What a placed model takes of each device: weights, cache, states, buffers, draft. Pure sums."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import accumulate

from app.planner.graph.lying import Lying, stays_in_ram
from app.planner.graph.whole import compute_bytes
from app.planner.machine import RAM, Machine
from app.planner.model import Layer, Model
from app.planner.sizing import Sizing
from backends.protocol import Keep


@dataclass(frozen=True, slots=True)
class Take:
    """Bytes that a model takes of one device, at the limit of its context."""

    device: str
    weights: int = 0
    cache: int = 0
    states: int = 0
    compute: int = 0
    draft: int = 0  # all of the draft model's
    other: int = 0  # the process itself, logits, prompts kept in RAM

    @property
    def total(self) -> int:
        return self.weights + self.cache + self.states + self.compute + self.draft + self.other


@dataclass(frozen=True, slots=True)
class Spread:
    """Where a model's parts lie. counts: for each GPU, how many of the last layers and the output, in their order.

    kept: layers, from the first one on the GPUs, whose experts or feed-forward matrices stay in RAM.
    """

    counts: tuple[int, ...] = ()
    keeps: Keep = Keep.NOTHING
    kept: int = 0

    @property
    def gpu_layers(self) -> int:
        return sum(self.counts)

    def parts(self, num_layers: int) -> list[range]:
        """The layers in RAM and on each GPU; the last number is the output's."""
        begin = max(0, num_layers + 1 - self.gpu_layers)
        parts = [range(begin if self.gpu_layers else num_layers + 1)]
        for count in self.counts:
            parts.append(range(parts[-1].stop, min(parts[-1].stop + count, num_layers + 1)))
        return parts

    def lying(self, num_layers: int) -> Lying:
        """As the scheduler sees it. Without a layer on a GPU, no GPU is asked for anything."""
        if not self.gpu_layers:
            return Lying.in_ram(num_layers)
        devices = [number for number, part in enumerate(self.parts(num_layers)) for _ in part]
        return Lying(
            tuple(devices[:num_layers]),
            devices[num_layers],
            self.keeps,
            self.kept_layers(num_layers),
            1 + len(self.counts),
        )

    def kept_layers(self, num_layers: int) -> range:
        first = max(0, num_layers + 1 - self.gpu_layers)
        return range(first, min(first + self.kept, num_layers))


def in_ram(layer: Layer, keeps: Keep) -> int:
    """Bytes of a layer that stay in RAM though it is on a GPU."""
    return sum(tensor.num_bytes for name, tensor in layer.tensors.items() if stays_in_ram(name, keeps))


class Sums:
    """Of a model with a context of this size: asked for many spreads, so its layers are added up once.

    scale: of the weights, where the header is that of another quantization.
    """

    def __init__(self, model: Model, sizing: Sizing, machine: Machine, scale: float = 1.0):
        self._model, self._sizing, self._machine, self._scale = model, sizing, machine, scale
        self._weights = _running(layer.num_bytes for layer in model.layers)
        self._caches = _running(sizing.cache_bytes(model, layer) for layer in model.layers)
        self._states = _running(sizing.state_bytes(model, layer) for layer in model.layers)
        self._kept = {keeps: _running(in_ram(layer, keeps) for layer in model.layers) for keeps in Keep}

    def takes(self, spread: Spread, *, has_buffers: bool = True) -> tuple[Take, ...]:
        """RAM first, then each GPU. has_buffers: for computing, which take longest to be reckoned."""
        model, num_layers = self._model, len(self._model.layers)
        parts = spread.parts(num_layers)
        kept, between = spread.kept_layers(num_layers), _between(self._kept[spread.keeps])
        computes = compute_bytes(model, self._sizing.batch, spread.lying(num_layers)) if has_buffers else ()
        found = []
        for number, (part, name) in enumerate(zip(parts, (RAM, *(g.name for g in self._machine.gpus)), strict=True)):
            weights = _between(self._weights)(part)
            if number:
                weights -= between(range(max(part.start, kept.start), min(part.stop, kept.stop)))
            else:
                weights += between(kept) + model.input_bytes
            if num_layers in part:
                weights += model.output_bytes + (model.tied_bytes if number or model.is_tied_and_packed else 0)
            found.append(
                Take(
                    name,
                    round(self._scale * weights),
                    _between(self._caches)(part),
                    _between(self._states)(part),
                    computes[number] if number < len(computes) else 0,
                    other=0 if number else self._sizing.output_bytes(model),
                )
            )
        return tuple(found)

    def places(self, spread: Spread) -> list[int]:
        """Bytes on the GPUs of each layer there, and of the output; without buffers."""
        model, num_layers = self._model, len(self._model.layers)
        kept, between = spread.kept_layers(num_layers), _between(self._kept[spread.keeps])
        found = []
        for at in range(max(0, num_layers + 1 - spread.gpu_layers), num_layers):
            each = range(at, at + 1)
            weights = _between(self._weights)(each) - (between(each) if at in kept else 0)
            found.append(round(self._scale * weights) + _between(self._caches)(each) + _between(self._states)(each))
        return [*found, round(self._scale * (model.output_bytes + model.tied_bytes))]


def _running(numbers: Iterable[int]) -> list[int]:
    return [0, *accumulate(numbers)]


def _between(running: list[int]) -> Callable[[range], int]:
    """The sum over a range of layers, of which those behind the last weigh nothing."""
    last = len(running) - 1
    return lambda part: max(0, running[min(part.stop, last)] - running[min(part.start, last)]) if len(part) else 0
