"""Lets contexts compute in the thread mode that suits the machine's present load.

The pure choice is `backends.engine.threads`; here it is told of each native decode, and obeyed.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from backends.engine.threads import Threads, thread_modes
from backends.llama.binding import lib
from backends.llama.waiting import Waiting, waiting
from backends.neighbours import ApplicationTime, Neighbours
from backends.protocol import Processor

ALIKE = 7  # short steps in a row that took as long as the last one that was told, and are not told themselves
AS_LONG, SHORT_SECONDS = 1.3, 0.05  # at most so many times as long; of a long one it does not matter what that costs
LONG_ENOUGH = 0.25  # seconds, to see who runs
FEW_ROWS = 16  # more are a prompt's, which keep threads at work for longer between two barriers


def seen_neighbours() -> Neighbours:
    """Programs of this machine alone. What its host takes from it comes back in no mode, and comes and goes in bursts:
    counted as programs, it has cost a fifth of the speed."""
    return Neighbours(ApplicationTime(), counts_stolen=False)


class Decoder(Protocol):
    """A context. num_threads: those it uses now."""

    pointer: object
    num_threads: int


class NativeThreads:
    """Of one thread that decodes, for all its contexts. Answers and prompts each have the mode that suits them."""

    def __init__(self, most: int, neighbours: Callable[[], Callable[[], float | None]] = seen_neighbours):
        self._waiting: Waiting = waiting()
        self._waiting.spin()
        self._is_spinning = True
        self._most = most
        self._modes = thread_modes(most, can_sleep=not self._waiting.problem)
        self._neighbours = neighbours(), neighbours()  # from here on they see who runs beside the load
        self._beside_load: tuple[float | None, ...] = (None, None)
        self._loaded = 0.0  # of time.perf_counter()
        self._rows: int | None = None  # of the batch that `_num_threads` is for; None: the mode may have changed
        self._num_threads = 0
        self._told_rows, self._least, self._most_seconds = 0, 0.0, 0.0  # rows and time of the steps like the last told
        self._num_alike = 0

    @cached_property
    def _few(self) -> Threads:
        return self._begin(0)

    @cached_property
    def _many(self) -> Threads:
        return self._begin(1)

    def end_load(self) -> None:
        """Whoever worked beside it, as programs do that start together, may have ended with it."""
        self._beside_load = tuple(look() for look in self._neighbours)
        self._loaded = time.perf_counter()

    def _begin(self, number: int) -> Threads:
        """With who has run since the load; or beside it, where a first question does not wait."""
        now, look = time.perf_counter(), self._neighbours[number]
        is_too_short = now - self._loaded < LONG_ENOUGH
        return Threads(self._modes, now, look, self._beside_load[number] if is_too_short else None)

    @property
    def processor(self) -> Processor:
        return Processor(self._few.settled.num_threads, self._most, self._few.is_crowded)

    def of_target(self) -> "Following":
        return Following(self, leads=True)

    def of_draft(self) -> "Following":
        return Following(self, leads=False)

    def mode(self, num_rows: int) -> int:
        """Go over to the mode for a batch of so many rows; how many threads that has."""
        if num_rows != self._rows:
            mode = (self._few if num_rows <= FEW_ROWS else self._many).mode
            if mode.is_spinning != self._is_spinning:
                self._is_spinning = mode.is_spinning
                (self._waiting.spin if mode.is_spinning else self._waiting.sleep)()
            self._rows, self._num_threads = num_rows, mode.num_threads
        return self._num_threads

    def observe(self, num_rows: int, begin: float) -> None:
        now = time.perf_counter()
        seconds = now - begin
        if num_rows == self._told_rows and self._least < seconds < self._most_seconds and self._num_alike < ALIKE:
            self._num_alike += 1
            return
        self._rows = None
        if num_rows > FEW_ROWS:
            self._many.observe(num_rows.bit_length(), seconds, now, size=num_rows)
            return
        self._few.observe(num_rows, seconds, now)
        may_skip = seconds < SHORT_SECONDS and not self._few.is_trying
        self._told_rows, self._num_alike = num_rows if may_skip else 0, 0
        self._least, self._most_seconds = seconds / AS_LONG, seconds * AS_LONG

    def close(self) -> None:
        self._waiting.spin()


@dataclass(frozen=True, slots=True)
class Following:
    """What one context does. The target's steps lead: a draft's are too short to say anything."""

    threads: NativeThreads
    leads: bool

    def begin(self, context: Decoder, num_rows: int) -> float:
        """Before it decodes so many rows. The time, for `end`."""
        wanted = self.threads.mode(num_rows)
        if wanted != context.num_threads:
            lib.llama_set_n_threads(context.pointer, wanted, wanted)
            context.num_threads = wanted
        return time.perf_counter()

    def end(self, num_rows: int, begin: float) -> None:
        if self.leads:
            self.threads.observe(num_rows, begin)
