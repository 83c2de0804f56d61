"""Decides who guesses, and how far ahead: lookup first, then the draft model, each as long as its guesses hold.

Every source keeps its own length per sequence: a guess that held to its end doubles it, a wrong one cuts it to what
held. A source that is mostly wrong rests, and is probed now and then, so that it costs nearly nothing.
"""

from dataclasses import dataclass, field

from backends.engine.drafter import Drafter
from backends.engine.sequence import Sequence

FIRST_LENGTH = 3
MAX_LENGTH = 16
SMOOTHING = 0.2  # weight of the newest guess in the acceptance kept
MIN_ACCEPTANCE = 0.3  # below that a guess costs more than it saves on most machines
PROBE_INTERVAL = 32  # steps a resting source waits before it may try again


@dataclass(slots=True)
class _Record:
    """How one source does on one sequence."""

    length: int = FIRST_LENGTH
    acceptance: float = 1.0
    rest: int = 0

    def observe(self, num_drafted: int, num_accepted: int) -> None:
        self.acceptance += SMOOTHING * (num_accepted / num_drafted - self.acceptance)
        held = num_accepted == num_drafted
        self.length = min(2 * self.length, MAX_LENGTH) if held else max(1, num_accepted + 1)
        if self.acceptance < MIN_ACCEPTANCE:
            self.rest = PROBE_INTERVAL

    def may_draft(self) -> bool:
        self.rest = max(0, self.rest - 1)
        return self.rest == 0


@dataclass(slots=True)
class _History:
    records: dict[str, _Record] = field(default_factory=dict)
    last_source: str = ""


class Speculation:
    """Owns the drafters, best first."""

    def __init__(self, drafters: list[Drafter]):
        self._drafters = drafters
        self._histories: dict[Sequence, _History] = {}

    def propose(self, limits: dict[Sequence, int]) -> dict[Sequence, list[int]]:
        """Guesses for sequences with one token pending, each at most its limit long."""
        guesses: dict[Sequence, list[int]] = {}
        for drafter in self._drafters:
            open_ = {seq: limit for seq, limit in limits.items() if seq not in guesses}
            wanted = self._wanted(drafter, open_)
            found = {s: g for s, g in drafter.propose(wanted).items() if g} if wanted else {}
            for seq in found:
                self._histories[seq].last_source = drafter.name
            guesses |= found
        return guesses

    def observe(self, seq: Sequence, num_drafted: int, num_accepted: int) -> None:
        """Learn what became of a guess."""
        history = self._histories[seq]
        history.records[history.last_source].observe(num_drafted, num_accepted)

    def forget(self, seq: Sequence) -> None:
        self._histories.pop(seq, None)
        for drafter in self._drafters:
            drafter.forget(seq)

    def _wanted(self, drafter: Drafter, limits: dict[Sequence, int]) -> dict[Sequence, int]:
        wanted = {}
        for seq, limit in limits.items():
            history = self._histories.setdefault(seq, _History())
            record = history.records.setdefault(drafter.name, _Record())
            if limit > 0 and record.may_draft():
                wanted[seq] = min(limit, record.length)
        return wanted
