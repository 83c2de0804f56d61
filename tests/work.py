"""Counts work, which is the same on every machine at any load."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def calls_of(work: Callable[[], object]) -> int:
    """Of functions, Python's and those that it is written with."""
    num = 0

    def count(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal num
        num += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return num
