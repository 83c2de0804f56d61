"""Rolls the window of a sequence that has reached its end. Knows whose cells may be moved."""

from collections.abc import Callable

from backends.engine.cuts import Cuts
from backends.engine.runner import Runner
from backends.engine.sequence import Sequence
from backends.engine.slots import Slots
from backends.prompt_cache.state import common_prefix


class Rolls:
    """`empty` takes an idle slot's tokens out of it, and frees it."""

    def __init__(self, runner: Runner, slots: Slots, cuts: Cuts, empty: Callable[[int], None]):
        self._runner, self._slots, self._cuts, self._empty = runner, slots, cuts, empty

    def has_moved(self, seq: Sequence) -> bool:
        """Whether its slot holds what cannot be read again: tokens that have seen others which are gone."""
        return seq.slot in self._slots.heads

    def roll(self, seq: Sequence) -> None:
        """Let a sequence at the end of its window forget its older half, in its slot too: what stays is moved there,
        or read again where the model cannot move it or a running sequence uses the same cells."""
        slot, held = seq.slot, seq.cached_tokens
        assert slot is not None
        begin, end = seq.roll()
        if self._runner.can_shift and self._take_cells(slot, held, begin, end):
            self._runner.roll(slot, begin, end)
            seq.num_computed -= end - begin
            self._slots.heads[slot] = begin
        else:
            self._slots.heads.pop(slot, None)
            seq.num_computed = self._cuts.reach(slot, begin, len(held))
            self._cuts.cut(slot, len(held), seq.num_computed)

    def forget(self, slot: int, held: list[int]) -> None:
        """Its sequence leaves: what has moved goes with it, out of `held` too."""
        if (head := self._slots.heads.pop(slot, None)) is not None:
            self._runner.truncate(slot, head)
            del held[head:]

    def _take_cells(self, slot: int, held: list[int], begin: int, end: int) -> bool:
        """Make the cells from `end` on the slot's own: idle slots that share them are emptied. False when a running
        sequence shares them, which goes on."""
        slots = self._slots
        if not self._runner.shares_cells or slot in slots.heads:
            return True
        slots.heads[slot] = begin  # what it forgets may have to be saved for others
        others = ((other, tokens) for other, tokens in slots.resident(slots.adapters[slot]) if other != slot)
        sharers = [other for other, tokens in others if common_prefix(tokens, held) > end]
        if any(other in slots.busy for other in sharers):
            return False
        for other in sharers:
            self._empty(other)
        return True
