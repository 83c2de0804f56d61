"""How many tokens a second an answer gets: by the bytes that a step reads, and how fast each device reads them.

A step of one token reads every weight that it uses once, and all keys and values behind it; nothing else takes as long.
On a processor the heads' products with keys and values are no matter of bytes: they have a rate of their own.
Where nobody has measured the rates, those of common machines stand in, and the estimate says so.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from app.planner.machine import Machine
from app.planner.memory import Spread, in_ram
from app.planner.model import EXPERTS, Layer, Model
from app.planner.sizing import Sizing
from backends.formats.kv_shape import UNQUANTIZED
from backends.kv_layout import PADDING

DEPTH = 512  # tokens before the one that is written
RAM_RATE, GPU_RATE, DISK_RATE = 20e9, 300e9, 1.5e9  # bytes a second, where nobody has measured
RATES_LIKE = {  # of those that are measured, what a processor reads about as fast
    "BF16": "F16", "F32": "F16", "Q5_0": "Q4_1", "Q5_1": "Q4_1", "Q2_K": "Q4_K", "Q3_K": "Q5_K", "IQ4_NL": "Q4_0",
    "IQ1_S": "IQ4_XS", "IQ1_M": "IQ4_XS", "IQ2_XXS": "IQ4_XS", "IQ2_XS": "IQ4_XS", "IQ2_S": "IQ4_XS",
    "IQ3_XXS": "IQ4_XS", "IQ3_S": "IQ4_XS",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Speed:
    """tokens: a second, of one answer. is_measured: the rates are this machine's own. is_quiet: and were not measured
    beside other programs."""

    tokens: float
    is_measured: bool
    is_quiet: bool = True


def estimate(
    model: Model,
    sizing: Sizing,
    spread: Spread,
    machine: Machine,
    from_disk: int = 0,
    scale: float = 1.0,
    depth: int = DEPTH,
) -> Speed:
    """from_disk: bytes of weights that do not fit into RAM, and are read anew for each token. scale: of all weights.
    depth: tokens before the one that is written."""
    num_layers = len(model.layers)
    parts, kept = spread.parts(num_layers), spread.kept_layers(num_layers)
    devices = {number: at - 1 for at, part in enumerate(parts) if at for number in part}
    seconds = 0.0
    used = _used(sizing, depth)
    for layer in model.layers:
        device = devices.get(layer.number)
        read = layer_bytes(model, layer)
        stays = Counter[str]()
        if device is not None and layer.number in kept:
            share = in_ram(layer, spread.keeps) / max(1, layer.num_bytes)
            stays = Counter({kind: round(count * share) for kind, count in read.items()})
        cached, states = used * sizing.cache_bytes(model, layer), sizing.state_bytes(model, layer) / sizing.batch.slots
        if device is None:
            seconds += _ram_seconds(machine, read) + states / ram_rate(machine, "F16") + machine.layer_seconds
            seconds += _attention_seconds(machine, sizing, layer, depth, cached)
        else:
            cached += states
            seconds += (sum((read - stays).values()) + cached) / gpu_rate(machine, device)
            seconds += _ram_seconds(machine, stays)
    head = output_bytes(model)
    device = devices.get(num_layers)
    seconds += _ram_seconds(machine, head) if device is None else sum(head.values()) / gpu_rate(machine, device)
    weights = sum(sum(layer_bytes(model, each).values()) for each in model.layers)
    read_share = min(1.0, weights / model.num_bytes) if model.num_bytes else 0.0
    seconds *= scale
    seconds += from_disk * read_share / (machine.disk_rate or DISK_RATE)
    measured = bool(machine.rates) and all(gpu.rate for gpu in machine.gpus[: len(spread.counts)])
    return Speed(1 / seconds if seconds > 0 else 0.0, measured, machine.rates_are_quiet)


def step_bytes(model: Model, sizing: Sizing, depth: int) -> int:
    """What one token reads, wherever it lies: weights, keys, values and states."""
    used = _used(sizing, depth)
    cached = sum(
        used * sizing.cache_bytes(model, each) + sizing.state_bytes(model, each) / sizing.batch.slots
        for each in model.layers
    )
    weights = sum(sum(layer_bytes(model, each).values()) for each in model.layers)
    return round(weights + sum(output_bytes(model).values()) + cached)


def _used(sizing: Sizing, depth: int) -> float:
    """The share of all cells that one token so deep attends to."""
    return min(depth, sizing.layout.context) / max(1, sizing.cells)


def layer_bytes(model: Model, layer: Layer) -> Counter[str]:
    """What one token reads of a layer's weights, by type: of the experts only those that it uses."""
    found = Counter[str]()
    for name, tensor in layer.tensors.items():
        size = tensor.num_bytes
        if name in EXPERTS and len(tensor.shape) > 2:
            size = size * min(model.num_used_experts or 1, tensor.shape[2]) // tensor.shape[2]
        found[tensor.type] += size
    return found


def output_bytes(model: Model) -> Counter[str]:
    """What makes the logits; the input's weights are only looked up."""
    head = model.others.get("output") or model.others.get("token_embd")
    return Counter({head.type: head.num_bytes}) if head else Counter()


def ram_rate(machine: Machine, kind: str) -> float:
    rates = machine.rates
    return rates.get(kind) or rates.get(RATES_LIKE.get(kind, "Q4_K")) or min(rates.values(), default=RAM_RATE)


def gpu_rate(machine: Machine, device: int) -> float:
    return machine.gpus[device].rate or GPU_RATE


def _attention_seconds(machine: Machine, sizing: Sizing, layer: Layer, depth: int, cached: float) -> float:
    """On the processor. Masked or not, a token goes over all cells up to llama.cpp's next multiple."""
    if not layer.has_attention:
        return 0.0
    kind = "f16" if sizing.type_v in UNQUANTIZED else "q8_0"
    rate = machine.attention.get(f"flash {kind}" if sizing.batch.flash_attention else kind)
    if not rate:
        return cached / ram_rate(machine, "F16")
    cells = min(-(-(depth + 1) // PADDING) * PADDING, sizing.layout.context)
    return cells * layer.heads * (layer.key_length + layer.value_length) / rate


def _ram_seconds(machine: Machine, read: Mapping[str, int]) -> float:
    return sum(size / ram_rate(machine, kind) for kind, size in read.items())
