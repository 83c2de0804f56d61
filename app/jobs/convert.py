"""Convert and quantize as the application calls them: in child processes. Knows their names, not their code."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from app.errors import ConversionError
from app.jobs.child import OnProgress, ignore_progress, run_in_child
from backends.child import ConvertResult, ImatrixResult, QuantizePlan, QuantizeResult, Verification
from backends.formats.recipe import Recipe
from backends.ownership.files import delete_file, part_of

CONVERT_SHARE = 0.9  # of the progress; the rest is the trial of the new file
PLAN_SECONDS = 120.0  # the window waits for it on one of its few workers


def convert_checkpoint(
    source: Path,
    target: Path,
    type: str = "bf16",
    *,
    logs: Path,
    on_progress: OnProgress = ignore_progress,
    cancelled: threading.Event | None = None,
) -> ConvertResult:
    """A checkpoint folder to a GGUF file of "f32", "f16" or "bf16". Raises ConversionError or Cancelled.

    The new file is tried out in a second child and becomes the target only when its tokens are the checkpoint's and
    it computes: llama.cpp ends its process on files that do not add up.
    """
    start = time.perf_counter()
    child = partial(run_in_child, cancelled=cancelled, error=ConversionError, source=source, target=target)
    with _no_part_left(target):
        result = child(
            "backends.convert.converter:convert",
            log_path=logs / "convert.log",
            on_progress=_share(on_progress, 0.0, CONVERT_SHARE),
            type=type,
            is_final=False,
        )
        verification = child(
            "backends.llama.verify:verify",
            log_path=logs / "verify.log",
            on_progress=_share(on_progress, CONVERT_SHARE, 1.0),
            part=part_of(target),
        )
    assert isinstance(result, ConvertResult)
    assert isinstance(verification, Verification)
    return replace(
        result,
        seconds=time.perf_counter() - start,
        verified_texts=verification.num_texts,
        notes=result.notes + verification.notes,
    )


def _share(on_progress: OnProgress, begin: float, end: float) -> OnProgress:
    """The progress of one of several children, as a part of the whole."""
    return lambda progress: on_progress(replace(progress, fraction=begin + progress.fraction * (end - begin)))


def quantize_file(
    source: Path,
    target: Path,
    type: str = "Q4_K_M",
    *,
    imatrix: Path | None = None,
    overrides: tuple[tuple[str, str], ...] = (),
    output_type: str | None = None,
    embedding_type: str | None = None,
    is_pure: bool = False,
    allow_requantize: bool = False,
    threads: int | None = None,
    logs: Path,
    on_progress: OnProgress = ignore_progress,
    cancelled: threading.Event | None = None,
) -> QuantizeResult:
    """A GGUF file (of a split one, the first part) to a smaller one. Raises ConversionError or Cancelled.

    type, overrides and the rest: `backends.formats.recipe.Recipe`. allow_requantize: else a source that is quantized
    already is refused.
    """
    with _no_part_left(target):
        result = run_in_child(
            "backends.llama.quantization.quantize:quantize",
            log_path=logs / "quantize.log",
            on_progress=on_progress,
            cancelled=cancelled,
            error=ConversionError,
            source=source,
            target=target,
            recipe=Recipe(type, imatrix, overrides, output_type, embedding_type, is_pure, allow_requantize),
            threads=threads,
        )
    assert isinstance(result, QuantizeResult)
    return result


def plan_quantization(
    source: Path,
    type: str = "Q4_K_M",
    *,
    imatrix: Path | None = None,
    overrides: tuple[tuple[str, str], ...] = (),
    output_type: str | None = None,
    embedding_type: str | None = None,
    is_pure: bool = False,
    logs: Path,
    cancelled: threading.Event | None = None,
) -> QuantizePlan:
    """What `quantize_file` would write, without writing; about half a second. Raises ConversionError or Cancelled.

    A type that needs an importance matrix can be planned without one; a quantized source gives a warning.
    """
    result = run_in_child(
        "backends.llama.quantization.quantize:plan",
        log_path=logs / "plan.log",
        cancelled=cancelled,
        limit=PLAN_SECONDS,
        error=ConversionError,
        source=source,
        recipe=Recipe(type, imatrix, overrides, output_type, embedding_type, is_pure, allow_requantize=True),
    )
    assert isinstance(result, QuantizePlan)
    return result


def make_imatrix(
    model: Path,
    target: Path,
    text: Path | None = None,
    *,
    num_chunks: int | None = None,
    threads: int | None = None,
    logs: Path,
    on_progress: OnProgress = ignore_progress,
    cancelled: threading.Event | None = None,
) -> ImatrixResult:
    """The importance matrix of a model over a text (None: the shipped one), as llama.cpp's imatrix GGUF.

    num_chunks: of 512 tokens, None for the whole text. Raises ConversionError or Cancelled.
    """
    with _no_part_left(target):
        result = run_in_child(
            "backends.llama.quantization.imatrix:make_imatrix",
            log_path=logs / "imatrix.log",
            on_progress=on_progress,
            cancelled=cancelled,
            error=ConversionError,
            model=model,
            target=target,
            text=text,
            num_chunks=num_chunks,
            threads=threads,
        )
    assert isinstance(result, ImatrixResult)
    return result


@contextmanager
def _no_part_left(target: Path) -> Iterator[None]:
    """A child that is killed, because it was called off or by the system, cannot clear up after itself."""
    try:
        yield
    finally:
        with suppress(OSError):  # a disk that may only be read has none, and its own sentence
            delete_file(part_of(target))
