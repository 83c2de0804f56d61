"""Spoilt headers of every architecture of llama.cpp: what the check lets pass must not end the process.

First the 1,520 of the quick grid, then a sound model of each with every setting spoilt in turn. Many share a child;
each is loaded, tokenised with and run for a step in a fork of its own, so that a death has a name.
"""

from collections.abc import Iterator
from functools import cache, partial

from tests.bench.attacks.case import Case
from tests.library import grid


def cases() -> Iterator[Case]:
    every = (*grid.names(), *grid.sound_names())
    for start in range(0, len(every), grid.PER_CHILD):
        batch = every[start : start + grid.PER_CHILD]
        for case in batch:
            yield Case(case, partial(_attack, case, batch))


def _attack(case: str, batch: tuple[str, ...]) -> str | None:
    how = _run(batch)[case]
    return None if how is None else f"llama.cpp died of it: {how}"


@cache
def _run(batch: tuple[str, ...]) -> dict[str, str | None]:
    return grid.run(list(batch))
