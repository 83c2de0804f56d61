"""Every filter and penalty on rows made up for it; seeds in company; numbers that make no sense."""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from backends.engine.runner import PromptError
from backends.llama import native
from backends.llama.candidates import Candidates, best
from backends.llama.native import NativeModel
from backends.llama.sampling import sampler
from backends.protocol import Failed, FailureKind, SamplingParams
from tests.llama.conftest import Load
from tests.llama.test_engine import EXACT, NUM_TOKENS, PROMPTS, start, timings

CONTEXT = 512
OPEN = SamplingParams(temperature=1, top_k=0, top_p=1, min_p=0, seed=1)  # every filter off
Draw = Callable[..., list[int]]


@pytest.fixture(scope="module")
def model(tiny: Path) -> Iterator[NativeModel]:
    native.start()
    with NativeModel(tiny, vocab_only=True) as model:
        yield model


@pytest.fixture
def draw(model: NativeModel) -> Draw:
    def draw(logits: dict[int, float], times: int = 300, prompt: tuple[int, ...] = (1,), **changes: Any) -> list[int]:
        """Tokens drawn from the same row again and again; tokens that `logits` leaves out cannot come."""
        params = SamplingParams(**{name: getattr(OPEN, name) for name in SamplingParams.__slots__} | changes)
        made = sampler(params, list(prompt), model.vocabulary.pointer, CONTEXT)
        assert made is not None
        row = np.full(model.vocabulary.num_tokens, -1e9, np.float32)
        row[list(logits)] = list(logits.values())
        drawn = [made.sample(row.copy()) for _ in range(times)]
        made.close()
        return drawn

    return draw


def logs(**shares: float) -> dict[int, float]:
    """t5=0.3 → {5: log 0.3}"""
    return {int(name[1:]): math.log(share) for name, share in shares.items()}


@pytest.mark.parametrize("size", [1, 7, 640, 32_000, 128_256])
@pytest.mark.parametrize("count", [1, 5, 40, 1024])
def test_the_best_few_are_those_that_sorting_finds(size: int, count: int) -> None:
    row = np.random.default_rng(size).standard_normal(size).astype(np.float32)
    ids, values = best(row, min(count, size))
    order = np.argsort(-row)[: min(count, size)]
    assert ids.tolist() == order.tolist()
    assert (values == row[order]).all()


@pytest.mark.parametrize("count", [5, 40, 1024])
def test_the_candidates_of_each_row_are_those_it_has_alone(count: int) -> None:
    """Also beside rows that are all equal, or hold what is no number, or hardly anything but −inf."""
    size = 32_000
    rows = np.random.default_rng(count).standard_normal((5, size)).astype(np.float32)
    rows[1] = 0
    rows[2, 7] = np.nan
    rows[3, :-3] = -np.inf
    found = Candidates(rows, count)
    found.find()
    for at, (begin, end) in enumerate(pairwise([0, *found.ends])):
        row, ids = rows[at], found.ids[begin:end]
        assert (row[ids] == found.values[begin:end]).all()
        assert np.isfinite(row[ids]).all()
        real = np.flatnonzero(np.isfinite(row))
        num_wanted = min(count, real.size) - (at == 2)  # what is no number has a place, and is left out
        greatest = np.sort(row[real])[::-1][:num_wanted]
        assert np.array_equal(np.sort(row[ids])[::-1][:num_wanted], greatest)


def test_without_filters_tokens_come_as_often_as_they_are_likely(draw: Draw) -> None:
    counts = Counter(draw(logs(t5=0.5, t6=0.3, t7=0.2), times=4000))
    assert counts[5] / 4000 == pytest.approx(0.5, abs=0.04)
    assert counts[7] / 4000 == pytest.approx(0.2, abs=0.04)


ROW = logs(t5=0.5, t6=0.3, t7=0.15, t8=0.05)


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({}, {5, 6, 7, 8}),
        ({"top_k": 2}, {5, 6}),
        ({"top_p": 0.7}, {5, 6}),
        ({"min_p": 0.2}, {5, 6, 7}),
        ({"typical_p": 0.2}, {6}),  # −log 0.3 lies nearest to the entropy
        ({"top_n_sigma": 1e-9}, {5}),
        ({"xtc_probability": 1.0, "xtc_threshold": 0.1}, {7, 8}),  # of the likely ones only the last is kept
        ({"temperature": 0.01}, {5}),
        ({"logit_bias": ((5, -100.0), (8, 100.0))}, {8}),
        ({"temperature": 0, "logit_bias": ((7, 5.0),)}, {7}),
    ],
)
def test_each_filter_leaves_what_it_should(draw: Draw, changes: dict[str, Any], wanted: set[int]) -> None:
    assert set(draw(ROW, **changes)) == wanted


def test_mirostat_of_both_versions_aims_at_the_surprise_asked_for(draw: Draw) -> None:
    likely = {n: -n / 40 for n in range(20, 420)}
    total = math.log(sum(math.exp(value) for value in likely.values()))
    for version in (1, 2):
        surprise = {}
        for tau in (2.0, 5.0):
            drawn = draw(likely, times=600, mirostat=version, mirostat_tau=tau)[100:]
            surprise[tau] = float(np.mean([(total - likely[token]) / math.log(2) for token in drawn]))
        assert surprise[2.0] < surprise[5.0], version


