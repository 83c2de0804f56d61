"""A plan: where each part of a model goes, what that takes, how fast it is, and what else could be chosen."""

from dataclasses import dataclass, field

from app.planner.memory import Spread, Take
from app.planner.sizing import Sizing
from app.planner.speed import Speed
from app.planner.verdict import Verdict
from backends.kv_layout import Layout
from backends.protocol import EngineOptions, Placement


@dataclass(frozen=True, slots=True)
class Room:
    """take: what the model takes of a device. usable: bytes that it may have there, others' and a margin left out."""

    take: Take
    usable: int
    total: int

    @property
    def is_enough(self) -> bool:
        return self.take.total <= self.usable


@dataclass(frozen=True, slots=True)
class Alternative:
    """A change and its price. name: as words for a button. change: of the options. gain, price: what is had for what.

    tokens: of context that fit beside, where that is the gain.
    """

    name: str
    change: EngineOptions
    gain: str
    price: str
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """options: with nothing of the memory left open. rooms: RAM first, then each GPU."""

    options: EngineOptions
    num_layers: int
    spread: Spread
    sizing: Sizing
    rooms: tuple[Room, ...]
    speed: Speed
    verdict: Verdict
    alternatives: tuple[Alternative, ...] = ()
    is_corrected: bool = False  # by what was measured at an earlier load
    draft_spread: Spread = field(default_factory=Spread)
    rows: int | None = None
    from_disk: int = 0  # bytes of weights that do not fit into RAM

    @property
    def layout(self) -> Layout:
        return self.sizing.layout

    @property
    def total(self) -> int:
        return sum(room.take.total for room in self.rooms)

    @property
    def placement(self) -> Placement:
        """For the engine that loads it."""
        spread = self.spread
        split = spread.counts if len(spread.counts) > 1 and spread.gpu_layers else ()  # else llama.cpp has its own
        return Placement(
            spread.gpu_layers,
            split,
            spread.keeps,
            spread.kept,
            spread.kept_layers(self.num_layers).start,
            self.draft_spread.gpu_layers,
            self.rows,
        )
