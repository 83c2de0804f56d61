"""The steps in which nothing changes: the same answers run, nobody enters, nothing is guessed, and each says one token.

What a step costs beside its decode is paid in cold memory: some ten times what the same code costs when it is warm. In
such steps the scheduler has nothing to decide, so they do without it, and without all that it would look at. Where
guesses could pay, one look-up for each answer says whether there is anything to guess from.
"""

from collections.abc import Callable
from typing import NamedTuple

from backends.drafting.drafter import Drafter
from backends.engine.runner import Step
from backends.engine.scheduler import Scheduler
from backends.engine.sequence import Sequence

MOST = 64  # steps in a row: somebody's turn may last so much longer
LEARNING = 8  # of so many steps one teaches what they cost now


class Book(NamedTuple):
    """Where a token is booked."""

    seq: Sequence
    read: Callable[[int], None]
    say: Callable[[int], None]
    pending: list[int]  # the step's own


class Steady:
    """Whoever changes what runs or waits calls `end`."""

    def __init__(self, scheduler: Scheduler):
        self.uids: tuple[int, ...] = ()
        self._scheduler = scheduler
        # a recurrent model's states are copied between some steps
        self._is_possible = scheduler.cache.runner.max_draft is None
        self._steps: list[Step] = []
        self._books: list[Book] = []
        self._drafters: list[Drafter] = []
        self._guessable: list[Sequence] = []
        self._fallible: list[Sequence] = []  # whose sampler may find that no token is left
        self._ends: frozenset[int] = frozenset()  # of any of them
        self._left = 0
        self._num_made = 0

    def begin(self) -> None:
        """After a whole step: may the next ones do without the scheduler?"""
        scheduler = self._scheduler
        running, speculation = scheduler.running, scheduler.speculation
        if not self._is_possible or not running or not scheduler.is_settled or not all(map(_goes_on, running)):
            return
        if len(running) > scheduler.max_batch_tokens or any(seq.adapters != running[0].adapters for seq in running):
            return
        if speculation.is_blind:
            return
        running = sorted(running, key=lambda seq: seq.slot or 0)  # as a runner has its rows
        self._left = min(MOST, min(seq.room for seq in running) - 1)  # none of these says its last token, or rolls
        self._steps = [Step(seq, seq.tokens[-1:]) for seq in running]
        self._books = [
            Book(step.seq, step.seq.tokens.append, step.seq.completion.append, step.tokens) for step in self._steps
        ]
        self._fallible = [seq for seq in running if seq.sampler]
        self._ends = frozenset().union(*(seq.eos for seq in running))
        self._drafters = speculation.worth_asking(len(running))
        self._guessable = [seq for seq in running if seq.max_draft != 0]
        self.uids = tuple(seq.uid for seq in running)

    def end(self) -> None:
        self._left = 0

    def next(self) -> list[Step] | None:
        """The same steps again, each with its newest token; None when the scheduler has to be asked."""
        if self._left <= 0 or (self._drafters and self._has_guess()):
            self._scheduler.speculation.pass_by(self._num_made, len(self._steps))
            self._left = self._num_made = 0
            return None
        self._left -= 1
        self._num_made += 1
        return self._steps

    def accept(self, sampled: list[list[int]]) -> bool:
        """Book these tokens. False, and nothing is booked, when one of them ends its answer."""
        tokens = [token for (token,) in sampled]
        may_end = not self._ends.isdisjoint(tokens) or (self._fallible and any(seq.failure for seq in self._fallible))
        if may_end and self._has_end(tokens):
            self._left = 0
            return False
        for (seq, read, say, pending), token in zip(self._books, tokens, strict=True):
            read(token)
            say(token)
            seq.num_computed += 1
            pending[0] = token
        return True

    @property
    def teaches(self) -> bool:
        """Whether the last step is one of those whose cost is learnt."""
        return self._num_made % LEARNING == 0

    def _has_end(self, tokens: list[int]) -> bool:
        return any(seq.failure or token in seq.eos for (seq, *_), token in zip(self._books, tokens, strict=True))

    def _has_guess(self) -> bool:
        return any(drafter.has_guess(seq) for drafter in self._drafters for seq in self._guessable)


def _goes_on(seq: Sequence) -> bool:
    return seq.num_pending == 1 and seq.num_alternatives is None
