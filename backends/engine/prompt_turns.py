"""Whose prompt goes first in a step, where several are read: they share the time alike, and a short one hardly waits.

Two steps of three go to the shortest that is short beside the longest, so that it takes half as long again as it would
alone. The third goes to whoever has had the least time, so that short ones without end stop nobody.
"""

from backends.engine.sequence import Sequence

SHORT = 0.5  # of the longest at most
MOST_IN_A_ROW = 2


class PromptTurns:
    def __init__(self) -> None:
        self._sizes: dict[Sequence, int] = {}  # of the prompts being read: tokens that they lacked when they came
        self._had: dict[Sequence, float] = {}  # seconds of steps; who comes later has had what all should have had
        self._level = 0.0  # that
        self._num_in_a_row = 0  # steps for the shortest

    def order(self, prompts: list[Sequence]) -> list[Sequence]:
        """First whose turn it is; what he leaves of the step is for the next."""
        self._meet(prompts)
        ordered = sorted(prompts, key=lambda seq: (seq.priority, self._had[seq], self._sizes[seq]))
        short = self._short(ordered) if len(ordered) > 1 and self._num_in_a_row < MOST_IN_A_ROW else None
        if short:
            ordered.remove(short)
            ordered.insert(0, short)
        self._num_in_a_row = self._num_in_a_row + 1 if short else 0
        return ordered

    def took(self, seq: Sequence, seconds: float) -> None:
        self._had[seq] += seconds
        self._level += seconds / len(self._had)

    def _meet(self, prompts: list[Sequence]) -> None:
        self._had = {seq: self._had.get(seq, self._level) for seq in prompts}
        self._sizes = {seq: self._sizes.get(seq, seq.num_pending) for seq in prompts}

    def _short(self, prompts: list[Sequence]) -> Sequence | None:
        """Among those of the highest priority, who stand first."""
        equals = [seq for seq in prompts if seq.priority == prompts[0].priority]
        shortest = min(equals, key=lambda seq: self._sizes[seq])
        longest = max(self._sizes[seq] for seq in equals)
        return shortest if self._sizes[shortest] <= SHORT * longest else None
