"""A cache that nobody may rely on: made larger and smaller at random between steps, by chance and by no need.

`main` is an engine's whole life like `backends.engine.process.main`, with such caches; `tests.llama.conftest` has the
application start it in that one's place.
"""

import os
import random
import re
from collections.abc import Iterable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from backends.drafting.drafter import Drafter, ModelDrafter
from backends.engine import process
from backends.engine.engine import Engine
from backends.engine.prefix_cache import PrefixCache
from backends.engine.runner import CellsLost, NoMemory, Size

MAIN = "tests.engine.restless:main"
SEED = "SLIPSTREAM_RESTLESS"  # in its environment
SHARE = 0.1  # of the steps before which a cache changes its size


def any_size(pick: random.Random, cache: PrefixCache, num_held: int | None = None) -> Size:
    """One that holds what the cache holds. num_held: cells in use, if known; else each slot's are its own."""
    runner, slots = cache.runner, cache.slots
    size, limit, step = runner.size, runner.limit, runner.cell_step
    if num_held is None:
        num_held = slots.num_held if runner.shares_cells else slots.longest
    least = min(size.cells, max(1, num_held))
    cells = min(limit.cells, step * pick.randint(-(-least // step), -(-limit.cells // step)))
    keeps_slots = runner.max_draft is None and not runner.can_cut_saved  # a window's slots have shadows at a distance
    num_slots = size.slots if keeps_slots else pick.randint(max(1, slots.num_needed), limit.slots)
    return Size(cells, num_slots)


def caches_of(drafters: Iterable[Drafter]) -> list[PrefixCache]:
    return [drafter._cache for drafter in drafters if isinstance(drafter, ModelDrafter)]


class Restless:
    """Disturbs a cache and those of its drafters now and then. num_resizes: how often it did."""

    def __init__(self, cache: PrefixCache, drafters: Iterable[Drafter], seed: int, share: float = SHARE):
        self.num_resizes = 0
        self._caches = [cache, *caches_of(drafters)]
        self._share, self._random = share, random.Random(seed)

    def disturb(self) -> None:
        for cache in self._caches:
            if self._random.random() < self._share:
                cache.room.resize(any_size(self._random, cache))
                cache.check_integrity()
                self.num_resizes += 1


class RestlessEngine(Engine):
    """Says in its log how often: now and then, as it may be killed, and at its end."""

    def __init__(self, *arguments: Any, **named: Any):
        super().__init__(*arguments, **named)
        seed, self._num_told = int(os.environ.get(SEED, 0)), 0
        self._restless = Restless(self.scheduler.cache, self.speculation._drafters, seed)

    def step(self) -> None:
        try:
            self._restless.disturb()
        except (NoMemory, CellsLost) as error:  # as on any machine
            print(f"no resize: {error}")
        if self._restless.num_resizes >= 2 * self._num_told:
            self._tell_resizes()
        super().step()

    def close(self) -> None:
        self._tell_resizes()
        super().close()

    def _tell_resizes(self) -> None:
        self._num_told = self._restless.num_resizes
        if self._num_told:
            print(f"resized {self._num_told} times", flush=True)


def num_said(logs: Path) -> int:
    """How often caches of these engines changed their size, by the last word of each log."""
    said = [
        re.findall(r"^resized (\d+) times$", log.read_text("utf-8", "replace"), re.M) for log in logs.glob("*.log*")
    ]
    return sum(int(numbers[-1]) for numbers in said if numbers)


def main(connection: Connection, backend: str, log_path: str | None) -> None:
    process.Engine = RestlessEngine  # type: ignore[misc]
    process.main(connection, backend, log_path)
