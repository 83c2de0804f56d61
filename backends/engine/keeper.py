"""Takes states out of slots and puts them back. Knows slots and the store, not which slot is best for whom."""

from time import perf_counter

from backends.engine.cuts import Cuts
from backends.engine.runner import Runner
from backends.engine.sequence import Sequence
from backends.engine.slots import Adapters, Slots
from backends.prompt_cache.copy_costs import Way
from backends.prompt_cache.state import Payload, State, common_prefix
from backends.prompt_cache.state_store import Found, StateStore
from backends.protocol import CacheMiss


class Keeper:
    """All calls are without effect where there is no store. Its states were made with the load's own adapters."""

    def __init__(self, runner: Runner, store: StateStore | None, slots: Slots, cuts: Cuts, adapters: Adapters):
        self.store = store
        self._runner, self._slots, self._cuts, self._adapters = runner, slots, cuts, adapters
        if store:
            store.max_tokens = runner.limit.cells

    @property
    def min_tokens(self) -> int:
        """What is shorter is not worth keeping."""
        return self.store.min_tokens if self.store else 1

    def must_wait(self, seq: Sequence, wanted: list[int], resident: int) -> bool:
        """Whether a state that serves seq better than `resident` tokens is being read from disk; the reading has begun
        then."""
        if self.store is None or seq.adapters != self._adapters:
            return False
        return self.store.must_wait(seq, wanted, resident)

    def is_held_back(self, seq: Sequence) -> bool:
        """Whether `must_wait` said so, and nothing has come since."""
        return self.store is not None and self.store.is_held_back(seq)

    def no_longer_waits(self, seq: Sequence) -> None:
        """It is admitted, or has ended before."""
        if self.store:
            self.store.no_longer_waits(seq)

    def find(self, seq: Sequence, wanted: list[int], resident: int) -> Found | None:
        if self.store is None or seq.adapters != self._adapters:
            return None
        return self.store.find(wanted, resident)

    def offload(self, slot: int, held: list[int]) -> None:
        """Save what the slot is about to lose, if it is worth it and nobody else has it."""
        adapters = self._slots.adapters[slot]
        if self.store is None or not held or adapters != self._adapters:
            return
        if self._is_elsewhere(held, adapters) or self.store.covers(held):
            return
        if len(held) < self.store.min_tokens:
            self.store.forget(held, CacheMiss.TOO_SHORT)
            return
        try:
            self.store.keep(State(held, self._save(slot, held)))
        except MemoryError:
            self.store.forget(held, CacheMiss.EVICTED)

    def restore(self, slot: int, found: Found) -> None:
        """Let the empty slot hold the state up to its useful length. Raises KVFull."""
        begin, payload = perf_counter(), found.state.payload
        self._runner.restore(slot, payload)
        self._learn(Way.RESTORE, len(payload), perf_counter() - begin)
        self._runner.truncate(slot, found.length)
        if self.store:
            self.store.ram.touch(found.state)

    def forget(self, held: list[int]) -> None:
        """These tokens are lost without having been offered to the store."""
        if self.store:
            self.store.forget(held, CacheMiss.EVICTED)

    def _is_elsewhere(self, held: list[int], adapters: Adapters) -> bool:
        """Whether another slot could serve all of these tokens."""
        count = len(held)
        return any(
            common_prefix(tokens, held) == count and self._cuts.reach(other, count, len(tokens)) == count
            for other, tokens in self._slots.resident(adapters)
        )

    def _save(self, slot: int, held: list[int]) -> Payload:
        begin = perf_counter()
        payload = self._runner.save(slot, len(held))
        self._learn(Way.SAVE, len(payload), perf_counter() - begin)
        return payload

    def _learn(self, way: Way, num_bytes: int, seconds: float) -> None:
        if self.store:
            self.store.costs.observe(way, num_bytes, seconds)
