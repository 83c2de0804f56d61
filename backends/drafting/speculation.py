"""Decides who guesses, and how far ahead: as far as measured costs and measured acceptance say that it pays.

With B answers side by side, a chance `a` that a guess holds, V(n) the cost of a step of n rows and c that of one
draft step, a guess of length g says (1 - a^(g+1)) / (1 - a) tokens per step (Leviathan et al. 2023), so it is worth

    S(g) = (1 - a^(g+1)) / (1 - a) * V(B) / (V(B (g+1)) + g c)

The best g is taken, none when S < MIN_GAIN. A source that does not pay is tried again now and then: often enough to
notice when the text changes, not at all while even perfect guesses could not pay. What chances are thought to be may be
wrong, so guesses live on what they have earned (Credit).
"""

from dataclasses import dataclass, field
from time import perf_counter

from backends.drafting.costs import FAST, StepCosts
from backends.drafting.credit import CHANGES, Credit
from backends.drafting.drafter import Drafter
from backends.engine.sequence import Sequence
from backends.median import running_median
from backends.protocol import Drafting, DraftSource

MAX_LENGTH = 16
MIN_GAIN = 1.02
PERFECT = 0.98  # the acceptance that a source could have at best
SMOOTHING = 0.1  # weight of the newest guess in the acceptance kept
PRIOR_WEIGHT = 0.5  # of what the source did elsewhere, when a sequence begins
PROBE_INTERVAL = 48  # steps between two trials of a source whose guesses were too often wrong
RECHECK_INTERVAL = 1024  # of one that could not pay even with perfect guesses: the costs may have changed
PLAIN_INTERVAL = 24  # every so many steps go without guesses, for what they are compared with
DECISION_STEPS = 32  # a decision holds so long; costs and acceptance move slower than that
CHANCE_STEPS = 50  # chances are told apart by two hundredths
PAYBACK_STEPS = 64  # a draft model may read a prompt if its guesses earn that back within so many steps


@dataclass(slots=True)
class Source:
    """What is known of one kind of guess, over all sequences."""

    acceptance: float
    num_checked: int = 0
    draft_seconds: float = 0.0  # of one draft step over the whole batch
    tried: int = 0  # the step of its last trial
    by_sequence: dict[Sequence, float] = field(default_factory=dict)

    def chance(self, seq: Sequence) -> float:
        return self.by_sequence.get(seq, self.acceptance)

    def observe(self, seq: Sequence, num_drafted: int, num_accepted: int) -> None:
        """Each guess checked is one trial; those after the first wrong one were not checked."""
        for i in range(min(num_accepted + 1, num_drafted)):
            held = float(i < num_accepted)
            self.num_checked += 1
            chance = self.chance(seq)
            self.by_sequence[seq] = chance + SMOOTHING * (held - chance)
            self.acceptance += SMOOTHING * PRIOR_WEIGHT * (held - self.acceptance)


