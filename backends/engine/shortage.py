"""What is given up when a batch found no free cells. Knows places and slots, nothing of the batch."""

from backends.engine.places import Places
from backends.engine.prefix_cache import PrefixCache
from backends.engine.room import REFUSAL
from backends.engine.sequence import Sequence
from backends.protocol import Finish


class Shortage:
    def __init__(self, places: Places, cache: PrefixCache):
        self._places, self._cache = places, cache

    def make_room(self) -> None:
        """The KV cache is full: let it grow, else forget an old conversation, else one that is parked, else pause the
        newest sequence. Where slots share no cells, idle ones can only go altogether."""
        places, cache = self._places, self._cache
        if cache.room.grow():
            return
        if not cache.runner.shares_cells:
            if not cache.trade():
                self._end_the_full()
            return
        if cache.evict() or (places.give_up_parked() and cache.evict()):
            return
        if not places.is_crowded:  # the guesses' cells may be all that is missing
            places.is_crowded = True
        elif len(places.running) == 1:
            self._end_for_want_of_memory(places.newest)
        else:
            places.send_away(places.newest)  # resident still, and evicted if that is not enough

    def _end_the_full(self) -> None:
        """Those whose slots cannot hold what they have yet to decode; if there are none, guesses were too many."""
        cells = self._cache.runner.size.cells
        full = [seq for seq in self._places.running if len(seq.tokens) > cells]
        for seq in full:
            self._end_for_want_of_memory(seq)
        self._places.is_crowded = not full

    def _end_for_want_of_memory(self, seq: Sequence) -> None:
        """What it has said is kept: it is as long as the cache, as llama-server ends an answer whose context is full.
        Where that is not the limit, which its reader knows, it is told why."""
        if self._cache.room.is_short:
            seq.failure = REFUSAL
        self._places.finish(seq, Finish.LENGTH)