def test_dry_breaks_a_repetition_that_the_prompt_has_begun(draw: Draw) -> None:
    loop = (300, 301, 302, 303, 300, 301, 302)
    likely = logs(t303=0.98, t305=0.02)
    assert draw(likely, times=1, prompt=loop, temperature=0, logit_bias=((9, 0.0),)) == [303]
    assert draw(likely, times=1, prompt=loop, temperature=0, dry_multiplier=5.0) == [305]
    assert draw(likely, times=1, prompt=loop, temperature=0, dry_multiplier=5.0, dry_penalty_last_n=3) == [303]
    assert draw(likely, times=1, prompt=loop, temperature=0, dry_multiplier=5.0, dry_allowed_length=4) == [303]


def test_a_dry_sampler_remembers_what_it_has_drawn_itself(draw: Draw) -> None:
    likely = logs(t303=0.98, t305=0.02)
    assert set(draw(likely, times=40, temperature=0, logit_bias=((9, 0.0),))) == {303}
    assert 305 in draw(likely, times=40, temperature=0, dry_multiplier=5.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"temperature": math.nan},
        {"temperature": math.inf},
        {"temperature": -1.0},
        {"top_k": -1},
        {"top_p": 1.5},
        {"min_p": math.nan},
        {"typical_p": -0.1},
        {"top_n_sigma": -1.0},
        {"xtc_probability": 2.0},
        {"dry_base": 0.0},
        {"dry_multiplier": math.inf},
        {"dry_penalty_last_n": -5},
        {"mirostat": 3},
        {"mirostat_eta": math.nan},
        {"repeat_penalty": 0.0},
        {"presence_penalty": -math.inf},
        {"penalty_last_n": 2**40},
        {"logit_bias": ((-1, 1.0),)},
        {"logit_bias": ((10**9, 1.0),)},
        {"logit_bias": ((5, math.nan),)},
    ],
)
def test_numbers_that_make_no_sense_are_refused_by_name(model: NativeModel, changes: dict[str, Any]) -> None:
    with pytest.raises(PromptError, match=next(iter(changes))) as caught:
        sampler(SamplingParams(**changes), [1], model.vocabulary.pointer, CONTEXT)
    assert caught.value.kind is FailureKind.BAD_REQUEST


def test_the_widest_numbers_are_survived(draw: Draw) -> None:
    """What the ranges allow must not crash native code, or draw what is no token."""
    wide = [
        {"temperature": 1000.0, "top_k": 2**40},
        {"temperature": 1e-30},
        {"top_p": 0.0},
        {"min_p": 1.0},
        {"typical_p": 0.0},
        {"top_n_sigma": 0.0},
        {"top_n_sigma": 1e6},
        {"xtc_probability": 1.0, "xtc_threshold": 0.0},
        {"dry_multiplier": 1000.0, "dry_base": 1000.0, "dry_allowed_length": 0, "dry_sequence_breakers": ()},
        {"dry_multiplier": 1.0, "dry_sequence_breakers": ("", "ü" * 400, "\n")},
        {"mirostat": 1, "mirostat_tau": 0.0, "mirostat_eta": 1000.0},
        {"mirostat": 2, "mirostat_tau": 1000.0, "mirostat_eta": 1000.0},
        {"repeat_penalty": 0.01, "presence_penalty": 1e6, "frequency_penalty": -1e6},
        {"logit_bias": ((5, 3e38), (5, 3e38), (6, -3e38))},
    ]
    for changes in wide:
        drawn = draw(ROW, times=30, **changes)
        assert all(0 <= token < 640 for token in drawn), changes


def test_a_refused_sampler_leaves_the_other_streams_alone(load: Load, tiny: Path) -> None:
    handle = load(tiny)
    good = start(handle, PROMPTS[0])
    last = start(handle, PROMPTS[1], sampling=SamplingParams(logit_bias=((10**6, 1.0),))).wait().last
    assert isinstance(last, Failed)
    assert last.kind is FailureKind.BAD_REQUEST
    assert timings(good).predicted_n == NUM_TOKENS


STATEFUL = [
    SamplingParams(temperature=0.9, seed=5, dry_multiplier=0.8, dry_allowed_length=1),
    SamplingParams(temperature=0.9, seed=6, mirostat=2, repeat_penalty=1.2),
    SamplingParams(temperature=0.9, seed=7, xtc_probability=0.5, typical_p=0.9, top_n_sigma=2.0),
    SamplingParams(temperature=0.9, seed=8, mirostat=1, logit_bias=((30, 2.0), (31, -5.0))),
]


def test_samplers_with_a_state_say_the_same_alone_in_a_batch_and_with_drafts(
    load: Load, tiny: Path, tiny_draft: Path
) -> None:
    handle = load(tiny, parallel=4, draft_model=tiny_draft, draft_length=3, **EXACT)
    cases = list(zip(PROMPTS, STATEFUL, strict=True))
    alone = [start(handle, prompt, sampling=params, draft=False).wait().text for prompt, params in cases]
    together = [start(handle, prompt, sampling=params) for prompt, params in cases]
    assert [answer.wait().text for answer in together] == alone
    assert sum(timings(answer).draft_n for answer in together) > 0
