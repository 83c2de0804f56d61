"""Converts a checkpoint folder into one GGUF file, a tensor at a time. Runs in a child; knows no llama.cpp.

Peak memory is some pieces of a tensor (`encode.PIECE`), or one matrix of it. A kill
leaves the old target or the new one.
"""

import errno
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import get_args

import gguf

from backends.child import ConvertResult, Progress, Refusal, Report
from backends.convert.config import Config, Size
from backends.convert.encode import FloatType
from backends.convert.files import part_of, publish, require_space
from backends.convert.gguf_writer import VocabularyWriter
from backends.convert.metadata import add_metadata
from backends.convert.plan import plan_tensors
from backends.convert.sentence_vectors import read_pooling
from backends.convert.settings import read_config, require_known
from backends.convert.tokenizer import read_vocabulary
from backends.convert.vocabulary_writer import add_vocabulary, model_name
from backends.convert.weights import read_weights
from backends.convert.writer import write_tensors
from backends.convert.yarn import yarn_rounding
from backends.ownership.files import delete_file

METADATA_BYTES = 32 << 20  # room for the vocabulary and the header


def convert(
    report: Report, source: Path, target: Path, type: FloatType = "bf16", *, is_final: bool = True
) -> ConvertResult:
    """Writes the checkpoint in folder `source` to `target`. Raises Refusal with one sentence.

    Unless is_final the file stays at `part_of(target)`, for someone who looks at it first.
    """
    start = time.perf_counter()
    if type not in get_args(FloatType):
        raise Refusal(f"{type!r} is not a type to convert to. These are: {', '.join(get_args(FloatType))}.")
    report(Progress(0.0, "Reading the checkpoint"))
    try:
        require_known(source)
        entries = read_weights(source)  # it looks where the files lie
        architecture, config = read_config(source)
        tensors = plan_tensors(architecture, config, entries, type)
        pooling = read_pooling(source)
        vocabulary = read_vocabulary(source, config.sizes[Size.VOCAB], config.raw)
    except RecursionError as fault:  # of a comparison: what was read may be nearly as deep as Python goes
        raise Refusal(
            "A file of the checkpoint holds lists in lists, deeper than any does. Do not trust it."
        ) from fault
    part = part_of(target)
    require_space(target.parent, sum(tensor.num_bytes for tensor in tensors) + METADATA_BYTES)
    try:
        writer = VocabularyWriter(part, architecture.gguf)
        name = model_name(source.resolve().name, vocabulary.is_phi3)
        with _closing(writer):
            is_packed = any(tensor.type == "mxfp4" for tensor in tensors)
            add_metadata(writer, name, architecture, config, "mxfp4" if is_packed else type, pooling)
            add_vocabulary(writer, vocabulary)
            write_tensors(writer, tensors, report)
        if is_final:
            publish(part, target)
    except BaseException as fault:
        delete_file(part)
        if isinstance(fault, OSError):
            raise _cannot_write(target, fault) from fault
        raise
    report(Progress(1.0, "Converted"))
    written = target if is_final else part
    seconds = time.perf_counter() - start
    return ConvertResult(written.stat().st_size, len(tensors), seconds, notes=_notes(config) + vocabulary.notes)


def _notes(config: Config) -> tuple[str, ...]:
    rounding = yarn_rounding(config.rope, config.rotary)
    return (*_context_notes(config), *((rounding.note,) if rounding else ()))


def _context_notes(config: Config) -> tuple[str, ...]:
    whole = config.count("max_position_embeddings")
    if config.context == whole:
        return ()
    return (
        f"Its context ends at {config.context:,} tokens instead of {whole:,}: beyond them it attends through a sliding "
        "window, which llama.cpp does not have for this architecture.",
    )


@contextmanager
def _closing(writer: gguf.GGUFWriter) -> Iterator[None]:
    try:
        yield
    except BaseException:
        with suppress(OSError):  # what was buffered may not fit on the disk either
            writer.close()
        raise
    writer.close()


def _cannot_write(target: Path, fault: OSError) -> Refusal:
    if fault.errno == errno.ENOSPC:
        return Refusal(f"The disk of {target.parent} is full. Free some space and try again.")
    return Refusal(f"{target} cannot be written: {fault.strerror or fault}.")
