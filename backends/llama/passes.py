"""One reading of a text by one model: what it predicted is recorded, or scored against what another one recorded."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from backends.child import Refusal
from backends.llama.reading import Int32s, TextReader
from backends.quality import divergence
from backends.quality.crew import Crew
from backends.quality.divergence import Comparer, Scores
from backends.quality.reference import Recorder, Rows, RowStream
from backends.quality.sampling import Sampling
from backends.quality.softmax import Doubles, Floats

Advance = Callable[[int], None]  # told how many more positions were dealt with


def record(
    reader: TextReader, chunks: Int32s, sampling: Sampling, threads: int, advance: Advance | None = None
) -> Iterator[Rows]:
    """Block by block, as the model reads on."""
    with Crew(threads, lambda number: Recorder(sampling, number)) as crew:
        for logits, targets in reader.read(chunks):
            for rows in crew.share(len(targets), partial(_record, logits, targets)):
                _check(reader, rows.targets)
                yield rows
            if advance:
                advance(len(targets))


def score(
    reader: TextReader, chunks: Int32s, threads: int, advance: Advance, reference: RowStream | None = None
) -> Scores:
    """Of every position of the text."""
    found: list[Scores] = []
    sampling = Sampling.of(reader.num_tokens)
    with Crew(threads, lambda _: Comparer(sampling)) as crew:
        for logits, targets in reader.read(chunks):
            known = reference.take(len(targets)) if reference else None
            parts = crew.share(len(targets), partial(_compare, logits, targets, known))
            for part in parts:
                _check(reader, part.nll)
            found += parts
            advance(len(targets))
    return divergence.join(found)


def _record(logits: Floats, targets: Int32s, recorder: Recorder, part: slice) -> Rows:
    return recorder.record(logits[part], targets[part])


def _compare(logits: Floats, targets: Int32s, known: Rows | None, comparer: Comparer, part: slice) -> Scores:
    return comparer.score(logits[part], targets[part], known[part] if known else None)


def _check(reader: TextReader, values: Floats | Doubles) -> None:
    if not np.isfinite(values).all():
        raise Refusal(
            f"{reader.path.name} predicts numbers that are none (NaN or infinite): the file is damaged, or this "
            "quantization does not suit the model. Quantize it again, or to a larger type."
        )
