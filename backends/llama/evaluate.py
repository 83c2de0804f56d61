"""Perplexity of a model on a text, and how far its predictions are from a reference's. Runs in a child.

Definitions and protocol are those of llama.cpp's tools/perplexity (`perplexity` and `kl_divergence`), which is what its
users compare with. What differs: the reference's file holds a part of the vocabulary (`backends.quality.sampling`).
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from backends.child import Progress, Refusal, Report
from backends.formats import FormatError
from backends.formats.identity import identity
from backends.llama import native
from backends.llama.choosing import Chooser
from backends.llama.kernel_noise import kernel_noise
from backends.llama.passes import record, score
from backends.llama.placement import default_threads
from backends.llama.reading import Int32s, TextReader
from backends.measurement import Evaluation, Noise
from backends.protocol import EngineOptions, KVType
from backends.quality import statistics
from backends.quality.choices import Answer, BadItems, Item, judge, read_items
from backends.quality.divergence import Scores
from backends.quality.reference import Rows, RowStream
from backends.quality.reference_file import DamagedReference, ReferenceWriter, check_reference, read_reference
from backends.quality.sampling import Sampling
from backends.quality.stages import CHOICES, NOISE, TEXT, Stages


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be measured. references: the folder that keeps; workshop: one of this run's own, on the same disk."""

    report: Report
    model: Path
    text: str
    options: EngineOptions
    references: Path
    workshop: Path
    num_chunks: int | None
    items: tuple[Item, ...] = ()
    has_noise: bool = False
    stages: Stages = field(default_factory=lambda: Stages(()))

    @property
    def threads(self) -> int:
        return self.options.threads or default_threads()

    @property
    def plain(self) -> EngineOptions:
        """For the reference: never with a quantized cache."""
        return replace(self.options, kv_type_k=KVType.F16, kv_type_v=KVType.F16)

    def chunks(self, reader: TextReader) -> Int32s:
        return reader.chunks(self.text, self.num_chunks)

    def progress(self, reader: TextReader, chunks: Int32s) -> Callable[[int], None]:
        """To be told how many more positions were dealt with."""
        return self._advance(
            self.stages.next(), reader.path.name, len(chunks) * reader.rows_per_chunk, "tokens predicted"
        )

    def answers(self, reader: TextReader) -> tuple[list[Answer], float]:
        """To the multiple-choice items, none where none are asked for; and the seconds."""
        if not self.items:
            return [], 0.0
        begin, name = time.perf_counter(), reader.path.name
        advance = self._advance(self.stages.next(), name, len(self.items), "multiple-choice items answered")
        following = reader.following
        with Chooser(reader.model, name, self.threads, self.options.flash_attention, following) as chooser:
            return chooser.answers(self.items, advance), time.perf_counter() - begin

    def noise(self, reader: TextReader, chunks: Int32s) -> Noise | None:
        if not self.has_noise:
            return None
        self.report(Progress(self.stages.next()[0], f"{reader.path.name}: computing it by another path"))
        return kernel_noise(reader, chunks, self.options, self.threads)

    def _advance(self, stage: tuple[float, float], name: str, total: int, what: str) -> Callable[[int], None]:
        begin, end = stage
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            self.report(Progress(begin + (end - begin) * done / total, f"{name}: {done:,} of {total:,} {what}"))

        return advance


def evaluate(
    report: Report,
    model: Path,
    against: Path | None,
    text: str,
    options: EngineOptions,
    exact: bool,
    references: Path,
    workshop: Path,
    num_chunks: int | None = None,
    choices: str | None = None,
    has_noise: bool = False,
) -> Evaluation:
    """options: context is the length of a chunk; num_chunks: of the text, None for all. choices: the text of a file of
    multiple-choice items, answered by both; has_noise: whether the model is computed by a second path, too.

    Raises Refusal.
    """
    native.start()
    items = _items(choices)
    stages = _stages(bool(items), has_noise, against is not None, exact)
    task = Work(report, model, text, options, references, workshop, num_chunks, items, has_noise, stages)
    if against is None:
        return _alone(task)
    return _side_by_side(task, against) if exact else _one_after_the_other(task, against)


def _stages(has_choices: bool, has_noise: bool, has_reference: bool, exact: bool) -> Stages:
    """In the order of the work. Side by side, both models read the text at once."""
    choices, noise = [CHOICES] * has_choices, [NOISE] * has_noise
    if not has_reference:
        return Stages([TEXT, *choices, *noise])
    return Stages([*choices, TEXT, *choices, *noise] if exact else [TEXT, *choices, TEXT, *choices, *noise])


def _items(text: str | None) -> tuple[Item, ...]:
    try:
        return read_items(text) if text is not None else ()
    except BadItems as fault:
        raise Refusal(str(fault)) from fault


def _alone(task: Work) -> Evaluation:
    with TextReader(task.model, task.options) as reader:
        chunks = task.chunks(reader)
        begin = time.perf_counter()
        scores = score(reader, chunks, task.threads, task.progress(reader, chunks))
        seconds = time.perf_counter() - begin
        return _with_asides(_result(scores, task, seconds), task, reader, chunks, [])


