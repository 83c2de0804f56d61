"""What look-ups cost and win, in steps of a known cost: on prose, on text that misleads, and on text that repeats."""

import itertools
import random
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import backends
from backends.drafting.drafter import LookupDrafter
from backends.drafting.speculation import Speculation
from backends.engine.prefix_cache import PrefixCache
from backends.engine.scheduler import Scheduler
from backends.engine.sequence import Sequence
from backends.fake.runner import FakeRunner
from tests.engine.costs import costs

TEXTS = Path(backends.__file__).parent / "llama" / "quantization" / "calibration.txt"
SLOPES = (0.05, 0.3, 0.6, 0.9)  # what a further row costs of a step: little on a GPU, much on few cores


@dataclass
class Bench:
    """One engine's life: what it learns from one answer it knows in the next."""

    slope: float
    plain: float = 0.0  # seconds that the answers would have taken without guesses
    taken: float = 0.0
    speculation: Speculation = field(init=False)

    def __post_init__(self) -> None:
        self.costs = costs(self.slope)
        self.speculation = Speculation([LookupDrafter()], self.costs)

    @property
    def gain(self) -> float:
        return self.plain / self.taken

    def answer(self, *exchanges: tuple[list[int], list[int]]) -> None:
        """Prompts and what is said to each, side by side."""
        scripts = {prompt[0]: prompt + said for prompt, said in exchanges}
        runner = FakeRunner(lambda prefix: scripts[prefix[0]][len(prefix)], len(exchanges) + 1, 100_000)
        scheduler = Scheduler(PrefixCache(runner), self.speculation, len(exchanges))
        for prompt, said in exchanges:
            scheduler.add(Sequence(prompt[0], list(prompt), max_tokens=len(said)))
        while not scheduler.is_idle:
            steps = scheduler.schedule()
            sampled = runner.run(steps)
            answers = [step for step in steps if len(step.tokens) == 1]
            if len(answers) == len(steps):
                self.taken += self.costs.answers(sum(step.num_rows for step in answers))
                tokens = sum(map(len, sampled)) / len(steps)
                self.plain += self.costs.answers(len(steps)) * tokens
            scheduler.update(steps, sampled)


def words(text: str, first: int) -> list[int]:
    """Tokens of a text, behind one that no other text has."""
    found = re.findall(r"\w+|\s|[^\w\s]", text)
    return [1_000_000 + first, *(hash_of(word) for word in found)]


def hash_of(word: str) -> int:
    return sum(ord(letter) * 31**n for n, letter in enumerate(word)) % 999_983


def prose() -> list[str]:
    paragraphs = TEXTS.read_text("utf-8").split("\n\n")
    return [
        text for text in paragraphs if len(text) > 300 and text[0].isalpha() and "{" not in text and "=" not in text
    ]


def misleading(seed: int, length: int = 300) -> list[int]:
    """The same three words again and again, each time followed by another one."""
    pick = random.Random(seed)
    phrases = [[100 * n + k for k in range(3)] for n in range(12)]
    return [token for _ in range(length // 4) for token in (*pick.choice(phrases), pick.randrange(10_000, 900_000))]


@pytest.mark.parametrize("slope", SLOPES)
@pytest.mark.parametrize("num_streams", [1, 4])
def test_on_prose_lookups_cost_next_to_nothing(slope: float, num_streams: int) -> None:
    bench, texts = Bench(slope), prose()
    assert len(texts) > 20
    exchanges = [
        (words(asked, n)[:60], words(said, n)[1:200]) for n, (asked, said) in enumerate(itertools.pairwise(texts))
    ]
    for n in range(0, len(exchanges) - num_streams + 1, num_streams):
        bench.answer(*exchanges[n : n + num_streams])
    assert bench.gain > 0.985


@pytest.mark.parametrize("slope", SLOPES)
def test_text_that_misleads_costs_no_more_than_its_share(slope: float) -> None:
    bench = Bench(slope)
    for n in range(20):
        bench.answer(([1_000_000 + n, *misleading(n)], misleading(1000 + n)))
    assert bench.gain > 0.985


@pytest.mark.parametrize("slope", [0.05, 0.3])
def test_an_answer_that_is_said_again_takes_half_the_time(slope: float) -> None:
    bench = Bench(slope)
    for n, text in enumerate(prose()[:6]):
        said = words(text, n)
        bench.answer((said + said[1:4], said[4:200]))
    assert bench.gain > 1.6


def test_what_repeats_itself_is_noticed_soon_after_much_that_does_not() -> None:
    bench = Bench(0.3)
    for n in range(20):
        bench.answer(([1_000_000 + n, *misleading(n)], misleading(1000 + n)))
    bench.plain = bench.taken = 0.0
    for n, text in enumerate(prose()[:4]):
        said = words(text, n)
        bench.answer((said + said[1:4], said[4:200]))
    assert bench.gain > 1.3
