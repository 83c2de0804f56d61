"""Tries out a converted file before anyone uses it: its tokens, then one forward pass. Runs in a child of its own.

llama.cpp ends the process on some files that do not add up; here that is one sentence, in an engine a crash.
"""

import faulthandler
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil

from backends.child import Progress, Refusal, Report, Verification
from backends.convert.files import publish
from backends.convert.reference_tokenizer import ReferenceTokenizer, read_reference
from backends.llama import native
from backends.llama.context import ContextParams, NativeContext
from backends.llama.native import NativeError, NativeModel
from backends.llama.placement import default_threads
from backends.llama.pooled_context import PooledContext, PooledParams, Vector, pooling_of
from backends.llama.threads import Following, NativeThreads

NUM_CELLS = 256
NUM_TOKENS = 16  # of the forward pass
MEMORY_SHARE = 0.7  # of what is free; a larger model would be read from the disk over and over
MAX_SECONDS = 300.0  # then something in native code does not end, and this process does
SLOWEST_DISK = 20e6  # bytes per second
MAX_SHARE = 0.01  # of the vocabulary's words: the libraries' tables of rare letters differ in age
PLAIN = "The quick brown fox jumps over 12 lazy dogs. " * 2
DIFFERS = (
    "The converted tokenizer differs from the original on the text {}. The model would misread you, so it was not kept."
)
RARE = "Rare words become other tokens than in the original tokenizer, such as {} ({} of {} that were tried)."
TOO_LARGE = "No forward pass was tried: the model is larger than the memory that is free."


def verify(report: Report, source: Path, part: Path, target: Path) -> Verification:
    """Compares `part`, converted from the folder `source`, with it, and makes it `target`. Raises Refusal."""
    report(Progress(0.0, "Comparing the tokens"))
    faulthandler.dump_traceback_later(MAX_SECONDS + os.path.getsize(part) / SLOWEST_DISK, exit=True)
    native.start()
    if os.path.getsize(part) < MEMORY_SHARE * psutil.virtual_memory().available:
        with _opened(part) as model:
            verification, ids = _compared(read_reference(source), model)
            report(Progress(0.5, "Trying a forward pass"))
            _try_forward(model, ids)
    else:
        verification, _ = compare_tokens(source, part)
        verification = replace(verification, notes=(*verification.notes, TOO_LARGE))
    faulthandler.cancel_dump_traceback_later()
    publish(part, target)
    report(Progress(1.0, "Verified"))
    return verification


def compare_tokens(source: Path, part: Path) -> tuple[Verification, list[int]]:
    """What was compared, and the tokens of a plain text. Reads the vocabulary alone."""
    with _opened(part, vocab_only=True) as model:
        return _compared(read_reference(source), model)


@contextmanager
def _opened(part: Path, vocab_only: bool = False) -> Iterator[NativeModel]:
    try:
        model = NativeModel(part, vocab_only=vocab_only)
    except NativeError as fault:
        raise Refusal(f"llama.cpp cannot use the converted file ({fault}), so it was not kept.") from fault
    with model:
        yield model


def _compared(reference: ReferenceTokenizer, model: NativeModel) -> tuple[Verification, list[int]]:
    if not model.has_vocabulary:
        raise Refusal("The converted file has no vocabulary that llama.cpp can read, so it was not kept.")
    texts, words = list(reference.texts()), list(reference.words(model.vocabulary.num_tokens))
    faults = [fault for text in texts if (fault := find_fault(text, reference, model))]
    rare = [fault for word in words if (fault := find_fault(word, reference, model))]
    if faults or len(rare) > MAX_SHARE * len(words):
        raise Refusal(DIFFERS.format((faults + rare)[0]))
    notes = (RARE.format(rare[0], len(rare), len(words)),) if rare else ()
    return Verification(len(texts) + len(words), notes), model.vocabulary.tokenize(PLAIN, True, True)


def find_fault(text: str, reference: ReferenceTokenizer, model: NativeModel) -> str | None:
    wanted = reference.encode(text)
    if any(id_ >= model.vocabulary.num_tokens for id_ in wanted):  # a token that the model has no row for
        return None
    got = model.vocabulary.tokenize(text, add_special=False, parse_special=True)
    return None if got == wanted else f"{shortened(text)}: {shortened(got)} instead of {shortened(wanted)}"


def shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}\u2026"


def _try_forward(model: NativeModel, ids: list[int]) -> None:
    tokens = ids[:NUM_TOKENS] or [0]
    try:
        with closing(NativeThreads(default_threads())) as threads:
            following = threads.of_target()
            numbers = _logits(model, tokens, following) if model.is_causal else _vector(model, tokens, following)
        is_finite = bool(np.isfinite(numbers).all())
    except NativeError as fault:
        raise Refusal(f"llama.cpp cannot compute with the converted file ({fault}), so it was not kept.") from fault
    if not is_finite:
        raise Refusal("The converted model answers with values that are not numbers, so it was not kept.")


def _logits(model: NativeModel, tokens: list[int], following: Following) -> Vector:
    params = ContextParams(
        NUM_CELLS, num_slots=1, batch_tokens=NUM_CELLS, threads=default_threads(), following=following
    )
    with NativeContext(model, params) as context:
        context.batch.put(0, tokens, 0, 0)
        context.batch.outputs[: len(tokens)] = 1
        if context.decode(len(tokens)):
            raise NativeError("no room for the tokens")
        return context.logits(len(tokens)).copy()


def _vector(model: NativeModel, tokens: list[int], following: Following | None = None) -> Vector:
    params = PooledParams(
        pooling_of(model), NUM_CELLS, NUM_CELLS, num_slots=1, threads=default_threads(), following=following
    )
    with PooledContext(model, params) as context:
        for position, token in enumerate(tokens):
            context.add(token, position, 0)
        context.run()
        return context.vector(0)