def _one_after_the_other(task: Work, against: Path) -> Evaluation:
    """By way of a file: the two need not fit into memory together, and the next candidate finds it there."""
    file, key, sampling, seconds, others = _reference(task, against)
    with TextReader(task.model, task.options) as reader:
        chunks = task.chunks(reader)
        if reader.num_tokens != sampling.num_tokens or _digest(chunks) != key["tokens"]:
            raise _strangers(task.model, against)
        begin = time.perf_counter()
        rows = RowStream(read_reference(file, key, sampling))
        try:
            scores = score(reader, chunks, task.threads, task.progress(reader, chunks), rows)
        except DamagedReference as reason:  # it was whole a moment ago
            raise Refusal(f"The reference's file was changed while it was read ({reason}). Try again.") from reason
        result = _result(scores, task, time.perf_counter() - begin, seconds)
        return _with_asides(result, task, reader, chunks, others)


def _side_by_side(task: Work, against: Path) -> Evaluation:
    """Both in memory, every probability compared, nothing written."""
    with TextReader(task.model, task.options) as reader, TextReader(against, task.plain) as base:
        chunks = task.chunks(reader)
        if base.num_tokens != reader.num_tokens or not np.array_equal(task.chunks(base), chunks):
            raise _strangers(task.model, against)
        everything = Sampling(reader.num_tokens, reader.num_tokens)
        others = task.answers(base)[0]
        begin = time.perf_counter()
        rows = RowStream(record(base, chunks, everything, task.threads))
        scores = score(reader, chunks, task.threads, task.progress(reader, chunks), rows)
        result = _result(scores, task, time.perf_counter() - begin)
        return _with_asides(result, task, reader, chunks, others)


def _with_asides(
    result: Evaluation, task: Work, reader: TextReader, chunks: Int32s, others: list[Answer]
) -> Evaluation:
    """With what is measured beside the text. others: the reference's answers to the items."""
    answers, seconds = task.answers(reader)
    choices = judge(task.items, answers, others or None, seconds) if answers else None
    return replace(result, choices=choices, noise=task.noise(reader, chunks))


def _reference(task: Work, against: Path) -> tuple[Path, dict[str, Any], Sampling, float | None, list[Answer]]:
    """Its file, whole and checked; what that is of; the seconds that it took, None if it was there; and its answers to
    the items, which no file keeps."""
    with TextReader(against, task.plain) as reader:
        chunks = task.chunks(reader)
        sampling, key = Sampling.of(reader.num_tokens), _key(reader, chunks)
        name = hashlib.sha256(repr(sorted(key.items())).encode()).hexdigest()[:32]
        file = task.references / f"{name}.reference"
        try:
            check_reference(file, key, sampling, len(chunks) * reader.rows_per_chunk)
        except DamagedReference as reason:
            print(f"the reference has to be read: {reason}", flush=True)
        else:
            with suppress(OSError):  # gone meanwhile: whoever reads it will say so
                os.utime(file)  # the least recently used goes first
            task.stages.next()
            return file, key, sampling, None, task.answers(reader)[0]
        begin = time.perf_counter()
        blocks = record(reader, chunks, sampling, task.threads, task.progress(reader, chunks))
        _keep(blocks, task.workshop / file.name, file, key)
        seconds = time.perf_counter() - begin
        return file, key, sampling, seconds, task.answers(reader)[0]


def _keep(blocks: Iterator[Rows], part: Path, file: Path, key: dict[str, Any]) -> None:
    try:
        with ReferenceWriter(part, key) as writer:
            for rows in blocks:
                writer.add(rows)
            writer.finish()
        os.replace(part, file)
    except OSError as fault:
        raise Refusal(
            f"The reference's predictions could not be kept in {file.parent}: {fault.strerror or fault}. "
            "Free some space and try again."
        ) from fault


def _key(reader: TextReader, chunks: Int32s) -> dict[str, Any]:
    """All that the predictions depend on."""
    try:
        model = identity(reader.path)
    except FormatError as error:
        raise Refusal(str(error)) from error
    shape = {"context": int(chunks.shape[1]), "chunks": len(chunks), "vocabulary": reader.num_tokens}
    return {"model": model, "tokens": _digest(chunks), **shape, "device": reader.device, "build": native.version()}


def _digest(chunks: Int32s) -> str:
    return hashlib.sha256(chunks.astype("<i4").tobytes()).hexdigest()


def _strangers(model: Path, against: Path) -> Refusal:
    return Refusal(
        f"{model.name} and {against.name} cannot be compared: they cut text into different tokens, so they were not "
        "made from the same model. Choose the F16, BF16 or Q8_0 file that this one was quantized from."
    )


def _result(scores: Scores, task: Work, seconds: float, reference_seconds: float | None = None) -> Evaluation:
    try:
        perplexity, error = statistics.perplexity(scores.nll)
    except OverflowError as fault:
        raise Refusal(
            f"{task.model.name} takes this text for impossible: its perplexity is beyond what a number can hold. "
            "The file is damaged, or this quantization does not suit the model."
        ) from fault
    has_reference = len(scores.kld) > 0
    assert task.options.context
    return Evaluation(
        perplexity=perplexity,
        perplexity_error=error,
        num_tokens=len(scores.nll),
        context=task.options.context,
        kv_type_k=task.options.kv_type_k.value,
        kv_type_v=task.options.kv_type_v.value,
        seconds=seconds,
        kld=statistics.divergence(scores) if has_reference else None,
        reference_perplexity=statistics.perplexity(scores.base_nll)[0] if has_reference else None,
        reference_seconds=reference_seconds,
    )
