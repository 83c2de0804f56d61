"""What a model would take of so much memory: by its plan for that, or as a plain figure. Asks no device.

Whoever asks may hold a lock that others wait for, and a plan takes a while: the one that is lacking is raised, to be
made without the lock.
"""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, TypeVar

from app.planner.machine import Machine
from app.planner.plan import Plan
from app.residency.room import RAM, Bytes, fits, lacking, smaller
from backends.protocol import EngineOptions, KVLayout

WORTH = 0.9  # of the speed that it would have with nobody beside it: for less than the rest of it nobody is unloaded
CONTEXT = 4096  # tokens of a conversation, for which there must be memory at least
NEARLY = 0.03  # of a room: so much more is planned for by the same plan, since what is free changes all the time
MAX_PLANS = 64

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Share:
    """bytes: by device, at the limit of the context. plan: how they lie there; None where there is no plan."""

    bytes: Bytes
    plan: Plan | None = None


class Unplanned(Exception):
    """A wish was asked for what only a plan can say. With `make` it is made, which takes a while; then ask again."""

    def __init__(self, make: Callable[[], None]):
        super().__init__()
        self.make = make


class Wish(Protocol):
    """Everything may raise Unplanned."""

    def within(self, room: Bytes, best: Bytes) -> Share | None:
        """What it takes of this room. None: there is too little, or it would be worse off than with `best`, which it
        can have once all others have left that may."""

    def lacking(self, best: Bytes) -> tuple[str, int] | None:
        """The device on which even then there is too little, and how many bytes it needs there at least."""

    def refusal(self, best: Bytes) -> str | None:
        """A sentence where not even a person's order should have it loaded."""


@dataclass(frozen=True, slots=True)
class Fixed:
    """Of a model that nobody can plan for, or that takes the same everywhere."""

    bytes: Bytes

    def within(self, room: Bytes, best: Bytes) -> Share | None:
        wanted = smaller(self.bytes, best)
        return Share(wanted) if fits(wanted, room) else None

    def lacking(self, best: Bytes) -> tuple[str, int] | None:
        device = lacking(self.bytes, best)
        return (device, self.bytes[device]) if device else None

    def refusal(self, best: Bytes) -> str | None:  # noqa: ARG002
        return None


class Planned:
    """Of a model whose header is known. Where its whole context has no place, it takes all there is, and its cache
    grows as far as that goes; for a first conversation there must be enough."""

    def __init__(
        self,
        plan: Callable[[Machine, EngineOptions], Plan],
        machine: Machine,
        options: EngineOptions,
        refuse: Callable[[Plan], str | None],
        beside: int = 0,
    ):
        """machine: its devices, whose free memory does not matter. beside: bytes of RAM that no plan counts."""
        self._plan, self._machine, self._options = plan, machine, options
        self._refuse, self._beside = refuse, beside
        self._known: deque[tuple[Bytes, tuple[Plan, Plan]]] = deque(maxlen=MAX_PLANS)
        self._planning = threading.Lock()  # all who wait lack the same plan at once, which is made once

    def within(self, room: Bytes, best: Bytes) -> Share | None:
        whole, least = self._plans_for(best)
        if whole.verdict.runs:
            found, _ = self._plans_for(room)
            is_well = found.verdict.runs and found.speed.tokens >= WORTH * whole.speed.tokens
            return Share(self._bytes(found), found) if is_well else None
        if least.verdict.runs:
            share = Share({device: max(0, best[device]) for device in self._bytes(least) if device in best}, least)
        else:
            share = Share(smaller(self._bytes(whole), best), whole)
        return share if fits(share.bytes, room) else None

    def lacking(self, best: Bytes) -> tuple[str, int] | None:
        _, least = self._plans_for(best)
        if least.verdict.runs or self._options.from_disk:
            return None
        needed = self._bytes(least)
        device = lacking(needed, best) or RAM
        return device, needed[device]

    def refusal(self, best: Bytes) -> str | None:
        whole, least = self._plans_for(best)
        return None if least.verdict.runs else self._refuse(whole)

    def _plans_for(self, room: Bytes) -> tuple[Plan, Plan]:
        """With all that it may grow to, and with what it needs at least."""
        known = self._found(room)
        if known is None:
            raise Unplanned(partial(self._plan_for, dict(room)))
        return known

    def _found(self, room: Bytes) -> tuple[Plan, Plan] | None:
        return next((plans for other, plans in tuple(self._known) if self._are_for(plans, other, room)), None)

    def _plan_for(self, room: Bytes) -> None:
        with self._planning:
            if self._found(room) is None:
                self._known.appendleft((room, self._made(room)))

    def _are_for(self, plans: tuple[Plan, Plan], other: Bytes, room: Bytes) -> bool:
        """Whether what was planned for another room would be planned for this one, or nearly."""
        if other == room:
            return True
        if other.keys() != room.keys():
            return False
        if not all(plan.verdict.runs for plan in plans):
            return all((1 - NEARLY) * size <= room[device] <= size for device, size in other.items())
        is_larger = any(room[device] > (1 + NEARLY) * size for device, size in other.items())
        return not is_larger and fits(self._bytes(plans[0]), room)

    def _made(self, room: Bytes) -> tuple[Plan, Plan]:
        usable = {**room, RAM: room.get(RAM, 0) - self._beside}
        machine = self._machine.offering(usable)
        whole = self._plan(machine, self._options)
        if whole.verdict.runs or not self._options.kv_grow:
            return whole, whole
        return whole, self._plan(machine, _least(self._options))

    def _bytes(self, plan: Plan) -> dict[str, int]:
        """A GPU without memory of its own takes the RAM's."""
        taken = {room.take.device: room.take.total for room in plan.rooms if room.take.total}
        shared = sum(taken.get(gpu.name, 0) for gpu in self._machine.gpus if gpu.is_shared)
        return {**taken, RAM: taken.get(RAM, 0) + shared + self._beside}


def _least(options: EngineOptions) -> EngineOptions:
    """One conversation, and nothing that is kept for later."""
    context = min(options.context or CONTEXT, CONTEXT)
    return replace(options, context=context, parallel=1, kv_layout=KVLayout.UNIFIED, prompt_cache_ram=0)


def planned(ask: Callable[[], T]) -> T:
    """What a question to wishes says, once there are the plans for it."""
    while True:
        try:
            return ask()
        except Unplanned as lacking_plan:
            lacking_plan.make()
