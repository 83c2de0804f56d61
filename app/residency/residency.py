"""Who is loaded and who leaves, by memory: the window, the port and commands load and unload models here.

Each load has a Gate, at which its engine's own thread waits until the Roster lets it in. Who leaves for another is idle
at that moment, ends in order (its prompts are put away first), and counts until its process is gone. Then the devices
are asked, and the load is planned for what they really have. Nobody plans under the lock: all others would wait for it.
"""

import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from app.errors import Cancelled, EngineError, NoRoomError
from app.inference.engine_handle import EngineHandle
from app.inference.snapshot import EngineSnapshot, EngineState
from app.inference.supervisor import Supervisor
from app.planner.machine import RAM, Machine
from app.residency.pace import Pace
from app.residency.room import Bytes, larger, total
from app.residency.roster import UNWANTED, Resident, Roster, Stage
from app.residency.wish import Share, Wish, planned
from backends.protocol import DeviceMemory, EngineOptions

LOOK_SECONDS = 0.1  # between two looks of who waits at the head: whether others are idle changes without a word
WAIT_SECONDS = 1.0  # of those behind it
IDLE_LOOK = 2.0
BACK_SECONDS = 3.0  # that a driver may take to have the memory of a process that has ended
SAID_SECONDS = 10.0  # before a load, for which a word of how long it shall stay counts
FRESH_SECONDS = 2.0  # for so long what the devices have said is taken for what they would say
CALM_SECONDS = 3.0  # after a load or an end, until what engines tell of the GPUs is of afterwards
MAX_WAITING = 16  # loads; each has a thread

T = TypeVar("T")


class Costs(Protocol):
    """What models take. May read files; raises nothing."""

    def confirm(self, model: Path, options: EngineOptions) -> None:
        """Has the plan for it corrected before it counts, where that is worth its time."""

    def wish(self, model: Path, options: EngineOptions) -> Wish:
        """What it would take of a room."""

    def prepared(self, model: Path, options: EngineOptions, share: Share) -> tuple[EngineOptions, tuple[str, ...]]:
        """The options of a load with this share, and sentences for its event."""

    def taken(self, snapshot: EngineSnapshot, share: Share | None) -> Bytes:
        """By a loaded one now, as far as that is known."""


class Memory(Protocol):
    """What there is for models."""

    @property
    def is_known(self) -> bool:
        """Whether the devices have been asked yet."""

    def measure(self, max_age: float = 0.0) -> Machine:
        """Asks the devices, which takes a while, unless that was done so many seconds ago."""

    def hear(self, devices: Iterable[DeviceMemory], taken: Bytes) -> None:
        """What somebody has seen of the GPUs while models had so much of them."""

    def limits(self, pids: Sequence[int]) -> Bytes:
        """What models may have in all. pids: their processes."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model that is loaded, loads or waits for that. taken: bytes by device, as measured; cost: what it may take, and
    what is kept free for it. users: names of programs. leaves: seconds until the time-out; None: none."""

    snapshot: EngineSnapshot
    taken: Bytes
    cost: Bytes
    users: tuple[str, ...] = ()
    is_busy: bool = False
    is_pinned: bool = False
    leaves: float | None = None


