"""Requests on their way to the engine: which is read next, and which one is called off before it was.

Knows neither models nor pipes.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count

from backends.embedding import Question
from backends.engine.runner import Lane


@dataclass(eq=False, slots=True)
class Arrival:
    """A request, and when it came in seconds of time.perf_counter()."""

    request: Question
    number: int
    lane: Lane
    time: float = field(default_factory=time.perf_counter)

    @property
    def asker(self) -> "Asker | None":
        client = self.request.client
        return None if client is None else (client, self.request.priority, self.lane)


Asker = tuple[int, int, Lane]  # a client, with a priority and a lane: what is quick does not stand behind what is not


class Waiting:
    """The receiver adds and removes, and one encoder a lane takes: the window's first, then by arrival, and each
    client's one after the other: the next one joins the end when that one has been read.

    Under a lock: to call a request off, one must reach into the middle of what waits, and know what an encoder has in
    hand."""

    def __init__(self, lane_of: Callable[[Question], Lane]):
        self._lane_of = lane_of
        self._waiting: dict[int, Arrival] = {}
        self._in_hand: dict[int, Asker | None] = {}
        self._called_off: set[int] = set()  # of those in hand
        self._joined: dict[Asker, int] = {}  # when those of an asker who has had a turn may have come at the earliest
        self._numbers = count()
        self._is_closed = False
        self._changed = threading.Condition()

    def add(self, request: Question) -> None:
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
            arrival = min(mine, key=self._rank)
            del self._waiting[arrival.request.uid]
            self._in_hand[arrival.request.uid] = arrival.asker
            return arrival

    def call_off(self, uid: int, tell: Callable[[], None]) -> bool:
        """Let it go, and `tell` so; False when it is not here: the engine has it, or had it."""
        with self._changed:
            is_in_hand = uid in self._in_hand and uid not in self._called_off
            if not is_in_hand and uid not in self._waiting:
                return False
            if is_in_hand:
                self._called_off.add(uid)  # its turn lasts until `finish` all the same
            self._waiting.pop(uid, None)
            tell()
            return True

    def finish(self, uid: int, hand_on: Callable[[], None]) -> bool:
        """What was made of it goes on, unless it was called off meanwhile; False then. In one with the look, so that
        no abort overtakes what it is for."""
        with self._changed:
            self._end_turn(self._in_hand.pop(uid))
            if uid in self._called_off:
                self._called_off.remove(uid)
                return False
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

    def _rank(self, arrival: Arrival) -> tuple[int, int, int]:
        joined = self._joined.get(arrival.asker, 0) if arrival.asker else 0
        return arrival.request.priority, max(arrival.number, joined), arrival.number

    def _end_turn(self, asker: Asker | None) -> None:
        if asker is not None:
            self._joined[asker] = next(self._numbers)
        waiting = {arrival.asker for arrival in self._waiting.values()}
        self._joined = {each: number for each, number in self._joined.items() if each in waiting}
