"""Who is where: a sequence that has not ended runs, waits in the line, or has a reader who does not read.

Whoever stops for others is parked: it waits with its slot, and goes on there with the very cells it had, unless
somebody who runs needs the slot or the cells. So a person at the window takes the place of the newest batch answer at
once, and no place is kept empty for them meanwhile.
"""

from collections.abc import Callable

from backends.engine.line import Line
from backends.engine.prefix_cache import PrefixCache
from backends.engine.sequence import Sequence
from backends.engine.turns import Turns
from backends.protocol import Finish


class Places:
    """Moves sequences, each move whole: what a sequence leaves behind where it was goes with it. When one moves and
    which one is decided elsewhere."""

    def __init__(self, cache: PrefixCache, num_places: int, turns: Turns, on_stop: Callable[[Sequence], None]):
        """on_stop: told of each that runs no more."""
        self.running: list[Sequence] = []
        self.waiting = Line()
        self.num_places = num_places
        self.turns = turns
        self.is_crowded = False  # no room was left: admit and guess nothing until a sequence finishes
        self._cache = cache
        self._on_stop = on_stop
        self._unread: set[Sequence] = set()  # stopped until their readers have read
        self._parked: set[Sequence] = set()  # of these and the waiting: those that have a slot

    @property
    def is_full(self) -> bool:
        return self.is_crowded or len(self.running) == self.num_places

    @property
    def newest(self) -> Sequence:
        """The one that runs with the least right to it: of the lowest priority, and of those the last in the line."""
        return max(self.running, key=self.waiting.rank)

    def outranks(self, seq: Sequence) -> bool:
        """Whether it has more right to a place than one that runs."""
        return any(other.priority > seq.priority for other in self.running)

    def let_in(self, seq: Sequence) -> None:
        """One that has left the line, and has a slot."""
        self._parked.discard(seq)
        self.turns.begin(seq)
        self.running.append(seq)

    def give_way(self) -> None:
        """The newest stands where it stood in the line, with its slot."""
        newest = self.newest
        self._park(newest)
        self.waiting.put_back(newest)

    def end_turn(self, seq: Sequence) -> None:
        """It goes to the end of the line, with its slot."""
        self._park(seq)
        self.waiting.put_last(seq)

    def send_away(self, seq: Sequence) -> None:
        """It stands where it stood in the line, and its slot is idle."""
        self._leave(seq)
        self.waiting.put_back(seq)

    def give_up_parked(self) -> bool:
        """Take a parked sequence's slot: it finds its tokens again if they are there still. False when there is none.

        Last those whose tokens have moved, which would be read again without what they have seen.
        """
        if not self._parked:
            return False
        seq = max(self._parked, key=lambda seq: (not self._cache.rolls.has_moved(seq), self.waiting.rank(seq)))
        self._parked.remove(seq)
        self._cache.release(seq)
        return True

    def pause(self, seq: Sequence) -> None:
        """Its reader does not read: others have its place until `resume`."""
        if seq.finish or seq in self._unread:
            return
        if seq in self.running:
            self._park(seq)
        else:
            self.waiting.remove(seq)
            self._cache.keeper.no_longer_waits(seq)
        self._unread.add(seq)

    def resume(self, seq: Sequence) -> None:
        if seq in self._unread:
            self._unread.remove(seq)
            self.waiting.put_last(seq)

    def finish(self, seq: Sequence, reason: Finish) -> None:
        """End a sequence now, whether it runs or not."""
        if seq.finish:
            return
        seq.finish = reason
        if seq in self.running:
            self.retire(seq)
            return
        self._unread.discard(seq)
        self.waiting.remove(seq)
        self.waiting.forget(seq)
        self._cache.keeper.no_longer_waits(seq)
        if seq in self._parked:
            self._parked.remove(seq)
            self._cache.release(seq)

    def retire(self, seq: Sequence) -> None:
        """One that runs has ended."""
        self._leave(seq)
        self.waiting.forget(seq)
        self.is_crowded = False

    def sequences(self) -> list[Sequence]:
        return [*self.running, *self.waiting, *self._unread]

    def check_integrity(self) -> None:
        assert len(self.running) <= self.num_places
        assert all(seq.slot is not None and not seq.finish for seq in self.running)
        stopped = [*self.waiting, *self._unread]
        assert not any(seq.finish for seq in stopped)
        assert self._parked == {seq for seq in stopped if seq.slot is not None}
        self.turns.check_integrity(self.running)
        assert len(set(self.sequences())) == len(self.sequences()), "a sequence is in two places"
        self.waiting.check_integrity()

    def _park(self, seq: Sequence) -> None:
        self._stop(seq)
        self._parked.add(seq)
        self.is_crowded = False  # its cells can be had

    def _leave(self, seq: Sequence) -> None:
        self._stop(seq)
        self._cache.release(seq)

    def _stop(self, seq: Sequence) -> None:
        self.running.remove(seq)
        self.turns.end(seq)
        self._on_stop(seq)
