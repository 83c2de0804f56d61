"""Bodies that are nested deep."""

from collections.abc import Callable

from app.server.core.census import Census
from app.server.core.limits import MAX_PARTS


def deepest(of_depth: Callable[[int], str]) -> int:
    """How deep such a body may be nested, and still be read as JSON. of_depth: makes one."""
    flat, nested = num_parts(of_depth(0)), num_parts(of_depth(1))
    return (MAX_PARTS - flat) // (nested - flat)


def num_parts(body: str) -> int:
    census = Census()
    census.count(body.encode())
    return census.num_parts
