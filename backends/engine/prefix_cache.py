"""Which slot holds which tokens, so that a new prompt decodes only what no slot has seen.

A slot is one llama.cpp sequence id. A finished sequence leaves its tokens resident in its slot;
a new one copies the longest common prefix out of any slot, a running one's too, which costs no KV cells
where slots share them; where they do not, a conversation goes on in its own slot if it can.
What a slot has to give up goes to the store, and comes back when it beats what is resident.
"""

from collections.abc import Iterator
from time import perf_counter

from backends.engine.checkpoints import Checkpoints
from backends.engine.miss import Known, Misses, Spell
from backends.engine.runner import KVFull, Runner
from backends.engine.sequence import Sequence
from backends.engine.slots import Slots
from backends.prompt_cache.copy_costs import Way
from backends.prompt_cache.state import Payload, Reuse, State, Tier, common_prefix
from backends.prompt_cache.state_store import Found, StateStore
from backends.protocol import CacheMiss


class PrefixCache:
    """Owns the slots: free ones, idle ones with resident tokens, and those of running sequences.

    A cell depends on the adapters that were set when it was made, so a slot serves sequences with the same alone.
    """

    def __init__(
        self,
        runner: Runner,
        store: StateStore | None = None,
        spell: Spell | None = None,
        adapters: tuple[float, ...] = (),
        checkpoints: Checkpoints | None = None,
    ):
        """adapters: those that the states of the store were made with."""
        self.runner = runner
        self.store = store
        self.checkpoints = checkpoints or Checkpoints(runner)
        self._slots = Slots(runner, self.checkpoints)
        self._misses = Misses(store, spell)
        self._free = list(range(runner.num_slots))
        self._idle: dict[int, list[int]] = {}  # least recently used first
        self._busy: dict[int, Sequence] = {}
        self.own_adapters = adapters
        self._adapters = dict.fromkeys(self._free, adapters)  # of what each slot holds
        self._heads: dict[int, int] = {}  # of busy slots whose tokens have moved: how many at the beginning have not

    @property
    def _min_tokens(self) -> int:
        """What is shorter is not worth keeping."""
        return self.store.min_tokens if self.store else 1

    @property
    def free_slot(self) -> int | None:
        """One that holds nothing, if there is one."""
        return self._free[-1] if self._free else None

    def match(self, tokens: list[int], adapters: tuple[float, ...] = ()) -> tuple[int | None, int]:
        """The slot that shares the longest prefix with tokens and can go back to it, and the length of that prefix."""
        best, length = None, 0
        for slot, held in self._resident(adapters):
            shared = common_prefix(held, tokens)
            if shared > length and (reach := self._slots.reach(slot, shared, len(held))) > length:
                best, length = slot, reach
        return best, length

    def must_wait(self, seq: Sequence) -> bool:
        """Whether a state that serves seq is being read from disk; the reading has begun then."""
        if self.store is None or seq.adapters != self.own_adapters:
            return False
        wanted = seq.tokens[:-1]
        return self.store.must_wait(seq, wanted, self.match(wanted, seq.adapters)[1])

    def is_held_back(self, seq: Sequence) -> bool:
        """Whether `must_wait` said so, and nothing has come since."""
        return self.store is not None and self.store.is_held_back(seq)

    def no_longer_waits(self, seq: Sequence) -> None:
        """It is admitted, or has ended before."""
        if self.store:
            self.store.no_longer_waits(seq)

    def admit(self, seq: Sequence) -> bool:
        """Give seq a slot, filled with the longest prefix known. False when every slot is busy."""
        if not self._free and not self._idle:
            return False
        wanted = seq.tokens[:-1]  # the last token must be decoded for its logits
        source, length = self.match(wanted, seq.adapters)
        known = self._known(seq)
        found = self.store.find(wanted, length) if self.store and seq.adapters == self.own_adapters else None
        self.no_longer_waits(seq)
        restored = self._restore(found) if found else None
        if found and restored is not None:
            slot, length, tier = restored, found.length, found.tier
            known.append((length, found.state.tokens))
        else:
            source, length = self.match(wanted, seq.adapters)  # room may have been made in vain
            slot, tier = self._fill(source, length), Tier.RESIDENT
        seq.slot, seq.num_computed = slot, length
        self._adapters[slot] = seq.adapters
        self.checkpoints.take(slot, length)
        if seq.clock.started is None:  # a sequence that comes back from a pause has been accounted for
            no_room = found is not None and restored is None
            miss = CacheMiss.NO_ROOM if no_room else self._why(seq, length, known)
            seq.reuse = Reuse(length, tier, miss)
        self._busy[slot] = seq
        return True

    def catch_up(self, seq: Sequence) -> None:
        """Let a running sequence have what another slot has come to hold of its prompt."""
        source, length = self.match(seq.tokens[:-1], seq.adapters)
        if source is None or length <= seq.num_computed:
            return
        assert seq.slot is not None
        self.runner.truncate(seq.slot, 0)
        self._slots.copy(source, len(self._held()[source]), seq.slot, length)
        if seq.clock.started is None:  # else its account is closed
            seq.reuse = Reuse(length, Tier.RESIDENT, self._why(seq, length, self._known(seq)))
        seq.num_computed = length

    def release(self, seq: Sequence) -> None:
        """Take the slot back; its tokens stay resident for the next turn of the conversation."""
        assert seq.slot is not None
        del self._busy[seq.slot]
        held = seq.cached_tokens
        if (head := self._heads.pop(seq.slot, None)) is not None:
            self.runner.truncate(seq.slot, head)
            del held[head:]
        self._idle[seq.slot] = held
        seq.slot = None

    def has_moved(self, seq: Sequence) -> bool:
        """Whether its slot holds what cannot be read again: tokens that have seen others which are gone."""
        return seq.slot in self._heads

    def roll(self, seq: Sequence) -> None:
        """Let a sequence at the end of its window forget its older half, in its slot too: what stays is moved there,
        or read again where the model cannot move it or a running sequence uses the same cells."""
        slot, held = seq.slot, seq.cached_tokens
        assert slot is not None
        begin, end = seq.roll()
        if self.runner.can_shift and self._take_cells(slot, held, begin, end):
            self.runner.roll(slot, begin, end)
            seq.num_computed -= end - begin
            self._heads[slot] = begin
        else:
            self._heads.pop(slot, None)
            seq.num_computed = self._slots.reach(slot, begin, len(held))
            self._slots.cut(slot, len(held), seq.num_computed)

    def _take_cells(self, slot: int, held: list[int], begin: int, end: int) -> bool:
        """Make the cells from `end` on the slot's own: idle slots that share them are emptied. False when a running
        sequence shares them, which goes on."""
        if not self.runner.shares_cells or slot in self._heads:
            return True
        self._heads[slot] = begin  # what it forgets may have to be saved for others
        others = ((other, tokens) for other, tokens in self._resident(self._adapters[slot]) if other != slot)
        sharers = [other for other, tokens in others if common_prefix(tokens, held) > end]
        if any(other in self._busy for other in sharers):
            return False
        for other in sharers:
            self._empty(other)
            self._free.append(other)
        return True

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
            self._slots.cut(slot, len(held), 0)
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
        assert set(self._heads) <= set(self._busy)
        for slot, seq in self._busy.items():
            assert seq.slot == slot
            assert seq.num_computed < len(seq.tokens) or seq.finish
        self.checkpoints.check_integrity()
        if self.store:
            self.store.ram.check_integrity()

    def _fill(self, source: int | None, length: int) -> int:
        """A slot that holds the first `length` tokens of `source`: another one, or itself when there is no other or
        the copy would be for nothing."""
        slot = source if source is not None and self._continues(source, length) else self._take_slot(source)
        if slot == source:
            held = self._idle.pop(slot)
            if len(held) - length >= self._min_tokens:
                self._offload(slot, held)
            self._slots.cut(slot, len(held), length)
        elif source is not None:
            self._slots.copy(source, len(self._held()[source]), slot, length)
            self._touch(source)
        return slot

    def _continues(self, source: int, length: int) -> bool:
        """Whether a copy would take memory for what is the source's next turn: nothing else needs the source."""
        is_costly = not self.runner.shares_cells and source in self._idle
        return is_costly and len(self._idle[source]) - length < self._min_tokens

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
        self._slots.cut(slot, len(held), 0)

    def _offload(self, slot: int, held: list[int]) -> None:
        """Save what the slot is about to lose, if it is worth it and nobody else has it."""
        adapters = self._adapters[slot]
        if not held or self.match(held, adapters)[1] == len(held):
            return
        if adapters != self.own_adapters or (self.store and self.store.covers(held)):
            return
        if self.store is None:
            self._forget(held, CacheMiss.EVICTED)
        elif len(held) < self.store.min_tokens:
            self._forget(held, CacheMiss.TOO_SHORT)
        else:
            try:
                self.store.keep(State(held, self._save(slot, held)))
            except MemoryError:
                self._forget(held, CacheMiss.EVICTED)

    def _restore(self, found: Found) -> int | None:
        """A slot that holds the found state up to its useful length; None when no room can be made for it."""
        slot = self._take_slot(None)
        while True:
            try:
                self._copy_back(slot, found.state.payload)
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

    def _save(self, slot: int, held: list[int]) -> Payload:
        begin = perf_counter()
        payload = self.runner.save(slot, len(held))
        self._learn(Way.SAVE, len(payload), perf_counter() - begin)
        return payload

    def _copy_back(self, slot: int, payload: Payload) -> None:
        begin = perf_counter()
        self.runner.restore(slot, payload)
        self._learn(Way.RESTORE, len(payload), perf_counter() - begin)

    def _learn(self, way: Way, num_bytes: int, seconds: float) -> None:
        if self.store:
            self.store.costs.observe(way, num_bytes, seconds)

    def _may_be_full(self, needed: int) -> bool:
        """Whether evicting could help: else the state was refused for another reason."""
        num_held = sum(map(len, self._idle.values())) + sum(seq.num_computed for seq in self._busy.values())
        return self.runner.shares_cells and num_held + needed > self.runner.num_cells

    def _known(self, seq: Sequence) -> Known:
        return [(common_prefix(held, seq.tokens[:-1]), held) for _, held in self._resident(seq.adapters)]

    def _why(self, seq: Sequence, found: int, known: Known) -> CacheMiss | None:
        """Why not all but the last token were found."""
        others = (held for slot, held in self._held().items() if self._adapters[slot] != seq.adapters)
        return self._misses.reason(seq.tokens[:-1], found, known, others)

    def _forget(self, held: list[int], reason: CacheMiss) -> None:
        if self.store:
            self.store.forget(held, reason)

    def _touch(self, slot: int) -> None:
        if slot in self._idle:
            self._idle[slot] = self._idle.pop(slot)

    def _held(self) -> dict[int, list[int]]:
        """What others may have of each slot: what a roll has moved is its own sequence's alone."""
        return self._idle | {slot: seq.cached_tokens[: self._heads.get(slot)] for slot, seq in self._busy.items()}

    def _resident(self, adapters: tuple[float, ...]) -> Iterator[tuple[int, list[int]]]:
        """The slots whose cells a sequence with these adapters may use, and their tokens."""
        return ((slot, held) for slot, held in self._held().items() if self._adapters[slot] == adapters)
