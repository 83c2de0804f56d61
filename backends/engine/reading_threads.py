"""The thread mode of steps that read prompts: they differ in size and depth, which say nothing of the machine."""

import numpy as np

from backends.drafting.chunk_costs import ChunkCosts
from backends.engine.threads import ThreadMode, Threads

NOISE, DRIFT = 0.2, 0.005  # relative: of one step, and of what its parts may change to the next. That is slow: what
# other programs change is for the threads to see

MOST = 1.5  # times more or less than expected that a step may count


class ReadingThreads:
    """Judges a step by the seconds that its rows and their depth let expect."""

    def __init__(self, threads: Threads):
        self._threads = threads
        self._costs = ChunkCosts(DRIFT)

    @property
    def mode(self) -> ThreadMode:
        return self._threads.mode

    @property
    def settled(self) -> ThreadMode:
        return self._threads.settled

    def observe(self, num_rows: int, num_pairs: int, seconds: float, now: float) -> None:
        """A step of so many rows took so long in the present `mode`. num_pairs: of each row with those before it."""
        read, is_settled = np.array((1.0, num_rows, num_pairs)), self.mode == self.settled
        if not self._costs.is_known:
            self._costs.learn(read, seconds, 0.0)
        expected = self._costs.seconds(read)
        self._threads.observe(None, seconds, now, size=expected)
        if is_settled:
            ratio = min(max(seconds / self._threads.present / expected, 1 / MOST), MOST)
            self._costs.learn(read, ratio * expected, NOISE * expected)
