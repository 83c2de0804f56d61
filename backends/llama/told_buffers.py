"""What llama.cpp tells in its log of the buffers that it allocates: there is no other way to ask."""

import re
from collections import Counter
from collections.abc import Mapping

from backends.measurement import Buffers

RAM = "RAM"
MIB = 1 << 20
# llama-model.cpp, llama-context.cpp, llama-kv-cache.cpp and llama-memory-recurrent.cpp
BUFFER = re.compile(r"(\S+) +(model|KV|RS|compute|output) buffer size = +([\d.]+) MiB")
KV_SIZE = re.compile(r"llama_kv_cache: size = +([\d.]+) MiB")  # also of a cache that is reckoned with alone
WEIGHTS, CACHE, STATES, COMPUTE, OUTPUT = "model", "KV", "RS", "compute", "output"


def told_buffers(log: str) -> Counter[tuple[str, str]]:
    """Bytes by device and kind. Those of the CPU, whatever their type, and those for copies to a GPU lie in RAM."""
    found = Counter[tuple[str, str]]()
    for name, kind, size in BUFFER.findall(log):
        device = RAM if name.startswith("CPU") or name.endswith("_Host") else name
        found[device, kind] += _bytes(size)
    return found


def by_device(told: Mapping[tuple[str, str], int], kind: str) -> dict[str, int]:
    return {device: size for (device, each), size in told.items() if each == kind}


def shares(sizes: Mapping[str, int]) -> dict[str, float]:
    """Of the whole, by device; all in RAM where there is nothing."""
    whole = sum(sizes.values())
    return {device: size / whole for device, size in sizes.items() if size} or {RAM: 1.0}


def on_gpus(sizes: Mapping[str, int]) -> dict[str, int]:
    return {device: size for device, size in sizes.items() if device != RAM}


def context_buffers(log: str) -> Buffers:
    """Of a context, without the weights."""
    told = told_buffers(log)
    cache = sum(map(_bytes, KV_SIZE.findall(log)))
    states, output = (sum(by_device(told, kind).values()) for kind in (STATES, OUTPUT))
    return Buffers(by_device(told, COMPUTE), cache, states, output)


def _bytes(mib: str) -> int:
    return round(float(mib) * MIB)
