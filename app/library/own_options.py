"""Engine options that one model has for itself, beside the settings that all share. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from backends.kv_layout import MAX_BATCH, MAX_SLOTS, MIN_BATCH
from backends.protocol import EngineOptions, FlashAttention, KVLayout, KVType

RANGES = {
    "context": (1, 1 << 22),
    "parallel": (1, MAX_SLOTS),
    "gpu_layers": (0, 10_000),
    "threads": (1, 1024),
    "batch": (MIN_BATCH, MAX_BATCH),
    "micro_batch": (MIN_BATCH, MAX_BATCH),
}
CHOICES = {
    "kv_type_k": KVType,
    "kv_type_v": KVType,
    "kv_layout": KVLayout,
    "flash_attention": FlashAttention,
}


@dataclass(frozen=True, slots=True)
class OwnOptions:
    """By the names of EngineOptions. None: as in the settings."""

    context: int | None = None
    parallel: int | None = None
    gpu_layers: int | None = None
    threads: int | None = None
    batch: int | None = None
    micro_batch: int | None = None
    kv_type_k: KVType | None = None
    kv_type_v: KVType | None = None
    kv_layout: KVLayout | None = None
    flash_attention: FlashAttention | None = None

    def over(self, options: EngineOptions) -> EngineOptions:
        return replace(options, **self.chosen)

    @property
    def chosen(self) -> dict[str, Any]:
        return {each.name: value for each in fields(self) if (value := getattr(self, each.name)) is not None}


SETTINGS = OwnOptions()  # nothing of its own


def own_options(document: object) -> OwnOptions:
    """Of what was written down. Raises ValueError or TypeError for what cannot have been."""
    if not isinstance(document, Mapping):
        raise TypeError("no options")
    return OwnOptions(**{name: _value(name, value) for name, value in document.items() if name in _NAMES})


_NAMES = frozenset(each.name for each in fields(OwnOptions))


def _value(name: str, value: Any) -> Any:
    if name in CHOICES:
        return CHOICES[name](value)
    low, high = RANGES[name]
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"{name} is {value!r}")
    return value
