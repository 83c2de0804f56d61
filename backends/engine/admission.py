"""Who comes in before a step, and who makes room for it. Knows places and slots, nothing of the batch."""

from backends.engine.places import Places
from backends.engine.prefix_cache import PrefixCache
from backends.engine.sequence import Sequence


class Admission:
    def __init__(self, places: Places, cache: PrefixCache):
        self._places, self._cache = places, cache

    def admit(self) -> None:
        """Let in all for whom there is a place and a slot."""
        self._end_a_turn()
        places, waiting = self._places, self._places.waiting
        held_back: list[Sequence] = []
        self._cache.room.num_expected = min(len(places.running) + len(waiting), places.num_places)
        while waiting and self.may_enter(waiting.first):
            seq = waiting.pop()
            if seq.slot is None and self._cache.must_wait(seq):  # for its state from disk; others go first
                held_back.append(seq)
                continue
            if len(places.running) == places.num_places:
                places.give_way()
            if seq.slot is None and not self._find_slot(seq) and not self._displace(seq):
                held_back.append(seq)
                break
            places.let_in(seq)
        for seq in held_back:
            waiting.put_back(seq)

    def may_enter(self, seq: Sequence) -> bool:
        """When there is a place, or somebody of lower priority has one."""
        if not self._places.is_full:
            return True
        return self._places.outranks(seq)

    def _end_a_turn(self) -> None:
        """One that has said much goes behind the first that waits for its place, if that has no right to more."""
        places, waiting = self._places, self._places.waiting
        if not waiting or not places.is_full or self._cache.keeper.is_held_back(waiting.first):
            return
        priority = waiting.first.priority
        if seq := places.turns.overdue([seq for seq in places.running if seq.priority == priority]):
            places.end_turn(seq)

    def _displace(self, seq: Sequence) -> bool:
        """Give it the slot of one of lower priority: all are busy, and there is no memory for another one."""
        if not self._places.outranks(seq):
            return False
        self._places.give_way()
        return self._find_slot(seq)

    def _find_slot(self, seq: Sequence) -> bool:
        return self._cache.admit(seq) or (self._places.give_up_parked() and self._cache.admit(seq))
