"""Whether an engine that has died comes back."""

import time
from collections import deque
from collections.abc import Callable

MAX_RESTARTS = 5  # within RESTART_WINDOW seconds; an engine that dies faster than that stays down
RESTART_WINDOW = 60.0


class Restarts:
    """Neither one that has never worked, nor one that dies again and again. Not thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._deaths: deque[float] = deque(maxlen=MAX_RESTARTS)
        self._is_asked = False

    def ask(self, is_asked: bool) -> None:
        """Whether a person has asked for the next one, which may then be the first that works."""
        self._is_asked = is_asked

    def after_death(self, has_worked: bool) -> bool:
        """Whether it comes back, after this death and those before."""
        now, is_asked, self._is_asked = self._clock(), self._is_asked, False
        self._deaths.append(now)
        recent = sum(now - death < RESTART_WINDOW for death in self._deaths)
        return (has_worked or is_asked) and recent < MAX_RESTARTS
