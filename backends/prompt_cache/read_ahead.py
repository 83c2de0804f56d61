"""One state at a time on its way from disk into memory, and the prompts that are held back for theirs.

The engine's thread calls everything here. A prompt waits for its state no longer than a bound; one whose turn has not
come waits likewise, and looks again when the place is free: by then a slot may hold what it wants.
"""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

from backends.prompt_cache.state import State
from backends.prompt_cache.state_reader import Held, Read


@dataclass(frozen=True, slots=True)
class Wait:
    held: Held
    until: float  # seconds of perf_counter()


class ReadAhead:
    """A prompt is named by any object that stays the same."""

    def __init__(self, ask: Callable[[Held], None]):
        self._ask = ask
        self._first: object | None = None  # whose state is being read, or lies here
        self._state: State | None = None
        self._waits: dict[object, Wait] = {}

    def hold_back(self, prompt: object, held: Held, seconds: float) -> None:
        """Until the state is here, at most so long."""
        self._waits[prompt] = Wait(held, perf_counter() + seconds)
        if self._first is None:
            self._first = prompt
            self._ask(held)

    def must_wait(self, prompt: object) -> bool | None:
        """None: it was not held back, or may want something else by now."""
        wait = self._waits.get(prompt)
        if wait is None:
            return None
        is_here = prompt is self._first and self._state is not None
        return not is_here and perf_counter() < wait.until

    def arrive(self, read: Read) -> None:
        """What nobody waits for any more is dropped."""
        if not self._is_wanted(read.held):
            return
        if read.state:
            self._state = read.state
        else:
            self._start_over()

    def state(self, held: Held) -> State | None:
        """What was read, if it is this one."""
        return self._state if self._is_wanted(held) else None

    def forget(self, prompt: object) -> None:
        """It is admitted, or has ended; the place is free for the next."""
        if prompt is self._first:
            self._start_over()
        else:
            self._waits.pop(prompt, None)

    def _is_wanted(self, held: Held) -> bool:
        return self._first is not None and self._waits[self._first].held.name == held.name

    def _start_over(self) -> None:
        self._first = self._state = None
        self._waits.clear()
