"""Lets the contexts of an engine compute in the thread mode that suits the machine's present load.

The pure choice is `backends.engine.threads`; here it is told of each native decode, and obeyed.
"""

import time
from dataclasses import dataclass
from typing import Protocol

import llama_cpp as lib

from backends.engine.neighbours import Neighbours
from backends.engine.threads import Threads, thread_modes
from backends.llama.waiting import Waiting, waiting
from backends.protocol import Processor

FEW_ROWS = 16  # more in a batch keep all threads at work between two barriers, so they are always all asked


class Decoder(Protocol):
    """A context. num_threads: those it uses now."""

    pointer: object
    num_threads: int


class NativeThreads:
    """Of one thread that decodes, for all its contexts."""

    def __init__(self, most: int, neighbours: Neighbours):
        self._waiting: Waiting = waiting()
        self._waiting.spin()
        self._most = most
        modes = thread_modes(most, can_sleep=not self._waiting.problem)
        self._choice = Threads(modes, time.perf_counter(), neighbours)
        self._is_spinning = True

    @property
    def processor(self) -> Processor:
        return Processor(self._choice.settled.num_threads, self._most, self._choice.is_crowded)

    def of_target(self) -> "Following":
        return Following(self, leads=True)

    def of_draft(self) -> "Following":
        return Following(self, leads=False)

    def mode(self, num_rows: int) -> int:
        """Go over to the mode for a batch of so many rows; how many threads that has."""
        is_few = num_rows <= FEW_ROWS
        mode = self._choice.mode if is_few else self._choice.settled
        if mode.is_spinning != self._is_spinning:
            self._is_spinning = mode.is_spinning
            (self._waiting.spin if mode.is_spinning else self._waiting.sleep)()
        return mode.num_threads if is_few else self._most

    def observe(self, num_rows: int, begin: float) -> None:
        if num_rows <= FEW_ROWS:
            now = time.perf_counter()
            self._choice.observe(num_rows, now - begin, now)

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
