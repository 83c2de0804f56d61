"""Learns what steps cost before anyone asks: dummy steps in a lent slot, one at a time, while the engine idles."""

from math import inf
from time import perf_counter

from backends.drafting.speculation import Speculation
from backends.engine.prefix_cache import PrefixCache
from backends.engine.runner import KVFull, Step
from backends.engine.sequence import Sequence

ROWS = (1, 2, 3, 4, 6, 8, 12, 16)
NUM_ROUNDS = 5  # the first one warms up and does not count; of the others the quickest does
NUM_GUESSES = 4
MAX_SECONDS = 0.25  # of one dummy step: a person's first question must not wait for longer


class Calibration:
    """`step` may be called whenever the engine is idle; it leaves the cache as it was."""

    def __init__(self, cache: PrefixCache, speculation: Speculation):
        self._cache = cache
        self._speculation = speculation
        is_useful = speculation.can_learn
        rows = [n for n in ROWS if n <= cache.runner.max_batch_tokens]
        self._todo = [(n, round_) for n in rows for round_ in range(NUM_ROUNDS)] if is_useful else []
        self._drafters_todo = NUM_ROUNDS if is_useful else 0
        self._quickest = inf

    @property
    def is_done(self) -> bool:
        return not self._todo and not self._drafters_todo

    def step(self) -> None:
        """Measure one thing; a few milliseconds on a GPU or with a small model."""
        if self._todo:
            self._measure(*self._todo.pop(0))
        elif self._drafters_todo:
            self._drafters_todo -= 1
            dummy = Sequence(0, list(range(1, 9)), max_tokens=NUM_GUESSES)
            self._speculation.measure_drafts(dummy, NUM_GUESSES, counts=self._drafters_todo < NUM_ROUNDS - 1)

    def give_up(self) -> None:
        self._todo, self._drafters_todo = [], 0

    def _measure(self, num_rows: int, round_: int) -> None:
        lent = self._cache.lend(num_rows)
        if lent is None or self._speculation.costs.answers(num_rows) > MAX_SECONDS:
            self._todo.clear()
            return
        runner, (slot, held) = self._cache.runner, lent
        dummy = Sequence(0, [*held, 1], max_tokens=num_rows, slot=slot, adapters=self._cache.own_adapters)
        dummy.num_computed = len(held)
        begin = perf_counter()
        try:
            runner.run([Step(dummy, [1], list(range(2, num_rows + 1)))])
        except KVFull:  # resident conversations fill the cache: they are worth more than a measurement
            self._todo.clear()
            return
        seconds = perf_counter() - begin
        runner.truncate(slot, len(held))
        if round_:
            self._quickest = min(self._quickest, seconds)
        if round_ == NUM_ROUNDS - 1:
            self._speculation.costs.measured(num_rows, self._quickest)
            self._quickest = inf
