"""Who uses an engine now: it is not unloaded to make room for another meanwhile. Knows no engine."""

import time
from collections import Counter
from collections.abc import Callable


class Hold:
    """One use of an engine. Ends once, on any thread."""

    def __init__(self, end: Callable[[], None]):
        self._ends = [end]

    def end(self) -> None:
        try:
            end = self._ends.pop()  # of several threads one gets it
        except IndexError:
            return
        end()


class Users:
    """Belongs to an engine's handle, whose lock is held whenever one of its methods is called."""

    def __init__(self) -> None:
        self._names: Counter[str] = Counter()
        self.is_drained = False  # it takes no more of them
        self.used = time.monotonic()  # when it was last asked for something, or let go of

    def __bool__(self) -> bool:
        return bool(self._names)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self._names))

    def add(self, name: str) -> None:
        self._names[name] += 1
        self.used = time.monotonic()

    def remove(self, name: str) -> None:
        self._names[name] -= 1
        if not self._names[name]:
            del self._names[name]
        self.used = time.monotonic()
