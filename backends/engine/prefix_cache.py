"""Which slot serves a new prompt best, so that only what no slot has seen is decoded.

A finished sequence leaves its tokens resident in its slot; a new one copies the longest common prefix out of any slot,
a running one's too, which costs no KV cells where slots share them; where they do not, a conversation goes on in its
own slot if it can. What a slot has to give up goes to the store, and comes back when it beats what is resident.
"""

from backends.engine.checkpoints import Checkpoints
from backends.engine.cuts import Cuts
from backends.engine.keeper import Keeper
from backends.engine.miss import Known, Misses, Spell
from backends.engine.rolls import Rolls
from backends.engine.room import MIN_WORTH, Room
from backends.engine.runner import KVFull, Runner
from backends.engine.sequence import Sequence
from backends.engine.slots import Adapters, Slots, num_rows
from backends.prompt_cache.state import Reuse, Tier, common_prefix
from backends.prompt_cache.state_store import Found, StateStore
from backends.protocol import CacheMiss

# tokens that may be copied between streams so that one need not be read again: two cores read one while some 97 are
# copied (SmolLM2's shape, f16, behind 1,024), and about half of what is kept so is expected to be asked for again
COPIED_PER_READ = 40


class PrefixCache:
    """Hands slots out, filled as far as may be, and takes them back. The table of them is `Slots`, their number and
    length `Room`'s business, and what is in the store `Keeper`'s."""

    def __init__(
        self,
        runner: Runner,
        store: StateStore | None = None,
        spell: Spell | None = None,
        adapters: Adapters = (),
        checkpoints: Checkpoints | None = None,
    ):
        """adapters: those that the states of the store were made with."""
        self.runner = runner
        self.checkpoints = checkpoints or Checkpoints(runner)
        self.own_adapters = adapters
        self.slots = Slots(runner.size.slots, adapters)
        self.room = Room(runner, self.slots, self._forget)
        self._cuts = Cuts(runner, self.checkpoints)
        self.keeper = Keeper(runner, store, self.slots, self._cuts, adapters)
        self.rolls = Rolls(runner, self.slots, self._cuts, self._empty)
        self._misses = Misses(store, spell)

    def match(self, tokens: list[int], adapters: Adapters = ()) -> tuple[int | None, int]:
        """The slot that shares the longest prefix with tokens and can go back to it, and the length of that prefix."""
        best, length = None, 0
        for slot, held in self.slots.resident(adapters):
            shared = common_prefix(held, tokens)
            if shared > length and (reach := self._cuts.reach(slot, shared, len(held))) > length:
                best, length = slot, reach
        return best, length

    def must_wait(self, seq: Sequence) -> bool:
        """Whether a state that serves seq is being read from disk; the reading has begun then."""
        wanted = seq.reusable
        return self.keeper.must_wait(seq, wanted, self.match(wanted, seq.adapters)[1])

    def admit(self, seq: Sequence) -> bool:
        """Give seq a slot, filled with the longest prefix known. False when every slot is busy, and no more can be."""
        slots, wanted = self.slots, seq.reusable
        source, length = self.match(wanted, seq.adapters)
        if not slots.free and not slots.idle:
            self.room.reserve(len(seq.tokens), length, wants_slot=True)
            if not slots.free:
                return False
        known = self._known(seq)
        found = self.keeper.find(seq, wanted, length)
        self.keeper.no_longer_waits(seq)
        self._reserve(seq, source, length, found)
        restored = self._restore(found) if found else None
        if found and restored is not None:
            slot, length, tier = restored, found.length, found.tier
            known.append((length, found.state.tokens))
        else:
            source, length = self.match(wanted, seq.adapters)  # room may have been made in vain
            slot, tier = self._fill(source, length), Tier.RESIDENT
        seq.num_computed = length
        slots.give(slot, seq)
        self.checkpoints.take(slot, length)
        if seq.clock.started is None:  # a sequence that comes back from a pause has been accounted for
            no_room = found is not None and restored is None
            miss = CacheMiss.NO_ROOM if no_room else self._why(seq, length, known)
            seq.reuse = Reuse(length, tier, miss)
        return True

    def catch_up(self, seq: Sequence) -> None:
        """Let a running sequence have what another slot has come to hold of its prompt."""
        source, length = self.match(seq.reusable, seq.adapters)
        if source is None or length <= seq.num_computed:
            return
        assert seq.slot is not None
        self.runner.truncate(seq.slot, 0)
        self._cuts.copy(source, len(self.slots.held()[source]), seq.slot, length)
        if seq.clock.started is None:  # else its account is closed
            seq.reuse = Reuse(length, Tier.RESIDENT, self._why(seq, length, self._known(seq)))
        seq.num_computed = length

    def release(self, seq: Sequence) -> None:
        """Take the slot back; its tokens stay resident for the next turn of the conversation."""
        assert seq.slot is not None
        del self.slots.busy[seq.slot]
        held = seq.cached_tokens
        self.rolls.forget(seq.slot, held)
        self.slots.idle[seq.slot] = held
        seq.slot = None

    def evict(self) -> bool:
        """Drop the least recently used resident slot. False when there is none."""
        if not self.slots.idle:
            return False
        self._empty(next(iter(self.slots.idle)))
        return True

    def trade(self) -> bool:
        """Give the memory of idle slots to the others. False when that makes none of them longer."""
        if not self.room.is_short:  # they are as long as they may be
            return False
        while self.evict():
            pass
        return self.room.trade()

    def lend(self, num_tokens: int) -> tuple[int, list[int]] | None:
        """A slot in which so many tokens may be tried out behind those that it holds, if they are truncated at once.
        No room is made for that."""
        slots, runner = self.slots, self.runner
        if slots.free:
            return slots.free[-1], []
        if runner.shares_cells:  # it might not go back
            return None
        own = ((slot, held) for slot, held in slots.idle.items() if slots.adapters[slot] == self.own_adapters)
        return next((pair for pair in own if len(pair[1]) + num_tokens <= runner.size.cells), None)

    def clear(self) -> None:
        """Forget every slot, after a decode that left the KV cache in doubt."""
        slots = self.slots
        assert not slots.busy, "release the running sequences first"
        for slot, held in slots.idle.items():
            self._cuts.cut(slot, len(held), 0)
            self.keeper.forget(held)
        slots.free += slots.idle
        slots.idle.clear()

    def close(self) -> None:
        """Hand what is resident to the store, which keeps it beyond this process if it has a disk."""
        store = self.keeper.store
        if store and store.disk:
            for slot in reversed(list(self.slots.idle)):  # the most recent first: the process may be ended meanwhile
                self._empty(slot)
            store.close()

    def check_integrity(self) -> None:
        self.slots.check_integrity()
        assert self.slots.num_slots == self.runner.size.slots
        self.checkpoints.check_integrity()
        if self.keeper.store:
            self.keeper.store.ram.check_integrity()

    def _reserve(self, seq: Sequence, source: int | None, length: int, found: Found | None) -> None:
        """Room for what is to be read, in a slot of its own if it does not go on in its source's."""
        wants_slot = not self.slots.free and (found is not None or not self._continues(source, length))
        if found:
            self.room.reserve(max(len(seq.tokens), len(found.state.tokens)), 0, wants_slot)
        else:
            self.room.reserve(len(seq.tokens), length, wants_slot)

    def _fill(self, source: int | None, length: int) -> int:
        """A slot that holds the first `length` tokens of `source`: another one, or itself when there is no other or
        the copy would be for nothing."""
        slots = self.slots
        slot = source if source is not None and self._continues(source, length) else self._take_slot(source)
        if slot == source:
            held = slots.idle.pop(slot)
            if len(held) - length >= self._least_kept(length):
                self.keeper.offload(slot, held)
            self._cuts.cut(slot, len(held), length)
        elif source is not None:
            self._cuts.copy(source, len(slots.held()[source]), slot, length)
            slots.touch(source)
        return slot

    def _continues(self, source: int | None, length: int) -> bool:
        """Whether a copy would take memory for what is the source's next turn: nothing else needs the source."""
        is_costly = not self.runner.shares_cells or not self.slots.free
        held = self.slots.idle.get(source) if source is not None and is_costly else None
        return held is not None and len(held) - length < max(MIN_WORTH, self._least_kept(length))

    def _least_kept(self, length: int) -> int:
        """Tokens behind the first `length` of a slot that are worth a copy of them all."""
        least = self.keeper.min_tokens
        return least if self.runner.shares_cells else max(least, length // COPIED_PER_READ)

    def _take_slot(self, source: int | None) -> int:
        """An empty slot; `source` as it is when there is no other."""
        slots = self.slots
        if not slots.free:
            idle = [slot for slot in slots.idle if slot != source]
            if not idle:
                assert source is not None
                return source
            # what no store keeps would have to be read again, which costs more than a gap
            self._empty(self._nearest(idle) if self.keeper.store else idle[0])
        slot = self._nearest(slots.free[::-1])
        self.runner.truncate(slot, 0)  # free slots are lent to measurements, which may break off
        slots.free.remove(slot)
        return slot

    def _nearest(self, slots: list[int]) -> int:
        """The first of those that leave the fewest gaps between busy ones: streams on two sides of a gap are decoded
        one after the other, which makes a step 20 to 50 % longer."""
        if self.runner.shares_cells:
            return slots[0]
        return min(slots, key=lambda slot: num_rows({*self.slots.busy, slot}))

    def _empty(self, slot: int) -> None:
        """Free an idle slot."""
        held = self.slots.idle.pop(slot)
        self.keeper.offload(slot, held)
        self._cuts.cut(slot, len(held), 0)
        self.slots.free.append(slot)

    def _restore(self, found: Found) -> int | None:
        """A slot that holds the found state up to its useful length; None when no room can be made for it."""
        slot = self._take_slot(None)
        while True:
            try:
                self.keeper.restore(slot, found)
            except KVFull:
                if not self._make_cells(len(found.state.tokens)):
                    self.slots.free.append(slot)
                    return None
            else:
                return slot

    def _make_cells(self, needed: int) -> bool:
        """False where it cannot help: then the state was refused for another reason."""
        slots = self.slots
        num_held = sum(map(len, slots.idle.values())) + sum(seq.num_computed for seq in slots.busy.values())
        if not self.runner.shares_cells or num_held + needed <= self.runner.size.cells:
            return False
        return self.room.grow() or self.evict()

    def _forget(self) -> None:
        """After the runner has lost all cells."""
        for held in self.slots.idle.values():
            self.keeper.forget(held)
        for seq in self.slots.busy.values():
            if seq.clock.started is None and seq.reuse.length:  # it has not come to use what it had found
                seq.reuse = Reuse(0, Tier.RESIDENT, CacheMiss.NO_ROOM)
        self.slots.forget()
        self.checkpoints.forget()

    def _known(self, seq: Sequence) -> Known:
        return [(common_prefix(held, seq.tokens[:-1]), held) for _, held in self.slots.resident(seq.adapters)]

    def _why(self, seq: Sequence, found: int, known: Known) -> CacheMiss | None:
        """Why not all but the last token were found."""
        if seq.num_unscored:
            return CacheMiss.LOGPROBS
        wanted = seq.tokens[:-1]
        if wanted and not seq.reuses:
            return CacheMiss.NOT_WANTED
        return self._misses.reason(wanted, found, known, self.slots.foreign(seq.adapters))
