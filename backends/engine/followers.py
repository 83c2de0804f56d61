"""Which prompts wait while another one reads the text that both begin with. Knows tokens, no slots."""

from backends.engine.sequence import Sequence
from backends.prompt_cache.state import common_prefix

MIN_SHARED = 64  # tokens that two prompts must both still need, for one to wait until the other has read them


class Followers:
    """Remembers of prompts that are being read how far they begin alike."""

    def __init__(self, min_shared: int = MIN_SHARED):
        self._min_shared = min_shared
        self._shared: dict[Sequence, dict[Sequence, int]] = {}

    def follows(self, seq: Sequence, readers: list[Sequence]) -> bool:
        """Whether a reader is at a text that seq needs, too: its cells are shared as soon as it is through."""
        if seq.num_unscored or not seq.reuses:  # it must see every token itself
            return False
        shared = {reader: self._num_shared(seq, reader) for reader in readers}
        return any(r.num_computed < n and n - seq.num_computed >= self._min_shared for r, n in shared.items())

    def forget(self, seq: Sequence) -> None:
        """It stops, or its tokens move."""
        self._shared.pop(seq, None)
        for known in self._shared.values():
            known.pop(seq, None)

    def _num_shared(self, seq: Sequence, reader: Sequence) -> int:
        known = self._shared.setdefault(seq, {})
        if reader not in known:
            known[reader] = common_prefix(reader.tokens, seq.tokens[:-1])
        return known[reader]
