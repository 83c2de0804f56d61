"""How fast one loaded engine reads and answers: by depth, and by how many answers there are side by side."""

import time
from collections.abc import Callable, Iterator
from itertools import cycle

from app.bench.asking import Asking, together_per_second
from app.bench.figures import Answering, Comparison, Reading, Sample, Together
from app.bench.limit import Weigh
from app.bench.passages import ANSWER, Passages, chat, reading
from backends.protocol import Generate, Timings

LEAST, MOST, SECONDS = 2, 5, 12.0  # runs of one thing: no more once they have taken so long
SIDES = (0, 1, 1, 0)  # A B B A: whatever drifts meanwhile comes to both


def repeated(run: Callable[[], float]) -> Sample:
    values, until = [run()], time.monotonic() + SECONDS
    while len(values) < LEAST or (len(values) < MOST and time.monotonic() < until):
        values.append(run())
    return Sample(tuple(values))


def in_turns(run: Callable[[int], float]) -> Comparison:
    """run: of side 0 or 1."""
    sides: tuple[list[float], list[float]] = ([], [])
    until = time.monotonic() + 2 * SECONDS
    for number, side in enumerate(cycle(SIDES)):
        if number % len(SIDES) == 0 and len(sides[0]) >= LEAST and (len(sides[0]) >= MOST or time.monotonic() > until):
            break
        sides[side].append(run(side))
    return Comparison(Sample(tuple(sides[0])), Sample(tuple(sides[1])))


class Speeds:
    """weigh: bytes that a token reads behind so many others. length: tokens of an answer."""

    def __init__(self, asking: Asking, passages: Passages, weigh: Weigh, length: int = ANSWER):
        self._asking, self._passages, self._weigh, self._length = asking, passages, weigh, length

    def answer(self) -> Answering:
        """One, of a short question."""
        intervals: list[float] = []

        def run() -> float:
            (answer,) = self._asking.answers([chat(0, self._length, draft=False)])
            intervals.extend(answer.intervals)
            return answer.timings.predicted_per_second

        return self._answering(0, repeated(run), intervals)

    def behind(self, depth: int) -> tuple[Reading, Answering]:
        """A prompt, twice: the second time it is in the prompt cache, and an answer follows it."""
        runs: list[tuple[Timings, Timings]] = []
        intervals: list[float] = []

        def read() -> float:
            text = self._passages.next(depth)
            cold = self._asking.answer(reading(text))
            (answer,) = self._asking.answers([reading(text, self._length)])
            runs.append((cold, answer.timings))
            intervals.extend(answer.intervals)
            self._passages.learn(len(text), cold.prompt_n + cold.cache_n)
            return cold.prompt_per_second

        speed = repeated(read)
        cold, warm = (Sample(tuple(run[side].first_token_ms / 1000 for run in runs)) for side in (0, 1))
        answers = Sample(tuple(run[1].predicted_per_second for run in runs))
        return Reading(depth, runs[-1][0].prompt_n, speed, cold, warm), self._answering(depth, answers, intervals)

    def together(self, counts: tuple[int, ...], depth: int = 0) -> Iterator[Together]:
        """Each count beside one alone, in turns. The prompts are read before, and are unlike each other."""
        texts = [self._passages.next(depth) for _ in range(max(counts, default=0))] if depth else []
        for text in texts:
            self._asking.answer(reading(text))
        for count in counts:
            requests = [
                reading(texts[number], self._length) if depth else chat(number, self._length, draft=False)
                for number in range(count)
            ]
            yield Together(count, self._in_turns((requests[:1], requests)), depth)

    def equal(self) -> Comparison:
        """One answer beside itself."""
        return in_turns(lambda _: self._per_second([chat(0, self._length, draft=False)]))

    def _in_turns(self, sides: tuple[list[Generate], list[Generate]]) -> Comparison:
        return in_turns(lambda side: self._per_second(sides[side]))

    def _per_second(self, requests: list[Generate]) -> float:
        return together_per_second(self._asking.answers(requests))

    def _answering(self, depth: int, speed: Sample, intervals: list[float]) -> Answering:
        interval = 1000 * Sample(tuple(intervals)).p95 if intervals else 0.0
        return Answering(depth, speed, interval, self._weigh(depth))
