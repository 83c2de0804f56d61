"""What a device's bar is made of, in its order, with words and colors. Knows no widget."""

from collections.abc import Callable
from dataclasses import dataclass

from app.planner.memory import Take
from app.planner.plan import Room


@dataclass(frozen=True, slots=True)
class Part:
    """color: of the palette, by name."""

    title: str
    color: str
    num_bytes: int


@dataclass(frozen=True, slots=True)
class DeviceView:
    """others: bytes of other programs, and of what the machine keeps for itself. usable: what the model may have."""

    name: str
    parts: tuple[Part, ...]
    others: int
    usable: int
    total: int

    @property
    def taken(self) -> int:
        return sum(part.num_bytes for part in self.parts)

    @property
    def is_enough(self) -> bool:
        return self.taken <= self.usable


KINDS: tuple[tuple[str, str, Callable[[Take], int]], ...] = (
    ("Weights", "accent", lambda take: take.weights),
    ("KV cache", "syntax_name", lambda take: take.cache + take.states),
    ("Compute", "syntax_number", lambda take: take.compute),
    ("Draft model", "syntax_keyword", lambda take: take.draft),
    ("Engine", "syntax_comment", lambda take: take.other),
)


def view_of(room: Room, free: int) -> DeviceView:
    """free: bytes of the device that nobody else uses."""
    return DeviceView(room.take.device, _parts(room.take), max(0, room.total - free), room.usable, room.total)


def _parts(take: Take) -> tuple[Part, ...]:
    return tuple(Part(title, color, num_bytes(take)) for title, color, num_bytes in KINDS if num_bytes(take))
