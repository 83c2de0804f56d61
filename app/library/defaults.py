"""What a person has chosen for one model's loads, beside the settings that hold for all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from backends.kv_layout import MAX_BATCH, MIN_BATCH
from backends.protocol import EngineOptions, FlashAttention, KVLayout, KVType


def _whole(low: int, high: int) -> Callable[[Any], int]:
    def parse(value: Any) -> int:
        if type(value) is not int or not low <= value <= high:  # bool is an int, and not meant
            raise ValueError(value)
        return value

    return parse


def _or_automatic(parse: Callable[[Any], int]) -> Callable[[Any], int | None]:
    return lambda value: None if value is None else parse(value)


PARSERS: dict[str, Callable[[Any], Any]] = {
    "context": _or_automatic(_whole(64, 1 << 22)),
    "parallel": _whole(1, 256),
    "gpu_layers": _or_automatic(_whole(0, 10_000)),
    "kv_type_k": KVType,
    "kv_type_v": KVType,
    "threads": _or_automatic(_whole(1, 1024)),
    "batch": _or_automatic(_whole(MIN_BATCH, MAX_BATCH)),
    "micro_batch": _or_automatic(_whole(MIN_BATCH, MAX_BATCH)),
    "kv_layout": KVLayout,
    "flash_attention": FlashAttention,
}


@dataclass(frozen=True, slots=True)
class ModelDefaults:
    """values: by the names of EngineOptions, of those that are chosen; None among them is chosen, too: automatic."""

    values: Mapping[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.values)

    def with_more(self, **values: Any) -> "ModelDefaults":
        """By the same names; they go before those that are there."""
        return ModelDefaults({**self.values, **values})

    def applied(self, options: EngineOptions) -> EngineOptions:
        return replace(options, **self.values)

    @classmethod
    def between(cls, options: EngineOptions, base: EngineOptions) -> "ModelDefaults":
        """What of these options is another than the base has."""
        return cls({name: value for name in PARSERS if (value := getattr(options, name)) != getattr(base, name)})

    @classmethod
    def shaped(cls, document: Any) -> "ModelDefaults":
        """Of what `dataclasses.asdict` made of it. Raises as `of`."""
        return cls.of(document["values"])

    @classmethod
    def of(cls, document: Any) -> "ModelDefaults":
        """Of a file. Raises ValueError, TypeError or AttributeError for what is none."""
        return cls({name: PARSERS[name](value) for name, value in document.items() if name in PARSERS})


NO_DEFAULTS = ModelDefaults()