class Speculation:
    """Owns the drafters, best first. `fixed_length` takes the decision away, for tests and measurements."""

    def __init__(self, drafters: list[Drafter], costs: StepCosts | None = None, fixed_length: int | None = None):
        self.costs = costs or StepCosts()
        self._drafters = drafters
        self._fixed_length = fixed_length
        self._sources = {kind: Source(prior) for drafter in drafters for kind, prior in drafter.kinds.items()}
        self._kind_of: dict[Sequence, str] = {}
        self._decisions: dict[tuple[int, int, int], tuple[int, float]] = {}
        self._credit = Credit(self.costs)
        self._age = 0  # steps
        self._before = 0  # the age at the proposal before
        self._num_passed = 0  # steps since the last proposal
        self._num_guessed = 0  # steps with guesses since the last one without
        self._most_rows = 0

    def propose(self, limits: dict[Sequence, int]) -> dict[Sequence, list[int]]:
        """Guesses for sequences with one token pending, each at most its limit long."""
        guesses: dict[Sequence, list[int]] = {}
        if not limits or self.is_blind:
            return guesses
        self._begin_step(len(limits))
        if self._num_guessed >= PLAIN_INTERVAL - 1 and self._fixed_length is None:
            self._num_guessed = 0
            return guesses
        for drafter in self.worth_asking(len(limits)):
            waiting = {seq: limit for seq, limit in limits.items() if limit > 0 and seq not in guesses}
            guesses |= self._ask(drafter, waiting, len(limits)) if waiting else {}
        self._num_guessed = self._num_guessed + 1 if guesses else 0
        return guesses

    @property
    def is_blind(self) -> bool:
        """A plain step comes first, to compare with."""
        return bool(self._drafters) and self._fixed_length is None and not self.costs.answers(1)

    def worth_asking(self, num_answers: int) -> list[Drafter]:
        """Those whose guesses could pay now, if one of them has any."""
        if self.costs.most_rows != self._most_rows:
            self._decisions.clear()
            self._most_rows = self.costs.most_rows
        return [drafter for drafter in self._drafters if self._may_pay(drafter, num_answers)]

    def pass_by(self, num_steps: int, num_answers: int) -> None:
        """So many steps were made without `propose`: there was nothing to guess."""
        if num_steps:
            self._num_passed += num_steps
            self._num_guessed = 0
            self._credit.step(num_answers, num_steps)

    def observe(self, seq: Sequence, num_drafted: int, num_accepted: int) -> None:
        """Learn what became of a guess."""
        source = self._sources[self._kind_of[seq]]
        source.observe(seq, num_drafted, num_accepted)
        self._credit.settle(num_drafted, num_accepted)
        if num_accepted == num_drafted:
            source.tried = -PROBE_INTERVAL  # a trial that succeeds is repeated at once

    def forget(self, seq: Sequence) -> None:
        self._kind_of.pop(seq, None)
        for source in self._sources.values():
            source.by_sequence.pop(seq, None)
        for drafter in self._drafters:
            drafter.forget(seq)

    def shrink(self) -> None:
        """Nobody is answered for a while."""
        for drafter in self._drafters:
            drafter.shrink()

    @property
    def can_learn(self) -> bool:
        return bool(self._drafters) and self._fixed_length is None

    def measure_drafts(self, dummy: Sequence, length: int, counts: bool) -> None:
        """What a draft step costs, on a sequence that nobody waits for."""
        for drafter in self._drafters:
            if not drafter.is_free:
                self._timed(drafter, {dummy: length}, counts)
                drafter.forget(dummy)

    def describe(self) -> Drafting:
        """For Stats."""
        sources = tuple(
            DraftSource(kind, source.acceptance, source.num_checked, source.draft_seconds)
            for kind, source in self._sources.items()
        )
        one, two = self.costs.answers(1), self.costs.answers(2)
        return Drafting(sources, two / one if one and self.costs.most_rows > 1 else None)

    def _begin_step(self, num_answers: int) -> None:
        self._before, self._age = self._age, self._age + 1 + self._num_passed
        self._num_passed = 0
        self._credit.step(num_answers)
        if self._is_due(DECISION_STEPS):
            self._decisions.clear()

    def _is_due(self, interval: int) -> bool:
        """Once in so many steps."""
        return self._age // interval > self._before // interval

    def _ask(self, drafter: Drafter, waiting: dict[Sequence, int], num_answers: int) -> dict[Sequence, list[int]]:
        if drafter.is_free:
            return self._ask_free(drafter, waiting, num_answers)
        (kind,) = drafter.kinds
        source = self._sources[kind]
        wanted = {seq: min(limit, self._length(source, seq, num_answers)) for seq, limit in waiting.items()}
        wanted = {seq: length for seq, length in wanted.items() if length}
        wanted = {seq: length for seq, length in wanted.items() if self._repays(drafter, source, seq)}
        wanted = self._paid(wanted, source.draft_seconds)
        if not wanted:
            return {}
        found = self._timed(drafter, wanted)
        self._kind_of |= dict.fromkeys(found, kind)
        return found

    def _timed(self, drafter: Drafter, wanted: dict[Sequence, int], counts: bool = True) -> dict[Sequence, list[int]]:
        (kind,) = drafter.kinds
        source = self._sources[kind]
        reading = sum(drafter.lag_seconds(seq) for seq in wanted)
        begin = perf_counter()
        found = {seq: guess.tokens for seq, guess in drafter.propose(wanted).items()}
        rounds = max((len(tokens) for tokens in found.values()), default=0)
        if rounds and counts:
            seconds = max(0.0, perf_counter() - begin - reading) / rounds
            source.draft_seconds = running_median(source.draft_seconds or None, seconds, FAST)
        return found

    def _ask_free(self, drafter: Drafter, waiting: dict[Sequence, int], num_answers: int) -> dict[Sequence, list[int]]:
        """A look-up costs nothing, so it comes first; how much of it is decoded depends on what matched."""
        guesses = drafter.propose({seq: min(n, MAX_LENGTH) for seq, n in waiting.items()})
        lengths = {
            seq: min(len(guess.tokens), self._length(self._sources[guess.kind], seq, num_answers))
            for seq, guess in guesses.items()
        }
        lengths = self._paid({seq: length for seq, length in lengths.items() if length})
        self._kind_of |= {seq: guesses[seq].kind for seq in lengths}
        return {seq: guesses[seq].tokens[:length] for seq, length in lengths.items()}

    def _paid(self, lengths: dict[Sequence, int], draft_seconds: float = 0.0) -> dict[Sequence, int]:
        return lengths if self._fixed_length is not None else self._credit.grant(lengths, draft_seconds)

    def _may_pay(self, drafter: Drafter, num_answers: int) -> bool:
        """Whether perfect guesses would pay. If not, only a rare look at what they cost by now."""
        if self._fixed_length is not None or self._is_due(RECHECK_INTERVAL):
            return True
        kind = next(iter(drafter.kinds))
        return self._decide(self._sources[kind], PERFECT, num_answers)[1] >= MIN_GAIN

    def _length(self, source: Source, seq: Sequence, num_answers: int) -> int:
        if self._fixed_length is not None:
            return self._fixed_length
        length, gain = self._decide(source, source.chance(seq), num_answers)
        if gain >= MIN_GAIN:
            return length
        if self._age - source.tried < PROBE_INTERVAL:
            return 0
        source.tried = self._age
        return 1

    def _decide(self, source: Source, chance: float, num_answers: int) -> tuple[int, float]:
        """`_best`, remembered for some steps and for chances that are nearly the same: it costs 30 µs."""
        key = (id(source), num_answers, round(CHANCE_STEPS * chance))
        if key not in self._decisions:
            self._decisions[key] = self._best(source, chance, num_answers)
        return self._decisions[key]

    def _best(self, source: Source, chance: float, num_answers: int) -> tuple[int, float]:
        """The length that says most per second, and how many times as much as no guesses."""
        plain = self.costs.answers(num_answers)
        # costs are known as far as steps have gone: twice as far is near enough to be trusted
        longest = min(MAX_LENGTH, max(1, 2 * self.costs.most_rows // num_answers - 1))
        best, gain, tokens = 0, 1.0, 1.0
        for length in range(1, longest + 1):
            tokens += chance**length
            seconds = self.costs.answers(num_answers * (length + 1)) + length * source.draft_seconds
            seconds += CHANGES * self.costs.change
            if (worth := tokens * plain / seconds) > gain:
                best, gain = length, worth
        return best, gain

    def _repays(self, drafter: Drafter, source: Source, seq: Sequence) -> bool:
        """Whether a draft model that lags behind may read what it has missed."""
        lag = drafter.lag_seconds(seq)
        if self._fixed_length is not None or not lag:
            return True
        plain = self.costs.answers(1)
        _, gain = self._decide(source, source.chance(seq), 1)
        return not plain or lag <= PAYBACK_STEPS * max(gain - 1, 1 / PAYBACK_STEPS) * plain
