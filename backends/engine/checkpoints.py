"""Where a recurrent sequence can go back to: copies of its state, taken at chosen lengths. Knows slots, no model.

A recurrent layer keeps one state instead of a cell per token, so a slot can be continued but not cut. The next turn of
a chat rarely continues the last one to the letter: a template drops its reasoning, a person edits what she wrote. So
copies are taken while a prompt is read: at its end, a little before (where the template's opening of the answer may
differ), where the prompt met what was already known, and every `interval` tokens.
"""

from dataclasses import dataclass

from backends.engine.runner import Runner
from backends.engine.sequence import Sequence

INTERVAL = 256  # tokens: at most so many are read again
TAIL = 8  # tokens of a prompt's end that its next turn may say otherwise
MAX_PER_SLOT = 16
BUDGET = 512 << 20  # bytes of all of them


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What `Runner.rewind` takes to come back to this length."""

    length: int
    payload: bytearray


class Checkpoints:
    """Those of every slot. All calls are cheap and without effect where the runner needs none."""

    def __init__(self, runner: Runner, interval: int = INTERVAL, tail: int = TAIL, budget: int = BUDGET):
        self.interval, self.tail, self.budget = interval, tail, budget
        self._runner = runner
        self._is_needed = runner.max_draft is not None
        self._by_slot: dict[int, list[Checkpoint]] = {}  # the slot that took one last is last

    @property
    def num_bytes(self) -> int:
        """Slots that share a prefix share its checkpoints."""
        return sum({id(each): len(each.payload) for all_ in self._by_slot.values() for each in all_}.values())

    def nearest(self, slot: int, length: int) -> Checkpoint | None:
        """The last one that is not beyond `length`."""
        return next((each for each in reversed(self._by_slot.get(slot, [])) if each.length <= length), None)

    def chunk_end(self, seq: Sequence) -> int:
        """Where a chunk of the prompt must end at the latest, so that a checkpoint can be taken there."""
        if not self._is_needed:
            return len(seq.tokens)
        return min((end for end in self._wanted(seq) if end > seq.num_computed), default=len(seq.tokens))

    def note(self, seq: Sequence) -> None:
        """After a step: take one if this is a place for it."""
        if not self._is_needed:
            return
        assert seq.slot is not None
        is_due = seq.num_computed - self._last(seq.slot) >= self.interval
        if is_due or seq.num_computed in self._wanted(seq):
            self.take(seq.slot, seq.num_computed)

    def take(self, slot: int, length: int) -> None:
        """One of what `slot` holds now, `length` tokens."""
        if not self._is_needed or length == self._last(slot):
            return
        taken = self._by_slot.pop(slot, [])
        self._by_slot[slot] = [*taken, Checkpoint(length, self._runner.checkpoint(slot))]
        if len(taken) == MAX_PER_SLOT:
            self._thin(slot)
        while self.num_bytes > self.budget:
            self._thin(next(iter(self._by_slot)))

    def inherit(self, source: int, target: int) -> None:
        """`target` holds a copy of `source`."""
        self.cut(target, 0)
        if source in self._by_slot:
            self._by_slot[target] = list(self._by_slot[source])

    def cut(self, slot: int, length: int) -> None:
        """The slot holds no more than `length` tokens."""
        kept = [each for each in self._by_slot.pop(slot, []) if each.length <= length]
        if kept:
            self._by_slot[slot] = kept

    def forget(self) -> None:
        """No slot holds anything."""
        self._by_slot.clear()

    def check_integrity(self) -> None:
        assert self.num_bytes <= self.budget
        for taken in self._by_slot.values():
            lengths = [each.length for each in taken]
            assert 0 < len(lengths) <= MAX_PER_SLOT
            assert lengths == sorted(set(lengths))

    def _wanted(self, seq: Sequence) -> tuple[int, ...]:
        assert seq.slot is not None
        last, before_end = self._last(seq.slot), seq.num_prompt - self.tail
        if before_end - last < self.tail:  # to read so little again costs less than a step of its own
            return last + self.interval, seq.num_prompt
        return before_end, last + self.interval, seq.num_prompt

    def _last(self, slot: int) -> int:
        taken = self._by_slot.get(slot)
        return taken[-1].length if taken else 0

    def _thin(self, slot: int) -> None:
        """Drop the one whose gap would be least for its distance from the end: near the end they stay dense."""
        taken = self._by_slot[slot]
        lengths = [0, *(each.length for each in taken)]
        gaps = [(lengths[i + 1] - lengths[i - 1]) / (lengths[-1] - lengths[i - 1]) for i in range(1, len(taken))]
        del taken[gaps.index(min(gaps)) if gaps else 0]
        if not taken:
            del self._by_slot[slot]
