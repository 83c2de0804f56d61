"""A machine that is not there: its steps take what its cores, its other programs and the thread mode make of them."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from backends.engine.threads import ThreadMode, Threads, thread_modes

HICCUP, HICCUPS = 4.0, 0.01  # times as long, and how often


def bursts(source: random.Random, spell: float, pause: float, share: tuple[float, float]) -> Callable[[float], float]:
    """What a host takes at a moment, of all: between two such shares, for about `spell` seconds, and nothing between.
    The moments that it is asked for must not go back."""
    begin = end = taken = 0.0

    def at(now: float) -> float:
        nonlocal begin, end, taken
        while now >= end:
            begin = end + source.expovariate(1 / pause)
            end = begin + source.expovariate(1 / spell)
            taken = source.uniform(*share)
        return taken if now >= begin else 0.0

    return at


@dataclass(slots=True)
class Machine:
    """others: how many programs spin at a moment. work: of a step, times `step`, by the moment."""

    cores: int
    step: float  # seconds on one core
    others: Callable[[float], int]
    is_seen: bool = True  # whether the system says what others use
    can_sleep: bool = True
    are_polite: bool = False  # the others: they leave a core to whoever wants it
    asleep: float = 1.25  # times as long on a quiet machine
    fighting: float = 20.0  # times as long where a thread spins and another program has its core
    work: Callable[[float], float] = lambda _: 1.0
    noise: random.Random = field(default_factory=lambda: random.Random(0))
    spread: float = 0.04  # of a step's noise
    now: float = 0.0
    _looked: float = 0.0
    _used: float = 0.0

    @property
    def modes(self) -> tuple[ThreadMode, ...]:
        return thread_modes(self.cores, self.can_sleep)

    def threads(self) -> Threads:
        return Threads(self.modes, self.now, self.use)

    def expected(self, mode: ThreadMode) -> float:
        """Seconds of a step that begins now, without noise."""
        count, others = mode.num_threads, self.others(self.now)
        seconds = self.step * self.work(self.now) / count**0.8
        if count > 1 and not mode.is_spinning:
            seconds *= self.asleep
        in_the_way = 0 if self.are_polite else max(0, count + others - self.cores)
        if in_the_way and count > 1 and mode.is_spinning:
            return seconds * self.fighting
        return seconds * (1 + 0.5 * in_the_way / count)

    def run(self, mode: ThreadMode) -> float:
        """Seconds of a step; the clock goes on by them."""
        seconds = self.expected(mode) * self.noise.lognormvariate(0, self.spread)
        seconds *= HICCUP if self.noise.random() < HICCUPS else 1.0
        self._used += self.others(self.now) * seconds
        self.now += seconds
        return seconds

    def use(self) -> float | None:
        """Cores that others have used since the last look."""
        seconds, used = self.now - self._looked, self._used
        self._looked, self._used = self.now, 0.0
        return used / seconds if self.is_seen and seconds > 0 else None

    def drive(self, threads: Threads, until: float) -> list[tuple[float, ThreadMode, float, float]]:
        """Moment, mode, seconds, and what the best mode had taken, of each step."""
        steps = []
        while self.now < until:
            begin, mode = self.now, threads.mode
            best = min(self.expected(other) for other in self.modes)
            seconds = self.run(mode)
            threads.observe(1, seconds, self.now)
            steps.append((begin, mode, seconds, best))
        return steps
