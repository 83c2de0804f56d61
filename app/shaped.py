"""Dataclasses from the JSON that `dataclasses.asdict` has made of them, in files that others may have written."""

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import StrEnum
from types import UnionType
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

MAX_NUMBER = 1e15
MAX_ITEMS = 4096  # of one tuple
MAX_TEXT = 10_000  # characters


T = TypeVar("T")


def shaped(kind: type[T], value: Any) -> T:
    """What an older version did not know has its default; what a later one knows is passed over.

    Raises TypeError for a value of another type, ValueError or LookupError for what else cannot be.
    """
    return cast(T, _shaped(kind, value))


def _shaped(kind: Any, value: Any) -> Any:
    if isinstance(kind, UnionType):
        if value is None:
            return None
        (kind,) = (choice for choice in get_args(kind) if choice is not type(None))
    if get_origin(kind) is tuple:
        return _items(get_args(kind), value)
    if parse := getattr(kind, "shaped", None):
        return parse(value)
    if not is_dataclass(kind):
        return _plain(kind, value)
    if not isinstance(value, Mapping):
        raise TypeError(f"{value!r} is no {kind}")
    hints = get_type_hints(kind)
    make = cast(Callable[..., Any], kind)
    known = [field for field in fields(kind) if field.name in value or field.default is MISSING]
    return make(**{field.name: _shaped(hints[field.name], value[field.name]) for field in known})


def _items(kinds: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
    """kinds: of each item, or of all of them where the second is an ellipsis."""
    if type(value) not in (list, tuple):
        raise TypeError(f"{value!r} is no list")
    if len(value) > MAX_ITEMS:
        raise ValueError(f"{len(value)} are too many")
    if kinds[-1] is Ellipsis:
        return tuple(_shaped(kinds[0], each) for each in value)
    return tuple(_shaped(kind, each) for kind, each in zip(kinds, value, strict=True))


def _plain(kind: Any, value: Any) -> Any:
    """Texts that can be shown, and numbers that can be drawn. Raises ValueError too."""
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return kind(value)
    if kind is float and type(value) is int:
        value = float(value) if abs(value) < MAX_NUMBER else math.inf
    if type(value) is not kind:
        raise TypeError(f"{value!r} is no {kind}")
    if kind is str:
        if len(value) > MAX_TEXT:
            raise ValueError("too long a text")
        value.encode()
    elif kind in (int, float) and not abs(value) < MAX_NUMBER:  # nor is NaN
        raise ValueError("no number of a measurement")
    return value
