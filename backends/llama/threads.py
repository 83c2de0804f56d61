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
from backends.neighbours import Neighbours
from backends.protocol import Processor

FEW_ROWS = 16  # more are a prompt's, which keep threads at work for longer between two barriers


class Decoder(Protocol):
    """A context. num_threads: those it uses now."""

    pointer: object
    num_threads: int


class NativeThreads:
    """Of one thread that decodes, for all its contexts. Answers and prompts each have the mode that suits them."""

    def __init__(self, most: int, neighbours: Callable[[], Callable[[], float | None]] = Neighbours):
        self._waiting: Waiting = waiting()
        self._waiting.spin()
        self._is_spinning = True
        self._most = most
        self._modes = thread_modes(most, can_sleep=not self._waiting.problem)
        self._neighbours = neighbours(), neighbours()  # from here on they see who runs beside the load

    @cached_property
    def _few(self) -> Threads:
        return Threads(self._modes, time.perf_counter(), self._neighbours[0])

    @cached_property
    def _many(self) -> Threads:
        return Threads(self._modes, time.perf_counter(), self._neighbours[1])

    @property
    def processor(self) -> Processor:
        return Processor(self._few.settled.num_threads, self._most, self._few.is_crowded)

    def of_target(self) -> "Following":
        return Following(self, leads=True)

    def of_draft(self) -> "Following":
        return Following(self, leads=False)

    def mode(self, num_rows: int) -> int:
        """Go over to the mode for a batch of so many rows; how many threads that has."""
        mode = (self._few if num_rows <= FEW_ROWS else self._many).mode
        if mode.is_spinning != self._is_spinning:
            self._is_spinning = mode.is_spinning
            (self._waiting.spin if mode.is_spinning else self._waiting.sleep)()
        return mode.num_threads

    def observe(self, num_rows: int, begin: float) -> None:
        now = time.perf_counter()
        if num_rows <= FEW_ROWS:
            self._few.observe(num_rows, now - begin, now)
        else:
            self._many.observe(num_rows.bit_length(), now - begin, now, size=num_rows)

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
