"""Which slot holds which tokens, so that a new prompt decodes only what no slot has seen.

A slot is one llama.cpp sequence id. A finished sequence leaves its tokens resident in its slot;
a new one copies the longest common prefix out of any slot, a running one's too, which costs no KV cells.
What a slot has to give up goes to the store, and comes back when it beats what is resident.
"""

from collections.abc import Iterator

from backends.engine.checkpoints import Checkpoints
from backends.engine.runner import KVFull, Runner
from backends.engine.sequence import Sequence
from backends.prompt_cache.state import Reuse, State, Tier, common_prefix
from backends.prompt_cache.state_store import Found, StateStore
from backends.protocol import CacheMiss


class PrefixCache:
    """Owns the slots: free ones, idle ones with resident tokens, and those of running sequences."""

    def __init__(self, runner: Runner, store: StateStore | None = None, checkpoints: Checkpoints | None = None):
        self.runner = runner
        self.store = store
        self.checkpoints = checkpoints or Checkpoints(runner)
        self._free = list(range(runner.num_slots))
        self._idle: dict[int, list[int]] = {}  # least recently used first
        self._busy: dict[int, Sequence] = {}

    @property
    def free_slot(self) -> int | None:
        """One that holds nothing, if there is one."""
        return self._free[-1] if self._free else None

    def match(self, tokens: list[int]) -> tuple[int | None, int]:
        """The slot that shares the longest prefix with tokens and can go back to it, and the length of that prefix."""
        best, length = None, 0
        for slot, held in self._resident():
            shared = common_prefix(held, tokens)
            if shared > length and (reach := self._reach(slot, shared, len(held))) > length:
                best, length = slot, reach
        return best, length

    def admit(self, seq: Sequence) -> bool:
        """Give seq a slot, filled with the longest prefix known. False when every slot is busy."""
        if not self._free and not self._idle:
            return False
        wanted = seq.tokens[:-1]  # the last token must be decoded for its logits
        source, length = self.match(wanted)
        known = [(common_prefix(held, wanted), len(held)) for _, held in self._resident()]
        found = self.store.find(wanted, length) if self.store else None
        restored = self._restore(found) if found else None
        if found and restored is not None:
            slot, length, tier = restored, found.length, found.tier
            known.append((length, len(found.state.tokens)))
        else:
            source, length = self.match(wanted)  # room may have been made in vain
            slot, tier = self._fill(source, length), Tier.RESIDENT
        seq.slot, seq.num_computed = slot, length
        self.checkpoints.take(slot, length)
        if seq.clock.started is None:  # a sequence that comes back from a pause has been accounted for
            no_room = found is not None and restored is None
            miss = CacheMiss.NO_ROOM if no_room else self._why(wanted, length, known)
            seq.reuse = Reuse(length, tier, miss)
        self._busy[slot] = seq
        return True

    def catch_up(self, seq: Sequence) -> None:
        """Let a running sequence have what another slot has come to hold of its prompt."""
        wanted = seq.tokens[:-1]
        source, length = self.match(wanted)
        if source is None or length <= seq.num_computed:
            return
        assert seq.slot is not None
        self.runner.truncate(seq.slot, 0)
        self._copy(source, seq.slot, length)
        if seq.clock.started is None:  # else its account is closed
            known = [(common_prefix(held, wanted), len(held)) for _, held in self._resident()]
            seq.reuse = Reuse(length, Tier.RESIDENT, self._why(wanted, length, known))
        seq.num_computed = length

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
        self._empty(slot)
        self._free.append(slot)
        return True

    def clear(self) -> None:
        """Forget every slot, after a decode that left the KV cache in doubt."""
        assert not self._busy, "release the running sequences first"
        for slot, held in self._idle.items():
            self._cut(slot, len(held), 0)
            self._forget(held, CacheMiss.EVICTED)
        self._free += self._idle
        self._idle.clear()

    def close(self) -> None:
        """Hand what is resident to the store, which keeps it beyond this process if it has a disk."""
        if self.store and self.store.disk:
            for slot in reversed(list(self._idle)):  # the most recent first: the process may be ended meanwhile
                self._empty(slot)
                self._free.append(slot)
            self.store.close()

    def check_integrity(self) -> None:
        """Every slot is in one place, and no running sequence thinks it has more than its tokens."""
        slots = sorted([*self._free, *self._idle, *self._busy])
        assert slots == list(range(self.runner.num_slots)), "a slot is lost or counted twice"
        for slot, seq in self._busy.items():
            assert seq.slot == slot
            assert seq.num_computed < len(seq.tokens) or seq.finish
        self.checkpoints.check_integrity()
        if self.store:
            self.store.ram.check_integrity()

    def _fill(self, source: int | None, length: int) -> int:
        """A slot that holds the first `length` tokens of `source`: another one, or itself when there is no other."""
        slot = self._take_slot(source)
        if slot == source:
            held = self._idle.pop(slot)
            if len(held) - length >= (self.store.min_tokens if self.store else 1):
                self._offload(slot, held)
            self._cut(slot, len(held), length)
        elif source is not None:
            self._copy(source, slot, length)
            self._touch(source)
        return slot

    def _reach(self, slot: int, shared: int, held: int) -> int:
        """How much of the first `shared` of its `held` tokens the slot can be cut back to."""
        if shared == held or shared >= self.runner.shortest(slot, held):
            return shared
        checkpoint = self.checkpoints.nearest(slot, shared)
        return checkpoint.length if checkpoint else 0

    def _copy(self, source: int, target: int, length: int) -> None:
        """Fill an empty slot: at once where the copy may be cut short, else with all of it to go back from there."""
        held = next(len(held) for slot, held in self._resident() if slot == source)
        num_copied = length if length >= self.runner.shortest(source, held) else held
        self.runner.copy(source, target, num_copied)
        self.checkpoints.inherit(source, target)
        self._cut(target, num_copied, length)

    def _cut(self, slot: int, held: int, length: int) -> None:
        """Leave the first `length` of its `held` tokens: 0, or what `_reach` has promised."""
        if length in (0, held) or length >= self.runner.shortest(slot, held):
            self.runner.truncate(slot, length)
        else:
            checkpoint = self.checkpoints.nearest(slot, length)
            assert checkpoint, "nothing to go back to"
            assert checkpoint.length == length
            self.runner.rewind(slot, length, checkpoint.payload)
        self.checkpoints.cut(slot, length)

    def _take_slot(self, source: int | None) -> int:
        """An empty slot; `source` as it is when there is no other."""
        if self._free:
            self.runner.truncate(self._free[-1], 0)  # free slots are lent to measurements, which may break off
            return self._free.pop()
        slot = next((s for s in self._idle if s != source), None)
        if slot is None:
            assert source is not None
            return source
        self._empty(slot)
        return slot

    def _empty(self, slot: int) -> None:
        """Take an idle slot out of the resident ones."""
        held = self._idle.pop(slot)
        self._offload(slot, held)
        self._cut(slot, len(held), 0)

    def _offload(self, slot: int, held: list[int]) -> None:
        """Save what the slot is about to lose, if it is worth it and nobody else has it."""
        if not held or self.match(held)[1] == len(held) or (self.store and self.store.covers(held)):
            return
        if self.store is None:
            self._forget(held, CacheMiss.EVICTED)
        elif len(held) < self.store.min_tokens:
            self._forget(held, CacheMiss.TOO_SHORT)
        else:
            try:
                self.store.keep(State(held, self.runner.save(slot, len(held))))
            except MemoryError:
                self._forget(held, CacheMiss.EVICTED)

    def _restore(self, found: Found) -> int | None:
        """A slot that holds the found state up to its useful length; None when no room can be made for it."""
        slot = self._take_slot(None)
        while True:
            try:
                self.runner.restore(slot, found.state.payload)
            except KVFull:
                if not self._may_be_full(len(found.state.tokens)) or not self.evict():
                    self._free.append(slot)
                    return None
            else:
                break
        self.runner.truncate(slot, found.length)
        if self.store:
            self.store.ram.touch(found.state)
        return slot

    def _may_be_full(self, needed: int) -> bool:
        """Whether evicting could help: else the state was refused for another reason."""
        return sum(len(held) for _, held in self._resident()) + needed > self.runner.num_cells

    def _why(self, wanted: list[int], found: int, known: list[tuple[int, int]]) -> CacheMiss | None:
        """Why not all of the wanted tokens were found. known: of each earlier prompt the shared tokens and all."""
        if found == len(wanted):
            return None
        if reason := self.store.why_lost(wanted, found) if self.store else None:
            return reason
        if any(shared > found for shared, _ in known):
            return CacheMiss.NO_REWIND
        if not found:
            return CacheMiss.NO_EARLIER_PROMPT
        return CacheMiss.NEW_TEXT if (found, found) in known else CacheMiss.DIFFERENCE

    def _forget(self, held: list[int], reason: CacheMiss) -> None:
        if self.store:
            self.store.forget(held, reason)

    def _touch(self, slot: int) -> None:
        if slot in self._idle:
            self._idle[slot] = self._idle.pop(slot)

    def _resident(self) -> Iterator[tuple[int, list[int]]]:
        yield from self._idle.items()
        for slot, seq in self._busy.items():
            yield slot, seq.cached_tokens
