"""Whether a model runs on this machine: its bytes and its context's memory beside what there is. Pure arithmetic."""

from dataclasses import dataclass
from enum import StrEnum

from backends.formats.gguf import Header

USABLE_RAM = 0.85  # the system and other programs need the rest
USABLE_VRAM = 0.92
CONTEXT = 4096  # tokens that a conversation needs at least
KV_BYTES = 2  # f16
BUFFERS = 300_000_000
UNKNOWN_KV = 0.12  # of the weights, where no header says


class Place(StrEnum):
    GPU = "gpu"
    SHARED = "shared"  # some layers on the GPU, the others in RAM
    RAM = "ram"
    NOWHERE = "nowhere"


@dataclass(frozen=True, slots=True)
class Machine:
    """Bytes. vram: of the largest GPU with memory of its own; None without one."""

    ram: int
    vram: int | None = None


@dataclass(frozen=True, slots=True)
class Fit:
    place: Place
    needed: int  # bytes
    available: int

    @property
    def runs(self) -> bool:
        return self.place is not Place.NOWHERE

    @property
    def sentence(self) -> str:
        match self.place:
            case Place.GPU:
                return "Runs on this machine, all of it on the GPU"
            case Place.SHARED:
                return "Runs on this machine, partly on the GPU"
            case Place.RAM:
                return "Runs on this machine"
        return f"Too large: needs about {_gigabytes(self.needed)} GB, {_gigabytes(self.available)} GB are there"


def fit(num_bytes: int, machine: Machine, header: Header | None = None) -> Fit:
    """num_bytes: of all files that are loaded. header: of the model, or of another quantization of it."""
    kv = _kv_bytes(header) if header else None
    needed = num_bytes + (kv if kv is not None else int(UNKNOWN_KV * num_bytes)) + BUFFERS
    ram, vram = int(USABLE_RAM * machine.ram), int(USABLE_VRAM * (machine.vram or 0))
    if needed <= vram:
        return Fit(Place.GPU, needed, vram)
    if needed <= ram:
        return Fit(Place.SHARED if vram else Place.RAM, needed, ram)
    return Fit(Place.SHARED if needed <= ram + vram else Place.NOWHERE, needed, ram + vram)


def _kv_bytes(header: Header) -> int | None:
    """Of CONTEXT tokens, or fewer where the model knows no more; None when the header does not say."""
    layers, width = header.number("block_count"), header.number("embedding_length")
    heads = header.number("attention.head_count")
    if not layers or not width or not heads:
        return None
    # a list: one count per layer, 0 where a layer keeps a state instead
    kv_heads = header.metadata.get(f"{header.architecture}.attention.head_count_kv", heads)
    per_layer, times = (kv_heads[:layers], 1) if isinstance(kv_heads, list) else ([kv_heads], layers)
    num_heads = times * sum(count for count in per_layer if type(count) is int and 0 <= count <= heads)
    head = width // heads
    size = (header.number("attention.key_length") or head) + (header.number("attention.value_length") or head)
    return num_heads * size * KV_BYTES * min(CONTEXT, header.number("context_length") or CONTEXT)


def _gigabytes(num_bytes: int) -> str:
    return f"{num_bytes / 1e9:.1f}"
