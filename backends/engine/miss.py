"""Why a prompt was not found whole. Knows what was kept and what is, nothing of slots."""

from collections.abc import Callable, Iterable

from backends.prompt_cache.reasoning import drops_reasoning
from backends.prompt_cache.state import common_prefix
from backends.prompt_cache.state_store import StateStore
from backends.protocol import CacheMiss

Spell = Callable[[list[int]], bytes]  # tokens as text, control tokens too
Known = list[tuple[int, list[int]]]  # of each earlier prompt how far it begins alike, and all of it


class Misses:
    def __init__(self, store: StateStore | None, spell: Spell | None):
        self._store = store
        self._spell = spell

    def reason(self, wanted: list[int], found: int, known: Known, others: Iterable[list[int]]) -> CacheMiss | None:
        """Why only the first `found` of the wanted tokens were there; None when all were.

        others: what is resident and was made with other adapters.
        """
        if found == len(wanted):
            return None
        if any(common_prefix(held, wanted) > found for held in others):
            return CacheMiss.OTHER_BUILD
        if reason := self._store.why_lost(wanted, found) if self._store else None:
            return reason
        if any(shared > found for shared, _ in known):
            return CacheMiss.NO_REWIND
        if not found:
            return CacheMiss.NO_EARLIER_PROMPT
        if any(shared == found == len(held) for shared, held in known):
            return CacheMiss.NEW_TEXT
        nearest = [held for shared, held in known if shared == found]
        if self._spell and any(drops_reasoning(held, wanted, found, self._spell) for held in nearest):
            return CacheMiss.REASONING_DROPPED
        return CacheMiss.DIFFERENCE
