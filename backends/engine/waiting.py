"""Requests on their way to the engine: which is read next, and which one is called off before it was.

Knows neither models nor pipes.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from backends.engine.runner import Lane
from backends.protocol import Generate


@dataclass(eq=False, slots=True)
class Arrival:
    """A request, and when it came in seconds of time.perf_counter()."""

    request: Generate
    number: int
    lane: Lane
    time: float = field(default_factory=time.perf_counter)

    @property
    def rank(self) -> tuple[int, int]:
        """The window's first, then by arrival."""
        return self.request.priority, self.number


class Waiting:
    """The receiver adds and removes, and one encoder a lane takes. Under a lock: to call a request off, one must
    reach into the middle of what waits, and know what an encoder has in hand."""

    def __init__(self, lane_of: Callable[[Generate], Lane]):
        self._lane_of = lane_of
        self._waiting: dict[int, Arrival] = {}
        self._in_hand: set[int] = set()
        self._numbers = count()
        self._is_closed = False
        self._changed = threading.Condition()

    def add(self, request: Generate) -> None:
        with self._changed:
            self._waiting[request.uid] = Arrival(request, next(self._numbers), self._lane_of(request))
            self._changed.notify_all()

    def take(self, lane: Lane) -> Arrival | None:
        """The next of this lane, when there is one. It is in hand until `finish`. None: there will be none."""
        with self._changed:
            while not (mine := [arrival for arrival in self._waiting.values() if arrival.lane is lane]):
                if self._is_closed:
                    return None
                self._changed.wait()
            arrival = min(mine, key=lambda arrival: arrival.rank)
            del self._waiting[arrival.request.uid]
            self._in_hand.add(arrival.request.uid)
            return arrival

    def call_off(self, uid: int, tell: Callable[[], None]) -> bool:
        """Let it go, and `tell` so; False when it is not here: the engine has it, or had it."""
        with self._changed:
            if uid not in self._in_hand and uid not in self._waiting:
                return False
            self._in_hand.discard(uid)
            self._waiting.pop(uid, None)
            tell()
            return True

    def finish(self, uid: int, hand_on: Callable[[], None]) -> bool:
        """What was made of it goes on, unless it was called off meanwhile; False then. In one with the look, so that
        no abort overtakes what it is for."""
        with self._changed:
            if uid not in self._in_hand:
                return False
            self._in_hand.remove(uid)
            hand_on()
            return True

    def close(self) -> None:
        """Whoever takes gets None from now on."""
        with self._changed:
            self._waiting.clear()
            self._is_closed = True
            self._changed.notify_all()

    def sort_again(self, lane: Lane) -> None:
        """What has been learnt may have made some of this lane quicker."""
        with self._changed:
            for arrival in self._waiting.values():
                if arrival.lane is lane:
                    arrival.lane = self._lane_of(arrival.request)
            self._changed.notify_all()
