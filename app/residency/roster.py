"""Decides who may load, who waits, and who leaves for another. Knows bytes and times, no engine, no thread, no clock.

One waits at the head, a person's wish before a program's, then in the order they came. For the head idle models leave,
those first that nobody has used for the longest, and only on whose devices it is short; a busy one is never ended, it
only takes no more requests. Who comes behind may go in beside it where that does not make the head wait longer.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from app.residency.pace import Pace
from app.residency.room import Bytes, fits, gigabytes, less, more, smaller, total
from app.residency.wish import Share, Unplanned, Wish

UNWANTED = "Nobody waited for it any more."
MAX_NAMED = 3  # in a sentence


class Stage(Enum):
    WAITING = auto()
    LOADING = auto()
    READY = auto()
    LEAVING = auto()  # its memory is not back yet


@dataclass(slots=True, eq=False)
class Resident:
    """One load of a model, from the wish to the end of its process. Times are seconds of the roster's clock."""

    name: str
    wish: Wish
    came: float
    is_person: bool = False  # who waits is a person, not a program
    is_pinned: bool = False
    stage: Stage = Stage.WAITING
    cost: Bytes = field(default_factory=dict)  # what is kept free for it, once it is in
    is_busy: bool = False  # somebody uses it, or waits for its load
    was_busy: bool = False  # at some time
    used: float = 0.0  # when it was last in use
    keeps: float = math.inf  # seconds that it stays loaded without
    entered: float = 0.0
    ready: float = 0.0
    is_drained: bool = False  # it takes no more requests
    waits: str = ""  # why, in a sentence
    refusal: str = ""  # it does not get in: a sentence

    @property
    def rests_since(self) -> float:
        """One that has just been loaded has its time, too."""
        return max(self.used, self.ready)

    @property
    def load_seconds(self) -> float:
        return max(0.0, self.ready - self.entered)


@dataclass(frozen=True, slots=True)
class Moves:
    """What has been decided. dismissed: idle ones that leave. lacking: a plan without which no more can be decided."""

    entered: list[Resident] = field(default_factory=list)
    refused: list[Resident] = field(default_factory=list)
    dismissed: list[Resident] = field(default_factory=list)
    lacking: Unplanned | None = None


