"""What engines have said to one exchange and nobody has taken yet. Belongs to the server's loop."""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from app.server.core.bell import Bell
from app.server.core.tally import Tally
from app.server.core.valve import Valve, cost
from backends.embedding import Embedded, Ranked
from backends.protocol import Failed, Finish, Output, Progress, Reading

MAX_TAKEN = 16 << 10  # bytes at one go: a reader who does not read is noticed after each

Event = Output | Progress | Reading | Embedded | Ranked | Failed
Said = tuple[int, Output]  # and the index of its choice


@dataclass(slots=True)
class Lot:
    """Outputs that follow one another, to be taken together. ends: those of them that end their answers."""

    said: list[Said] = field(default_factory=list)
    ends: list[Said] = field(default_factory=list)
    num_bytes: int = 0


class Inbox:
    """Filled by a mailbox. What is put in is counted by the tally, and shuts the valve if it is much."""

    def __init__(self, tally: Tally, valve: Valve):
        self._tally = tally
        self._valve = valve
        self._things: deque[Lot | tuple[int, Event]] = deque()
        self._open: Lot | None = None  # the last of the things, as long as something may be added to it
        self._bell: Bell | None = None

    def __bool__(self) -> bool:
        return bool(self._things)

    def put(self, index: int, event: Event) -> None:
        if not isinstance(event, Output):
            if isinstance(event, Embedded | Ranked):
                self._tally.take_vectors(event)
            self._put_alone(index, event)
            return
        self._tally.take(event)
        num_bytes = cost(event)
        self._valve.add(num_bytes)
        if event.finish is Finish.ABORT:
            self._put_alone(index, event)
            return
        lot = self._open
        if lot is None or lot.num_bytes >= MAX_TAKEN:
            lot = self._open = Lot()
            self._things.append(lot)
        lot.said.append((index, event))
        lot.num_bytes += num_bytes
        if event.finish is not None:
            lot.ends.append((index, event))

    def ring(self) -> None:
        """Whoever waits goes on now. Outside of any task."""
        if self._bell:
            self._bell.ring()

    def wake(self) -> None:
        """Whoever waits goes on soon. Within any task."""
        if self._bell and not self._bell.done():
            self._bell.set_result(None)

    async def wait(self) -> None:
        """Until there is something. By one task at a time."""
        if not self._things:
            self._bell = Bell(loop=asyncio.get_running_loop())
            await self._bell

    def take(self) -> Lot | tuple[int, Event]:
        """The next thing, of which there must be one."""
        thing = self._things.popleft()
        if isinstance(thing, Lot):
            self._valve.take(thing.num_bytes)
            if thing is self._open:
                self._open = None
        elif isinstance(event := thing[1], Output):
            self._valve.take(cost(event))
        return thing

    def _put_alone(self, index: int, event: Event) -> None:
        self._open = None
        self._things.append((index, event))
