"""The table of the slots: whether each is free, idle or busy, and what it holds. Decides nothing."""

from collections.abc import Iterator
from itertools import pairwise

from backends.engine.sequence import Sequence
from backends.prompt_cache.state import common_prefix

Adapters = tuple[float, ...]  # the scale of each


class Slots:
    """A slot is one sequence id of the runner.

    Free: it holds nothing. Idle: it holds the tokens of an earlier answer. Busy: it is a sequence's, running or parked.
    A cell depends on the adapters that were set when it was made, so a slot serves sequences with the same alone.
    """

    def __init__(self, num_slots: int, adapters: Adapters = ()):
        """adapters: of what the free ones are thought to hold."""
        self.free = list(range(num_slots))
        self.idle: dict[int, list[int]] = {}  # least recently used first
        self.busy: dict[int, Sequence] = {}
        self.heads: dict[int, int] = {}  # of busy ones whose tokens have moved: how many at the beginning have not
        self.adapters = dict.fromkeys(self.free, adapters)
        self._own_adapters = adapters

    @property
    def num_slots(self) -> int:
        return len(self.adapters)

    @property
    def num_needed(self) -> int:
        """How few slots there could be: none above them holds anything."""
        return max([*self.idle, *self.busy], default=-1) + 1

    @property
    def num_held(self) -> int:
        """Tokens of all slots: no fewer than there are cells in use."""
        return sum(map(len, self._whole().values()))

    @property
    def num_tokens(self) -> int:
        """Of all slots, a beginning that several hold counted once, as if they shared its cells."""
        held = sorted(self._whole().values())
        shared = (common_prefix(a, b) for a, b in pairwise(held))
        return sum(map(len, held)) - sum(shared)

    @property
    def longest(self) -> int:
        return max(map(len, self._whole().values()), default=0)

    def held(self) -> dict[int, list[int]]:
        """What others may have of each slot: what a roll has moved is its own sequence's alone."""
        return self.idle | {slot: seq.cached_tokens[: self.heads.get(slot)] for slot, seq in self.busy.items()}

    def resident(self, adapters: Adapters) -> Iterator[tuple[int, list[int]]]:
        """The slots whose cells a sequence with these adapters may use, and their tokens."""
        return ((slot, held) for slot, held in self.held().items() if self.adapters[slot] == adapters)

    def foreign(self, adapters: Adapters) -> Iterator[list[int]]:
        """The tokens of the others."""
        return (held for slot, held in self.held().items() if self.adapters[slot] != adapters)

    def give(self, slot: int, seq: Sequence) -> None:
        """A slot that is in no list any more becomes the sequence's."""
        self.busy[slot] = seq
        self.adapters[slot] = seq.adapters
        seq.slot = slot

    def touch(self, slot: int) -> None:
        """An idle one has just been of use."""
        if slot in self.idle:
            self.idle[slot] = self.idle.pop(slot)

    def resize(self, num_slots: int) -> None:
        """Those beyond `num_slots` are free, and go; new ones are free."""
        assert self.num_needed <= num_slots, "a slot that holds something would go"
        new = range(self.num_slots, num_slots)
        self.free = [slot for slot in [*reversed(new), *self.free] if slot < num_slots]
        self.adapters |= dict.fromkeys(new, self._own_adapters)
        self.adapters = {slot: adapters for slot, adapters in self.adapters.items() if slot < num_slots}

    def forget(self) -> None:
        """None holds anything any more: idle ones are free, and whose slot is busy reads again."""
        self.free += self.idle
        self.idle.clear()
        self.heads.clear()
        for seq in self.busy.values():
            seq.num_computed = 0

    def check_integrity(self) -> None:
        """Every slot is in one place, and no sequence thinks that it has more than its tokens."""
        slots = sorted([*self.free, *self.idle, *self.busy])
        assert slots == sorted(self.adapters) == list(range(self.num_slots)), "a slot is lost or counted twice"
        assert set(self.heads) <= set(self.busy)
        for slot, seq in self.busy.items():
            assert seq.slot == slot
            assert seq.num_computed < len(seq.tokens) or seq.finish

    def _whole(self) -> dict[int, list[int]]:
        return self.idle | {slot: seq.cached_tokens for slot, seq in self.busy.items()}


def num_rows(slots: set[int]) -> int:
    """In how many rows of neighbours they lie."""
    return sum(slot - 1 not in slots for slot in slots)
