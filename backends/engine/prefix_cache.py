"""Which slot holds which tokens, so that a new prompt decodes only what no slot has seen.

A slot is one llama.cpp sequence id. A finished sequence leaves its tokens resident in its slot;
a new one copies the longest common prefix out of any slot, a running one's too, which costs no KV cells.
"""

from collections.abc import Iterator

from backends.engine.runner import Runner
from backends.engine.sequence import Sequence


def common_prefix(a: list[int], b: list[int]) -> int:
    """Length of the common prefix, by halving: slices compare at C speed, a Python loop does not."""
    low, high = 0, min(len(a), len(b))
    if a[:high] == b[:high]:
        return high
    while high - low > 1:
        middle = (low + high) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle
    return low


class PrefixCache:
    """Owns the slots: free ones, idle ones with resident tokens, and those of running sequences."""

    def __init__(self, runner: Runner):
        self.runner = runner
        self._free = list(range(runner.num_slots))
        self._idle: dict[int, list[int]] = {}  # least recently used first
        self._busy: dict[int, Sequence] = {}

    @property
    def free_slot(self) -> int | None:
        """One that holds nothing, if there is one."""
        return self._free[-1] if self._free else None

    def match(self, tokens: list[int]) -> tuple[int | None, int]:
        """The slot that shares the longest prefix with tokens, and the length of that prefix."""
        best, length = None, 0
        for slot, held in self._resident():
            shared = common_prefix(held, tokens)
            if not self.runner.can_truncate and shared < len(held):
                continue
            if shared > length:
                best, length = slot, shared
        return best, length

    def admit(self, seq: Sequence) -> bool:
        """Give seq a slot, filled with the longest prefix known. False when every slot is busy."""
        source, length = self.match(seq.tokens[:-1])  # the last token must be decoded for its logits
        slot = self._take_slot(source)
        if slot is None:
            return False
        if slot == source:
            self.runner.truncate(slot, length)
        else:
            self.runner.truncate(slot, 0)
            if source is not None:
                self.runner.copy(source, slot, length)
                self._touch(source)
        seq.slot, seq.num_computed = slot, length
        self._busy[slot] = seq
        return True

    def release(self, seq: Sequence) -> None:
        """Take the slot back; its tokens stay resident for the next turn of the conversation."""
        assert seq.slot is not None
        del self._busy[seq.slot]
        self._idle[seq.slot] = seq.cached_tokens
        seq.slot = None

    def evict(self) -> bool:
        """Drop the least recently used resident slot. False when there is none."""
        if not self._idle:
            return False
        slot = next(iter(self._idle))
        del self._idle[slot]
        self.runner.truncate(slot, 0)
        self._free.append(slot)
        return True

    def clear(self) -> None:
        """Forget every slot, after a decode that left the KV cache in doubt."""
        assert not self._busy, "release the running sequences first"
        while self.evict():
            pass

    def check_integrity(self) -> None:
        """Every slot is in one place, and no running sequence thinks it has more than its tokens."""
        slots = sorted([*self._free, *self._idle, *self._busy])
        assert slots == list(range(self.runner.num_slots)), "a slot is lost or counted twice"
        for slot, seq in self._busy.items():
            assert seq.slot == slot
            assert seq.num_computed < len(seq.tokens) or seq.finish

    def _take_slot(self, source: int | None) -> int | None:
        if self._free:
            return self._free.pop()
        if not self._idle:
            return None
        slot = next((s for s in self._idle if s != source), source)
        assert slot is not None
        del self._idle[slot]
        return slot

    def _touch(self, slot: int) -> None:
        if slot in self._idle:
            self._idle[slot] = self._idle.pop(slot)

    def _resident(self) -> Iterator[tuple[int, list[int]]]:
        yield from self._idle.items()
        for slot, seq in self._busy.items():
            yield slot, seq.cached_tokens