class Roster:
    """Whoever owns it keeps `is_busy`, `was_busy`, `used`, `cost` and `stage` of the residents true."""

    def __init__(self, pace: Pace | None = None):
        self.pace = pace or Pace()
        self.residents: list[Resident] = []

    def __iter__(self) -> Iterator[Resident]:
        return iter(self.residents)

    def add(self, resident: Resident) -> None:
        self.residents.append(resident)

    def remove(self, resident: Resident) -> None:
        if resident in self.residents:
            self.residents.remove(resident)

    @property
    def inside(self) -> list[Resident]:
        """Whose memory is taken, or promised."""
        return [each for each in self.residents if each.stage is not Stage.WAITING]

    @property
    def queue(self) -> list[Resident]:
        waiting = [each for each in self.residents if each.stage is Stage.WAITING]
        return sorted(waiting, key=lambda each: (not each.is_person, each.came))

    def never(self, wish: Wish, limits: Bytes) -> str | None:
        """Why a program's wish would wait in vain, in a sentence; None where it would not."""
        short = wish.lacking(self.best(limits))
        if short is None:
            return None
        (device, needed), pinned = short, [each for each in self.inside if each.is_pinned]
        sentence = f"It needs {gigabytes(needed)} of {device}, and models may have {gigabytes(limits.get(device, 0))}"
        if not pinned:
            return f"{sentence}."
        kept = gigabytes(sum(each.cost.get(device, 0) for each in pinned))
        return f"{sentence}, of which pinned ones keep {kept}: {_named(pinned)}."

    def best(self, limits: Bytes) -> Bytes:
        """What one can have when all have left that may."""
        return less(limits, total(each.cost for each in self.inside if each.is_pinned))

    def left(self, limits: Bytes, beside: Resident) -> Bytes:
        """By what is kept for all others."""
        return less(limits, total(each.cost for each in self.inside if each is not beside))

    def share(self, each: Resident, room: Bytes, limits: Bytes) -> Share | None:
        """What it may have of this room. A person may have what does not fit: then all that can leave does."""
        best = self.best(limits)
        hopeless = each.wish.refusal(best) if each.is_person else self.never(each.wish, limits)
        return None if hopeless else each.wish.within(room, best)

    def look(self, limits: Bytes, now: float) -> Moves:
        """Once for every change, and again after each plan that is lacking. Who enters is LOADING from here on, who is
        dismissed is the owner's to end."""
        moves = Moves()
        try:
            self._decide(limits, now, moves)
        except Unplanned as lacking_plan:
            return replace(moves, lacking=lacking_plan)
        return moves

    def _decide(self, limits: Bytes, now: float, moves: Moves) -> None:
        self._let_in(limits, now, moves)
        for each in self.queue:
            if refusal := self._refusal(each, limits, now):
                each.refusal = refusal
                self.remove(each)
                moves.refused.append(each)
        self._let_in(limits, now, moves)
        if not self.queue:
            self._drain([], is_pressing=False)
            return
        head, *others = self.queue
        leavers = self._leavers(head, limits, now)
        self._drain(leavers or (), is_pressing=now - head.came >= self.pace.pressing)
        if leavers is not None:
            self._fill_behind(head, others, leavers, limits, now, moves)
        if leavers and not any(each.is_busy for each in leavers):
            moves.dismissed.extend(leavers)
        self._say_why(head, others, leavers or ())

    def idle(self, now: float) -> list[Resident]:
        """Those that nobody has used for as long as they stay without."""
        resting = [each for each in self.inside if _may_leave(each) and not each.is_busy]
        return [each for each in resting if now - each.rests_since >= each.keeps]

    def check_integrity(self, limits: Bytes) -> None:
        """While limits and costs stay as they are."""
        taken = total(each.cost for each in self.inside)
        assert fits(taken, limits), (taken, limits)
        names = [each.name for each in self.inside]
        assert len(names) == len(set(names)), names

    def _refusal(self, each: Resident, limits: Bytes, now: float) -> str | None:
        if each.is_person:
            return each.wish.refusal(self.best(limits))
        waited = now - each.came
        if each.was_busy and not each.is_busy and now - each.used > self.pace.unwanted:
            return UNWANTED
        if reason := self.never(each.wish, limits):
            return reason
        if waited > self.pace.wait:
            return f"{each.waits} It has waited for {waited:.0f} s.".lstrip()
        return None

    def _let_in(self, limits: Bytes, now: float, moves: Moves) -> None:
        """In their order, as many as there is room for."""
        for each in self.queue:
            if not self._try(each, limits, self._left(limits), now, moves):
                return

    def _try(self, each: Resident, limits: Bytes, room: Bytes, now: float, moves: Moves) -> bool:
        """Whether it is in, with a share of this room. An engine of its name that still ends has not given back its
        memory, nor its prompts to the disk."""
        if any(other.name == each.name for other in self.inside):
            return False
        share = self.share(each, room, limits)
        if share is None:
            return False
        each.cost = share.bytes
        each.stage, each.entered, each.used, each.waits = Stage.LOADING, now, now, ""
        moves.entered.append(each)
        return True

    def _left(self, limits: Bytes) -> Bytes:
        return less(limits, total(each.cost for each in self.inside))

    def _leavers(self, head: Resident, limits: Bytes, now: float) -> list[Resident] | None:
        """Who leaves for it beside those that do so already; None: nobody can yet."""
        left = less(limits, total(each.cost for each in self.inside if each.stage is not Stage.LEAVING))
        if self.share(head, left, limits):
            return []
        chosen: list[Resident] = []
        for each in sorted(filter(_may_leave, self.inside), key=_worth):
            if not self._keeps_place(each, head, now):
                chosen.append(each)
                if self.share(head, _without(chosen, left), limits):
                    return self._needed(chosen, head, left, limits)
        return None

    def _needed(self, chosen: Sequence[Resident], head: Resident, left: Bytes, limits: Bytes) -> list[Resident]:
        """Of those chosen one after the other, the ones without which there would not be enough."""
        kept = list(chosen)
        for each in reversed(chosen):
            others = [other for other in kept if other is not each]
            if self.share(head, _without(others, left), limits):
                kept = others
        return kept

    def _keeps_place(self, each: Resident, head: Resident, now: float) -> bool:
        if each.is_drained:  # its time is over: else requests that come one after the other would keep it for ever
            return False
        if each.is_busy:
            return now - each.ready < self.pace.working(each.load_seconds)
        return not head.is_person and now - each.rests_since < self.pace.resting(each.load_seconds)

    def _drain(self, leavers: Sequence[Resident], *, is_pressing: bool) -> None:
        for each in self.inside:
            each.is_drained = each in leavers and (each.is_busy or is_pressing)

    def _fill_behind(
        self,
        head: Resident,
        others: Sequence[Resident],
        leavers: Sequence[Resident],
        limits: Bytes,
        now: float,
        moves: Moves,
    ) -> None:
        """Those who fit beside the head when it is in, and now as well."""
        gone = [each for each in self.inside if each.stage is Stage.LEAVING or each in leavers]
        for each in others:
            left = less(limits, total(other.cost for other in self.inside if other not in gone))
            share = self.share(head, left, limits)
            if share is None:  # those who went in have taken its place on another device than was reckoned
                return
            self._try(each, limits, smaller(less(left, share.bytes), self._left(limits)), now, moves)

    def _say_why(self, head: Resident, others: Iterable[Resident], leavers: Sequence[Resident]) -> None:
        inside = self.inside
        going = [each for each in inside if each.stage is Stage.LEAVING or each in leavers]
        busy = [each for each in going or inside if each.is_busy and not each.is_pinned]
        coming = [each for each in inside if each.stage is Stage.LOADING]
        if busy:
            head.waits = f"Waits for memory until {_named(busy)} {_are(busy)} done."
        elif going:
            head.waits = f"Waits for the memory of {_named(going)}."
        elif coming:
            head.waits = f"Waits for memory while {_named(coming)} {_are(coming)} being loaded."
        else:
            head.waits = "Waits for memory."
        for each in others:
            if each.stage is Stage.WAITING:
                each.waits = f"Waits behind “{head.name}”."


def _may_leave(each: Resident) -> bool:
    return each.stage is Stage.READY and not each.is_pinned


def _worth(each: Resident) -> tuple[bool, float]:
    """Least first: the idle ones by their last use, the busy ones by how long they are in."""
    return each.is_busy, each.ready if each.is_busy else each.rests_since


def _without(leavers: Iterable[Resident], left: Bytes) -> Bytes:
    return more(left, (each.cost for each in leavers))


def _are(residents: Sequence[Resident]) -> str:
    return "is" if len(residents) == 1 else "are"


def _named(residents: Sequence[Resident]) -> str:
    names = [f"“{each.name}”" for each in residents[:MAX_NAMED]]
    num_more = len(residents) - len(names)
    return f"{', '.join(names)} and {num_more} more" if num_more else " and ".join(names)
