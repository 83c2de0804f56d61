"""Parts that are made, and imported, when somebody wants them: no start waits for what it does not need."""

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class late(Generic[T]):  # noqa: N801 - a decorator, as functools.cached_property
    """A method whose result is the attribute of that name, made once, on whichever thread asks first."""

    def __init__(self, make: Callable[[Any], T]):
        self._make = make
        self._lock = threading.RLock()  # two who ask at once must get the same

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, owner: object, kind: type | None = None) -> T:
        with self._lock:
            if self._name not in owner.__dict__:
                owner.__dict__[self._name] = self._make(owner)
        part: T = owner.__dict__[self._name]
        return part
