"""Sampling with guesses draws from the same distribution as without: a chi-square test over thousands of answers."""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache

import numpy as np
import pytest

from app.jobs.convert import convert_checkpoint
from backends.drafting.drafter import Guess
from backends.drafting.speculation import Speculation
from backends.engine.prefix_cache import PrefixCache
from backends.engine.runner import KVFull, Step
from backends.engine.scheduler import Scheduler
from backends.engine.sequence import Sequence
from backends.llama import native
from backends.llama.context import ContextParams, NativeContext
from backends.llama.native import NativeModel
from backends.llama.runner import LlamaRunner, Logits
from backends.llama.sampling import sampler
from backends.protocol import SamplingParams
from tests.convert import checkpoints
from tests.engine.restless import Restless

NUM_ANSWERS = 20_000  # in `make real`
FEW = 3_000  # are enough to tell a wrong rule
PROMPT, NUM_TOKENS, NUM_GUESSES = [20, 30, 40], 4, 2  # the second and the third token are guessed
TEMPERATURE, TOP_K = 0.8, 5
SIDE_BY_SIDE = 50
PARAMS = ContextParams(num_cells=1024, num_slots=SIDE_BY_SIDE, batch_tokens=512, threads=1)
Z = 3.719  # of p = 1e-4
MIN_COUNT = 20  # rarer tokens count together

Answers = list[tuple[int, ...]]


class Known:
    """Guesses what followed most often in answers that were seen before: likely, and often wrong."""

    kinds = {"known": 0.5}  # noqa: RUF012
    is_free = True

    def __init__(self, answers: Answers):
        self._followers: dict[tuple[int, ...], Counter[int]] = {}
        for answer in answers:
            for n in range(len(answer)):
                self._followers.setdefault(answer[:n], Counter())[answer[n]] += 1

    def propose(self, wanted: dict[Sequence, int]) -> dict[Sequence, Guess]:
        guesses = {seq: self._guess(tuple(seq.completion), limit) for seq, limit in wanted.items()}
        return {seq: Guess(tokens, "known") for seq, tokens in guesses.items() if tokens}

    def lag_seconds(self, seq: Sequence) -> float:  # noqa: ARG002
        return 0.0

    def forget(self, seq: Sequence) -> None:
        pass

    def _guess(self, said: tuple[int, ...], limit: int) -> list[int]:
        tokens: list[int] = []
        while len(tokens) < limit and (followers := self._followers.get((*said, *tokens))):
            tokens.append(followers.most_common(1)[0][0])
        return tokens


class Careless(LlamaRunner):
    """The bug that the test is there for: whatever is likely enough is accepted, and not drawn."""

    def _sample_step(self, step: Step, logits: Logits, greedy: list[int]) -> list[int]:
        accepted = []
        for row, guess in zip(logits, step.draft, strict=False):
            chances = np.exp((row - row.max()) / TEMPERATURE)
            if chances[guess] / np.sort(chances)[-TOP_K:].sum() < 0.1:
                break
            accepted.append(guess)
        rest = Step(step.seq, step.tokens, step.draft[len(accepted) :])
        return accepted + super()._sample_step(rest, logits[len(accepted) :], greedy[len(accepted) :])


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NativeContext]:
    """Of a model that decodes faster than it is sampled."""
    folder = tmp_path_factory.mktemp("small")
    settings = checkpoints.config(hidden_size=64, intermediate_size=64, num_hidden_layers=1)
    checkpoints.write(folder / "checkpoint", settings)
    convert_checkpoint(folder / "checkpoint", folder / "small.gguf", "f32", logs=folder)
    native.start()
    with NativeModel(folder / "small.gguf") as model, NativeContext(model, PARAMS) as context:
        yield context


@pytest.fixture(scope="module")
def plain(context: NativeContext) -> Callable[[int], Answers]:
    """So many answers without guesses."""
    return cache(lambda num_answers: draw(LlamaRunner(context, SIDE_BY_SIDE), range(num_answers), None)[0])


