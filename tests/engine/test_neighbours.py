"""Where slots are streams, those that run lie side by side: llama.cpp decodes a gap's two sides one after the other."""

from backends.engine.prefix_cache import PrefixCache
from backends.engine.sequence import Sequence
from backends.fake.runner import FakeRunner
from backends.prompt_cache.host_cache import HostCache
from backends.prompt_cache.state_store import StateStore
from tests.engine.test_schedules import next_token

NUM_SLOTS = 5


def cache_of(store: StateStore | None = None, *, shares_cells: bool = False) -> PrefixCache:
    return PrefixCache(FakeRunner(next_token, NUM_SLOTS, 100 * NUM_SLOTS, shares_cells=shares_cells), store)


def admitted(cache: PrefixCache, number: int) -> Sequence:
    """One that has been read, and shares nothing with the others."""
    seq = Sequence(number, [number] * 9, max_tokens=9)
    assert cache.admit(seq)
    seq.num_computed = len(seq.tokens) - 1
    return seq


def full(cache: PrefixCache) -> dict[int, Sequence]:
    """The sequences of all slots, by slot."""
    seqs = [admitted(cache, number) for number in range(1, NUM_SLOTS + 1)]
    return {seq.slot: seq for seq in seqs if seq.slot is not None}


def leave(cache: PrefixCache, seqs: dict[int, Sequence], *slots: int) -> None:
    for slot in slots:
        cache.release(seqs[slot])


def test_a_free_slot_beside_the_busy_ones_is_taken() -> None:
    for gone in ([1, 3, 4, 0], [3, 1, 0, 4], [0, 4, 1, 3], [4, 0, 3, 1]):
        cache = cache_of()
        leave(cache, full(cache), *gone)
        while cache.evict():
            pass
        slots = {admitted(cache, number).slot for number in (6, 7)}
        assert slots in ({1, 3}, {0, 1}, {3, 4}), f"{slots} beside 2, after {gone} were freed"
        assert admitted(cache, 8).slot not in slots
        cache.check_integrity()


def test_a_gap_is_closed_before_a_row_is_made_longer() -> None:
    cache = cache_of()
    leave(cache, full(cache), 2, 0)
    while cache.evict():
        pass
    assert [admitted(cache, number).slot for number in (6, 7)] == [2, 0]


def test_an_idle_slot_beside_the_busy_ones_is_emptied_where_its_state_is_kept() -> None:
    cache = cache_of(StateStore(HostCache(1 << 20)))
    leave(cache, full(cache), 4, 0, 1, 3)  # 4 was idle first, and 2 goes on
    assert admitted(cache, 6).slot == 1
    cache.check_integrity()


def test_without_a_store_the_slot_that_was_idle_longest_is_emptied() -> None:
    cache = cache_of()
    leave(cache, full(cache), 4, 0, 1, 3)
    assert admitted(cache, 6).slot == 4


def test_in_one_pool_any_slot_is_as_good() -> None:
    cache = cache_of(StateStore(HostCache(1 << 20)), shares_cells=True)
    leave(cache, full(cache), 4, 0, 1, 3)
    assert admitted(cache, 6).slot == 4
