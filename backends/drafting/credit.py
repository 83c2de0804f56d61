"""What guesses may lose: a small share of every step, and what they have earned. So a text that cannot be guessed costs
no more than that share, whatever the chances were thought to be.

Everything counts in plain steps, those without guesses: a guess costs what its rows and its making add to the step,
and each token of it that holds earns what it would have taken.
"""

from backends.drafting.costs import StepCosts
from backends.engine.sequence import Sequence

SHARE = 0.01  # of the steps
FIRST = 4.0  # steps
CHANGES = 2  # of the size of steps that guesses bring: there and back
MOST = 16.0  # that can be saved up: what a text costs at once that turns from repeating itself to something new


class Credit:
    def __init__(self, costs: StepCosts) -> None:
        self._costs = costs
        self._steps = FIRST
        self._begin(1)

    def step(self, num_answers: int, num_steps: int = 1) -> None:
        """One more step has got its share, or several; guesses for so many answers may follow."""
        self._add(num_steps * SHARE)
        self._begin(num_answers)

    def grant(self, lengths: dict[Sequence, int], draft_seconds: float = 0.0) -> dict[Sequence, int]:
        """As much of these guesses as can be paid, beside those that were granted before in this step."""
        longest = max(lengths.values(), default=0)
        while longest and self._price + (price := self._added(lengths, draft_seconds)) > self._steps:
            longest //= 2
            lengths = {seq: min(length, longest) for seq, length in lengths.items() if longest}
        if longest:
            self._price += price
            self._num_guesses += sum(lengths.values())
        return lengths

    def settle(self, num_drafted: int, num_accepted: int) -> None:
        """One sequence's guesses were checked."""
        paid = self._price * num_drafted / self._num_guesses if self._num_guesses else 0.0
        self._add(num_accepted / self._num_answers - paid)

    def _begin(self, num_answers: int) -> None:
        self._num_answers = num_answers
        self._num_guesses = 0
        self._price = 0.0

    def _added(self, lengths: dict[Sequence, int], draft_seconds: float) -> float:
        """What these guesses add to the step."""
        rows = self._num_answers + self._num_guesses
        longer = self._costs.answers(rows + sum(lengths.values())) - self._costs.answers(rows)
        longer += 0.0 if self._num_guesses else CHANGES * self._costs.change
        plain = self._costs.answers(self._num_answers)
        return (longer + max(lengths.values()) * draft_seconds) / plain if plain else 0.0

    def _add(self, num_steps: float) -> None:
        self._steps = min(MOST, self._steps + num_steps)
