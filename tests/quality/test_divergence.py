"""The arithmetic against its definition, on vocabularies kept whole and in part."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.quality import statistics
from backends.quality.crew import Crew
from backends.quality.divergence import Comparer, Scores
from backends.quality.reference import Recorder, Rows, RowStream
from backends.quality.sampling import Sampling
from tests.quality.brute import divergences, log_softmax, pair


def compare(reference: np.ndarray, candidate: np.ndarray, sampling: Sampling, seed: int = 0) -> Scores:
    targets = np.arange(len(reference), dtype=np.int32) % sampling.num_tokens
    rows = Recorder(sampling, seed).record(reference, targets)
    return Comparer(sampling).score(candidate, targets, rows)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    num_tokens=st.integers(2, 300),
    scale=st.floats(0.0, 20.0),
    noise=st.floats(0.0, 5.0),
    seed=st.integers(0, 1000),
)
def test_a_small_vocabulary_is_compared_exactly(num_tokens: int, scale: float, noise: float, seed: int) -> None:
    reference, candidate = pair(7, num_tokens, scale, noise, seed)
    scores = compare(reference, candidate, Sampling.of(num_tokens))
    assert scores.kld == pytest.approx(
        divergences(reference, candidate), rel=1e-4, abs=1e-5
    )  # logits of 80 have that in float32
    targets = np.arange(7) % num_tokens
    assert scores.nll == pytest.approx(-log_softmax(candidate)[np.arange(7), targets], rel=1e-5, abs=1e-5)
    assert scores.base_nll == pytest.approx(-log_softmax(reference)[np.arange(7), targets], rel=1e-5, abs=1e-5)
    assert (scores.is_same_top == (reference.argmax(axis=1) == candidate.argmax(axis=1))).all()


def test_tokens_that_are_ruled_out_do_no_harm() -> None:
    for num_tokens in (100, 20_000):
        reference, candidate = pair(5, num_tokens, 2.0, 0.2)
        reference[:, 3:9] = candidate[:, 3:9] = -np.inf
        true = divergences(np.delete(reference, range(3, 9), axis=1), np.delete(candidate, range(3, 9), axis=1))
        found = compare(reference, candidate, Sampling.of(num_tokens))
        assert found.kld == pytest.approx(true, rel=1e-4 if num_tokens == 100 else 0.4)  # of one position
        assert found.kld.mean() == pytest.approx(true.mean(), rel=0.15)


def test_a_model_is_no_distance_from_itself() -> None:
    for num_tokens in (100, 20_000):
        reference, _ = pair(20, num_tokens, 3.0, 0.0)
        scores = compare(reference, reference, Sampling.of(num_tokens))
        assert np.abs(scores.kld).max() < 1e-6
        assert scores.is_same_top.all()


@pytest.mark.parametrize(("scale", "noise"), [(8.0, 0.3), (3.0, 0.2), (1.0, 0.05), (1.0, 0.01), (0.0, 0.1)])
def test_a_large_vocabulary_is_estimated_within_its_stated_error(scale: float, noise: float) -> None:
    """From peaked to flat, as a random model is."""
    reference, candidate = pair(40, 30_000, scale, noise)
    true = divergences(reference, candidate)
    scores = compare(reference, candidate, Sampling.of(30_000))
    found = statistics.divergence(scores)
    assert abs(found.mean - true.mean()) <= 1.5 * found.approximation  # three standard errors
    assert found.approximation < 0.06 * found.mean, "of 40 positions; of 4,000 it would be a tenth"
    assert found.p99 == pytest.approx(np.percentile(true, 99), rel=0.4)


def test_the_estimate_is_right_on_the_average_of_many_draws() -> None:
    reference, candidate = pair(4, 12_000, 1.0, 0.3)
    sampling = Sampling(12_000, 300)
    draws = np.array([compare(reference, candidate, sampling, seed).kld for seed in range(120)])
    spread = draws.std(axis=0) / np.sqrt(len(draws))
    assert (np.abs(draws.mean(axis=0) - divergences(reference, candidate)) < 4 * spread).all()


def test_the_variance_told_is_that_of_the_draws_or_more() -> None:
    """More, because the lots of a row are drawn evenly, not each for itself."""
    reference, candidate = pair(3, 12_000, 1.0, 0.3)
    sampling = Sampling(12_000, 300)
    found = [compare(reference, candidate, sampling, seed) for seed in range(120)]
    told = np.mean([scores.variance for scores in found], axis=0)
    ratio = told / np.var([scores.kld for scores in found], axis=0)
    assert (ratio > 0.6).all()
    assert (ratio < 3).all()


def test_a_candidate_that_is_sure_of_something_absurd_is_caught() -> None:
    """All of its probability on a token that the reference hardly knows, and that was not kept."""
    reference, candidate = pair(50, 30_000, 4.0, 0.05)
    candidate[:, 17] += 40
    true = divergences(reference, candidate)
    scores = compare(reference, candidate, Sampling.of(30_000))
    assert scores.kld == pytest.approx(true, rel=0.2)
    assert scores.kld.mean() == pytest.approx(true.mean(), rel=0.02)


def test_two_percent_of_a_real_vocabulary_are_kept() -> None:
    for scale in (0.0, 1.0, 6.0):
        reference, _ = pair(12, 152_064, scale, 0.0)
        rows = Recorder(Sampling.of(152_064)).record(reference, np.zeros(12, np.int32))
        kept = sum(array.nbytes for array in (rows.ids, rows.log_p, rows.tops, rows.targets, rows.counts))
        assert kept <= 0.02 * reference.nbytes


def test_rows_can_be_cut_and_joined_anywhere() -> None:
    for num_tokens in (50, 5_000):
        reference, _ = pair(23, num_tokens, 2.0, 0.0)
        rows = Recorder(Sampling.of(num_tokens)).record(reference, np.zeros(23, np.int32))
        stream = RowStream(iter([rows[:9], rows[9:10], rows[10:]]))
        pieces = [stream.take(count) for count in (1, 11, 8, 3)]
        found = [kept for piece in pieces for kept in piece.kept()]
        for kept, known in zip(found, rows.kept(), strict=True):
            assert (kept.ids == known.ids).all()
            assert (kept.log_p == known.log_p).all()
        assert np.concatenate([piece.tops for piece in pieces]).tolist() == rows.tops.tolist()


def test_threads_change_nothing() -> None:
    reference, candidate = pair(40, 500, 2.0, 0.5)
    sampling, targets = Sampling.of(500), np.zeros(40, np.int32)
    rows: Rows = Recorder(sampling).record(reference, targets)
    whole = Comparer(sampling).score(candidate, targets, rows)
    with Crew(3, lambda _: Comparer(sampling)) as crew:
        parts = crew.share(40, lambda tool, part: tool.score(candidate[part], targets[part], rows[part]))
    assert len(parts) == 3
    assert np.concatenate([part.kld for part in parts]).tolist() == whole.kld.tolist()


def test_statistics_are_those_of_llama_perplexity() -> None:
    """mean_and_uncertainty, percentile and the error of a share, as tools/perplexity has them."""
    random = np.random.default_rng(0)
    kld, nll = random.exponential(0.1, 1000), random.exponential(2.0, 1000)
    same = random.random(1000) < 0.9
    found = statistics.divergence(Scores(nll, kld, np.zeros(1000), nll, same))
    f, df = kld.sum() / 1000, (kld**2).sum() / 1000 - (kld.sum() / 1000) ** 2
    assert (found.mean, found.error) == pytest.approx((f, np.sqrt(df / 999)))
    position = 0.99 * 999
    low, part = int(position), position - int(position)
    ordered = np.sort(kld)
    assert found.p99 == pytest.approx((1 - part) * ordered[low] + part * ordered[low + 1])
    assert found.maximum == ordered[-1]
    assert found.same_top_error == pytest.approx(np.sqrt(same.mean() * (1 - same.mean()) / 999))
    ppl, error = statistics.perplexity(nll)
    assert (ppl, error) == pytest.approx((np.exp(nll.mean()), np.exp(nll.mean()) * nll.std() / np.sqrt(999)))
