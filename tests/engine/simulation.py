"""The scheduler on a machine whose steps take what a cost model says, with a clock of its own: nobody waits for it."""

import random
from collections.abc import Sequence as Many
from dataclasses import dataclass, field
from itertools import count, pairwise

from backends.drafting.costs import StepCosts
from backends.drafting.pace import Pace
from backends.drafting.speculation import Speculation
from backends.engine.prefix_cache import PrefixCache
from backends.engine.runner import Step
from backends.engine.scheduler import Scheduler
from backends.engine.sequence import Sequence
from backends.fake.runner import FakeRunner

MAX_STEPS = 20_000


@dataclass(frozen=True, slots=True)
class Machine:
    """Seconds. Steps of one size differ by `noise`, a share up or down, and some take four times as long."""

    row: float = 0.012  # a step of one answer
    more_rows: float = 0.001
    fixed: float = 0.008  # each chunk of a prompt: the weights are read again
    token: float = 0.0008
    pair: float = 0.0000004
    noise: float = 0.0
    held_up: float = 0.0

    def answers(self, num_rows: int) -> float:
        return self.row + (num_rows - 1) * self.more_rows if num_rows else 0.0

    def chunk(self, num_tokens: int, depth: int) -> float:
        return self.fixed + num_tokens * self.token + num_tokens * (depth + num_tokens / 2) * self.pair

    def alone(self, length: int, chunk: int = 512) -> float:
        """Of a prompt with nobody beside it."""
        return sum(self.chunk(min(chunk, length - begin), begin) for begin in range(0, length, chunk))


@dataclass(slots=True)
class Reader:
    """One who waits for an answer. Times in seconds of the simulation."""

    arrives: float
    seq: Sequence
    tokens: list[float] = field(default_factory=list)  # when each came

    @property
    def first_token_seconds(self) -> float:
        return self.tokens[0] - self.arrives

    def intervals(self, begin: float, end: float) -> list[float]:
        """Between two tokens that both came in this time."""
        inside = [at for at in self.tokens if begin <= at <= end]
        return [b - a for a, b in pairwise(inside)]


class Simulation:
    def __init__(self, machine: Machine, seed: int = 0, num_slots: int = 12, max_interval: float = 0.15):
        self.machine = machine
        self.costs = StepCosts(Pace(max_interval))
        self.runner = _Unchecked(lambda _: 0, num_slots, 1 << 30)
        self.scheduler = Scheduler(PrefixCache(self.runner), Speculation([], self.costs), num_slots)
        self.now = 0.0
        self.steps: list[tuple[float, list[Step], float]] = []  # when each began, and what it took
        self._random = random.Random(seed)
        self._uids = count(1)
        self._readers: dict[Sequence, Reader] = {}
        self._todo: list[Reader] = []

    def ask(self, length: int, num_tokens: int = 1, at: float = 0.0) -> Reader:
        """A prompt that begins like no other one."""
        uid = next(self._uids)
        reader = Reader(at, Sequence(uid, [uid] * length, max_tokens=num_tokens))
        self._readers[reader.seq] = reader
        self._todo = sorted([*self._todo, reader], key=lambda each: each.arrives)
        return reader

    def run(self, until: float = float("inf")) -> None:
        """To the end of all answers, or to that moment."""
        for _ in range(MAX_STEPS):
            self._let_in()
            if self.now >= until or (self.scheduler.is_idle and not self._todo):
                return
            self._step()
        raise AssertionError("no progress")

    def read(self, reader: Reader) -> int:
        """Tokens of its prompt that have been read."""
        return reader.seq.num_computed

    def _let_in(self) -> None:
        if self.scheduler.is_idle and self._todo:
            self.now = max(self.now, self._todo[0].arrives)
        while self._todo and self._todo[0].arrives <= self.now:
            self.scheduler.add(self._todo.pop(0).seq)

    def _step(self) -> None:
        steps = self.scheduler.schedule()
        chunks = [(len(step.tokens), step.seq.num_computed) for step in steps if len(step.tokens) > 1]
        num_rows = len(steps) - len(chunks)
        seconds = self.machine.answers(num_rows) + sum(self.machine.chunk(*chunk) for chunk in chunks)
        seconds *= 1 + self._random.uniform(-1, 1) * self.machine.noise
        seconds *= 4 if self._random.random() < self.machine.held_up else 1
        self.steps.append((self.now, steps, seconds))
        self.now += seconds
        sampled = self.runner.run(steps)
        self.costs.observe(num_rows, seconds, chunks)
        self.scheduler.update(steps, sampled)
        for step, tokens in zip(steps, sampled, strict=True):
            self._readers[step.seq].tokens += [self.now] * len(tokens)


class _Unchecked(FakeRunner):
    """Long prompts would take long to check; other tests do that."""

    def run(self, steps: Many[Step]) -> list[list[int]]:
        return [[0] if step.samples else [] for step in steps]

    def truncate(self, slot: int, length: int) -> None: ...

    def shortest(self, slot: int, length: int) -> int:  # noqa: ARG002
        return 0
