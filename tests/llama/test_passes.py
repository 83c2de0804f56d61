"""A model whose predictions are no numbers is refused, wherever in its answer the first of them stands."""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from backends.child import Refusal
from backends.llama.evaluate import Work, _result
from backends.llama.passes import record, score
from backends.llama.reading import Int32s, Step, TextReader
from backends.protocol import EngineOptions
from backends.quality.divergence import Scores
from backends.quality.sampling import Sampling

NUM_TOKENS, NUM_ROWS, THREADS = 64, 40, 2
CHUNKS = np.zeros((1, 2 * NUM_ROWS), np.int32)


class Stub:
    """Reads any text, and is sure of nothing: one row of its logits is no number."""

    path = Path("stub.gguf")
    num_tokens = NUM_TOKENS

    def __init__(self, bad_row: int | None):
        self._logits = np.zeros((NUM_ROWS, NUM_TOKENS), np.float32)
        if bad_row is not None:
            self._logits[bad_row, 3] = np.nan

    def read(self, _chunks: Int32s) -> Iterator[Step]:
        yield self._logits, np.zeros(NUM_ROWS, np.int32)


def stub(bad_row: int | None) -> TextReader:
    return cast(TextReader, Stub(bad_row))


@pytest.mark.parametrize("row", [0, NUM_ROWS // 2, NUM_ROWS - 1])
def test_what_is_no_number_is_noticed_in_every_threads_part(row: int) -> None:
    with pytest.raises(Refusal, match=r"stub\.gguf predicts numbers that are none"):
        score(stub(row), CHUNKS, THREADS, lambda _: None)
    with pytest.raises(Refusal, match=r"stub\.gguf predicts numbers that are none"):
        list(record(stub(row), CHUNKS, Sampling.of(NUM_TOKENS), THREADS))


def test_a_model_that_is_sure_of_nothing_is_scored() -> None:
    scores = score(stub(None), CHUNKS, THREADS, lambda _: None)
    assert scores.nll == pytest.approx(np.full(NUM_ROWS, np.log(NUM_TOKENS)))


def test_a_perplexity_beyond_all_numbers_is_refused() -> None:
    empty = np.empty(0)
    scores = Scores(np.full(4, 1000.0), empty, empty, empty, np.empty(0, np.bool_))
    work = Work(lambda _: None, Path("bad.gguf"), "", EngineOptions(context=16), Path(), Path(), None)
    with pytest.raises(Refusal, match=r"bad\.gguf takes this text for impossible"):
        _result(scores, work, 1.0)