class Residency:
    """Thread-safe. Only the gates wait."""

    def __init__(
        self,
        supervisor: Supervisor,
        costs: Costs,
        memory: Memory,
        idle_seconds: Callable[[], float | None] = lambda: None,
        pace: Pace | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        """idle_seconds: after which a model that nobody uses is unloaded; None: it stays."""
        self._supervisor = supervisor
        self._costs = costs
        self._memory = memory
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._roster = Roster(pace)
        # a condition, not a thread of its own: engines' threads wait here, and each decides for all when it looks
        self._changed = threading.Condition()
        self._handles: dict[Resident, EngineHandle] = {}
        self._shares: dict[Resident, Share] = {}
        self._pinned: set[str] = set()
        # seconds of those whose programs have said how long they stay, and when that was
        self._kept: dict[str, tuple[float, float]] = {}
        self._looks_for_idle = False
        self._stirred = -math.inf  # when the last one came in or was gone

    def load(
        self,
        name: str,
        model: Path,
        options: EngineOptions,
        backend: str = "llama",
        *,
        is_person: bool = True,
        is_pinned: bool = False,
    ) -> EngineHandle:
        """Load it as soon as there is room, and return at once. is_person: who waits; a program is refused what does
        not fit, and what it has to wait for too long.

        Raises NoRoomError for a program, EngineError as `Supervisor.load`.
        """
        gate = _Gate(self, self._costs, self._memory, is_person)
        with self._changed:
            if not is_person and sum(each.stage is Stage.WAITING for each in self._roster) >= MAX_WAITING:
                raise NoRoomError(f"{MAX_WAITING} models wait to be loaded. Try again in a moment.")
            if is_pinned:
                self._pinned.add(name)
            is_first, self._looks_for_idle = not self._looks_for_idle, True
        if is_first:
            self._supervisor.every(IDLE_LOOK, self.unload_idle)
        return self._supervisor.load(name, model, options, backend, gate)

    def favour(self, handle: EngineHandle) -> None:
        """A person waits for it as well, if it is still to come."""
        if isinstance(handle.gate, _Gate):
            with self._changed:
                handle.gate.favour()
                self._changed.notify_all()

    def check(self, name: str, model: Path, options: EngineOptions) -> None:
        """Raises NoRoomError where a program's request for this model would wait in vain, as far as that is known."""
        if not self._memory.is_known:  # its gate asks the devices, which takes longer than a request may
            return
        if reason := self._decide(partial(self._roster.never, self._costs.wish(model, options))):
            raise NoRoomError(f"There is no room for “{name}”. {reason}")

    def unload(self, name: str) -> None:
        """At once, whoever uses it; it is pinned no longer."""
        with self._changed:
            self._pinned.discard(name)
            self._kept.pop(name, None)
        self._supervisor.unload(name)

    def release(self, name: str) -> bool:
        """Unload it unless it is pinned, or somebody uses it. Whether it is unloaded."""
        handle = next((each for each in self._supervisor.engines() if each.name == name), None)
        if handle is None or name in self._pinned or handle.is_busy:
            return False
        self.unload(name)
        return True

    def pin(self, name: str, is_pinned: bool = True) -> None:
        """A pinned model stays loaded until it is unloaded by its name. Raises UnknownModelError."""
        if is_pinned:
            self._supervisor.get(name)
        with self._changed:
            (self._pinned.add if is_pinned else self._pinned.discard)(name)
            self._refresh()
            self._changed.notify_all()

    def keep(self, name: str, seconds: float) -> None:
        """After so long without use it is unloaded, instead of as all are; infinite: never because of that. Said with a
        request, before it comes."""
        with self._changed:
            self._kept[name] = seconds, self._clock()
            for resident in self._handles:
                if resident.name == name:
                    resident.used = self._clock()

    def loaded(self) -> tuple[Loaded, ...]:
        with self._changed:
            self._refresh()
            known = {handle: resident for resident, handle in self._handles.items()}
            engines = self._supervisor.engines()
            return tuple(self._view(handle.snapshot, handle, known.get(handle)) for handle in engines)

    def view(self, snapshot: EngineSnapshot) -> Loaded:
        """What is known beside this word of an engine."""
        with self._changed:
            known = next((each for each, handle in self._handles.items() if handle.name == snapshot.name), None)
            handle = self._handles[known] if known else None
            return self._view(snapshot, handle, known)

    def room(self) -> tuple[Bytes, Bytes]:
        """What models may have in all, and what is kept for those that are loaded."""
        with self._changed:
            self._refresh()
            return self._limits(), total(each.cost for each in self._roster.inside)

    def unload_idle(self) -> None:
        """Those that nobody has used for so long."""
        with self._changed:
            self._refresh()
            if self._is_calm() and self._clock() - self._stirred > CALM_SECONDS:
                self._hear(self._seen())
            for each in self._roster.idle(self._clock()):
                self._dismiss(each)

    def _seen(self) -> tuple[DeviceMemory, ...]:
        """The GPUs, as an engine sees them."""
        found = (handle.snapshot.stats for handle in self._handles.values())
        return next((stats.devices for stats in found if stats and stats.devices), ())

    def enter(
        self, handle: EngineHandle, options: EngineOptions, resident: Resident, cancelled: threading.Event
    ) -> tuple[EngineOptions, tuple[str, ...]]:
        """For gates. Returns and raises as they do."""
        with self._changed:
            resident.came = self._clock()
            if resident.came - self._kept.get(resident.name, (0.0, 0.0))[1] > SAID_SECONDS:
                self._kept.pop(resident.name, None)  # it was said of an earlier load
            self._handles[resident] = handle
            self._roster.add(resident)
        while True:
            self._wait(handle, resident, cancelled)
            if share := self._settle(resident, cancelled):
                return self._costs.prepared(handle.model, options, share)

    def _wait(self, handle: EngineHandle, resident: Resident, cancelled: threading.Event) -> None:
        while True:
            is_in, why = self._decide(partial(self._wait_once, handle, resident, cancelled))
            handle.note_wait("" if is_in else why)
            if is_in:
                return

    def _wait_once(
        self, handle: EngineHandle, resident: Resident, cancelled: threading.Event, limits: Bytes
    ) -> tuple[bool, str]:
        """Whether it is in, or why it still waits."""
        if cancelled.is_set():
            raise Cancelled(f"The load of “{handle.name}” was cancelled.")
        self._look(limits)
        if resident.refusal is UNWANTED:
            raise NoRoomError("")  # without a word: who comes now has it loaded anew
        if resident.refusal and resident.is_person:
            raise EngineError(resident.refusal)
        if resident.refusal:
            raise NoRoomError(f"There is no room for “{handle.name}”. {resident.refusal}")
        is_in, why = resident.stage is not Stage.WAITING, resident.waits
        if not is_in and why == handle.snapshot.waits:  # what is new is told first, without the lock
            is_head = self._roster.queue[0] is resident
            self._changed.wait(LOOK_SECONDS if is_head else WAIT_SECONDS)
        return is_in, why

    def _settle(self, resident: Resident, cancelled: threading.Event) -> Share | None:
        """Its share of what the devices have, now that all have left that had to. None: other programs have taken it
        meanwhile, and it waits once more."""
        until, max_age = self._clock() + BACK_SECONDS, FRESH_SECONDS
        while not self._is_settled(resident, max_age, lambda: self._clock() >= until or cancelled.is_set()):
            cancelled.wait(LOOK_SECONDS)
            max_age = 0.0
        return self._decide(partial(self._share, resident))

    def _is_settled(self, resident: Resident, max_age: float, is_over: Callable[[], bool]) -> bool:
        machine = self._memory.measure(max_age)
        with self._changed:
            self._refresh()
            if not self._is_calm(beside=resident):
                return True  # one that loads as well has its part of what was measured
            if not (_is_back(resident.cost, machine) or is_over()):
                return False
            if self._clock() - self._stirred >= max_age:  # else it was asked while somebody left
                self._hear([DeviceMemory(gpu.name, gpu.free, gpu.total) for gpu in machine.gpus])
            return True

    def _is_calm(self, beside: Resident | None = None) -> bool:
        """Whether nobody is just taking memory or giving it back, and each has told what it has."""
        others = [each for each in self._roster.inside if each is not beside]
        return all(each.stage is Stage.READY and self._handles[each].snapshot.stats for each in others)

    def _hear(self, devices: Sequence[DeviceMemory]) -> None:
        self._memory.hear(devices, total(self._taken(resident) for resident in self._handles))

    def _taken(self, resident: Resident) -> Bytes:
        return self._costs.taken(self._handles[resident].snapshot, self._shares.get(resident))

    def _share(self, resident: Resident, limits: Bytes) -> Share | None:
        """The lock is held."""
        share = self._roster.share(resident, self._roster.left(limits, resident), limits)
        if share is None:
            resident.stage, resident.cost = Stage.WAITING, {}
        else:
            resident.cost, self._shares[resident] = share.bytes, share
        return share

    def note_ready(self) -> None:
        with self._changed:
            self._stirred = self._clock()
            self._refresh()
            self._changed.notify_all()

    def leave(self, resident: Resident) -> None:
        with self._changed:
            self._stirred = self._clock()
            self._roster.remove(resident)
            self._handles.pop(resident, None)
            self._shares.pop(resident, None)
            self._changed.notify_all()
        self._decide(self._look)  # nobody may wait now for whom another makes room

    def _decide(self, decide: Callable[[Bytes], T]) -> T:
        """Under the lock, by what models may have at this moment; without it while plans are made that this takes."""
        with self._changed:
            limits = self._limits()  # once: with other limits another plan might be lacking, and so on

        def ask() -> T:
            with self._changed:
                self._refresh()
                return decide(limits)

        return planned(ask)

    def _look(self, limits: Bytes) -> None:
        """Decide for all. The lock is held, and taken before that of any engine."""
        moves = self._roster.look(limits, self._clock())
        for resident, handle in self._handles.items():
            handle.drain(resident.is_drained)
        for resident in moves.dismissed:
            self._dismiss(resident)
        if moves.entered or moves.refused:
            self._changed.notify_all()
        if moves.lacking:
            raise moves.lacking

    def _dismiss(self, resident: Resident) -> None:
        if self._handles[resident].retire():  # else somebody was faster
            resident.stage = Stage.LEAVING

    def _refresh(self) -> None:
        """What the roster must know of the engines. The lock is held."""
        now, idle = self._clock(), self._idle_seconds()
        idle = math.inf if idle is None else idle
        for resident, handle in self._handles.items():
            snapshot = handle.snapshot
            resident.is_pinned = handle.name in self._pinned
            resident.keeps, _ = self._kept.get(handle.name, (idle, now))
            resident.is_busy = handle.is_busy
            resident.was_busy = resident.was_busy or resident.is_busy
            resident.used = now if resident.is_busy else max(resident.used, handle.used)
            if resident.stage is Stage.WAITING:
                continue
            if snapshot.state is EngineState.READY:
                if resident.stage is Stage.LOADING:
                    resident.ready = resident.ready or now
                    resident.cost = _where_it_lies(resident.cost, snapshot)
                resident.stage = Stage.READY
                resident.cost = larger(resident.cost, self._taken(resident))
            else:
                is_loading = snapshot.state is EngineState.LOADING
                resident.stage = Stage.LOADING if is_loading else Stage.LEAVING

    def _limits(self) -> Bytes:
        pids = [handle.pid for handle in self._handles.values()]
        return self._memory.limits([pid for pid in pids if pid is not None])

    def _view(self, snapshot: EngineSnapshot, handle: EngineHandle | None, resident: Resident | None) -> Loaded:
        is_pinned, leaves = snapshot.name in self._pinned, None
        if resident and resident.stage is Stage.READY and resident.keeps < math.inf and not is_pinned:
            leaves = max(0.0, resident.used + resident.keeps - self._clock())
        return Loaded(
            snapshot,
            self._costs.taken(snapshot, self._shares.get(resident) if resident else None),
            resident.cost if resident else {},
            handle.users if handle else (),
            handle is not None and handle.is_busy,
            is_pinned,
            leaves,
        )


class _Gate:
    """Of one load, and of those that follow it under its name with its options."""

    def __init__(self, residency: Residency, costs: Costs, memory: Memory, is_person: bool):
        self._residency = residency
        self._costs = costs
        self._memory = memory
        self._is_person = is_person
        self._residents: dict[EngineHandle, Resident] = {}

    def enter(
        self, handle: EngineHandle, options: EngineOptions, cancelled: threading.Event
    ) -> tuple[EngineOptions, tuple[str, ...]]:
        self._memory.measure(FRESH_SECONDS)
        self._costs.confirm(handle.model, options)
        resident = Resident(handle.name, self._costs.wish(handle.model, options), 0.0, self._is_person)
        self._residents[handle] = resident
        return self._residency.enter(handle, options, resident, cancelled)

    def favour(self) -> None:
        self._is_person = True
        for resident in list(self._residents.values()):
            resident.is_person = True

    def ready(self, handle: EngineHandle) -> None:  # noqa: ARG002
        self._residency.note_ready()

    def leave(self, handle: EngineHandle) -> None:
        if resident := self._residents.pop(handle, None):
            self._residency.leave(resident)


def _is_back(wanted: Bytes, machine: Machine) -> bool:
    """Whether every GPU has it now. What is missing of the RAM is not of a process that has ended."""
    return all(gpu.usable >= wanted.get(gpu.name, 0) for gpu in machine.gpus)


def _where_it_lies(cost: Bytes, snapshot: EngineSnapshot) -> Bytes:
    """One that a GPU has refused lies in RAM, all of it."""
    is_on_gpu = snapshot.ready is None or snapshot.ready.gpu_layers > 0
    return cost if is_on_gpu else {RAM: cost[RAM]} if RAM in cost else {}