def draw(runner: LlamaRunner, seeds: range, drafter: Known | None, disturbed: float = 0.0) -> tuple[Answers, int, int]:
    """An answer for each seed through the real loop; and how many tokens were guessed, and accepted.

    disturbed: the share of the steps before which the cache changes its size."""
    answers: Answers = []
    num_drafted = num_accepted = 0
    for begin in range(seeds.start, seeds.stop, SIDE_BY_SIDE):
        cache = PrefixCache(runner)
        restless = Restless(cache, (), begin, disturbed)
        speculation = Speculation([drafter] if drafter else [], fixed_length=NUM_GUESSES)
        scheduler = Scheduler(cache, speculation, SIDE_BY_SIDE)
        sequences = [_sequence(runner, seed) for seed in range(begin, min(begin + SIDE_BY_SIDE, seeds.stop))]
        for seq in sequences:
            scheduler.add(seq)
        while not scheduler.is_idle:
            restless.disturb()
            steps = scheduler.schedule()
            try:
                scheduler.update(steps, runner.run(steps))
            except KVFull:
                scheduler.make_room()
        cache.clear()
        for seq in sequences:
            assert seq.sampler
            seq.sampler.close()
            answers.append(tuple(seq.completion))
            num_drafted, num_accepted = num_drafted + seq.num_drafted, num_accepted + seq.num_accepted
    return answers, num_drafted, num_accepted


def _sequence(runner: LlamaRunner, seed: int) -> Sequence:
    params = SamplingParams(temperature=TEMPERATURE, top_k=TOP_K, seed=seed)
    made = sampler(params, PROMPT, runner._context.model.vocabulary.pointer, PARAMS.num_cells)
    return Sequence(seed, list(PROMPT), NUM_TOKENS, sampler=made)


def chi_square(one: Answers, other: Answers, at: int) -> tuple[float, float]:
    """Of the tokens at one position in two sets of answers; and what it exceeds once in 10,000 times."""
    counts = [Counter(answer[at] for answer in answers) for answers in (one, other)]
    total = counts[0] + counts[1]
    often = [token for token, count in total.items() if count >= MIN_COUNT]
    table = np.array([[count[token] for token in often] for count in counts], float)
    rest = np.array([[len(one)], [len(other)]]) - table.sum(axis=1, keepdims=True)
    table = np.hstack([table, rest]) if rest.sum() else table
    expected = table.sum(axis=0) * table.sum(axis=1, keepdims=True) / table.sum()
    freedom = table.shape[1] - 1
    return float(((table - expected) ** 2 / expected).sum()), _critical(freedom)


def _critical(freedom: int) -> float:
    """Wilson and Hilferty 1931."""
    spread = 2 / (9 * freedom)
    return float(freedom * (1 - spread + Z * math.sqrt(spread)) ** 3)


@pytest.mark.parametrize(
    ("disturbed", "num_answers"),
    [
        (0.0, FEW),
        (0.3, FEW),
        *(pytest.param(share, NUM_ANSWERS, marks=(pytest.mark.real, pytest.mark.timeout(900))) for share in (0.0, 0.3)),
    ],
    ids=["at rest", "in a cache that changes its size", "at rest, for long", "changing its size, for long"],
)
def test_with_guesses_tokens_come_as_often_as_without(
    context: NativeContext,
    plain: Callable[[int], Answers],
    disturbed: float,
    num_answers: int,
    capsys: pytest.CaptureFixture[str],
) -> None:
    without = plain(num_answers)
    runner = LlamaRunner(context, SIDE_BY_SIDE)
    seeds = range(NUM_ANSWERS, NUM_ANSWERS + num_answers)
    generation = context.generation
    drafted, num_drafted, num_accepted = draw(runner, seeds, Known(without), disturbed)
    assert (context.generation > generation + num_answers / SIDE_BY_SIDE / 10) == (disturbed > 0)
    assert num_drafted >= 2 * num_answers
    assert 0.1 < num_accepted / num_drafted < 0.9, "guesses that always hold, or never, would prove nothing"
    for at in range(NUM_TOKENS):
        found, most = chi_square(without, drafted, at)
        with capsys.disabled():
            print(f"\n  token {at + 1}: chi-square {found:.1f}, at most {most:.1f}", end="")
        assert found < most


def test_a_guess_that_is_accepted_because_it_is_likely_is_noticed(
    context: NativeContext, plain: Callable[[int], Answers]
) -> None:
    careless = Careless(context, SIDE_BY_SIDE)
    drafted, _, num_accepted = draw(careless, range(NUM_ANSWERS, NUM_ANSWERS + FEW), Known(plain(FEW)))
    assert num_accepted
    found, most = chi_square(plain(FEW), drafted, at=1)
    assert found > 2 * most


def test_another_temperature_is_noticed() -> None:
    """The test of the test, on numbers made up."""
    random = np.random.default_rng(0)

    def drawn(weights: list[float]) -> Answers:
        return [(int(token),) for token in random.choice(len(weights), NUM_ANSWERS, p=weights)]

    found, most = chi_square(drawn([0.5, 0.3, 0.2]), drawn([0.5, 0.3, 0.2]), 0)
    assert found < most
    found, most = chi_square(drawn([0.5, 0.3, 0.2]), drawn([0.53, 0.28, 0.19]), 0)
    assert found > most
