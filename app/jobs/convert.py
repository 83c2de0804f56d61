"""Convert and quantize as the application calls them: in child processes. Knows their names, not their code."""

import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

from app.errors import ConversionError, SlipstreamError
from app.jobs.child import OnProgress, ignore_progress, run_in_child
from backends.child import ConvertResult, QuantizeResult, Verification

CONVERT_SHARE = 0.9  # of the progress; the rest is the trial of the new file


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
    part = target.with_name(target.name + ".part")
    start = time.perf_counter()
    child = partial(run_in_child, cancelled=cancelled, error=ConversionError, source=source, target=target)
    try:
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
            part=part,
        )
    except SlipstreamError:
        part.unlink(missing_ok=True)
        raise
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
    threads: int | None = None,
    logs: Path,
    on_progress: OnProgress = ignore_progress,
    cancelled: threading.Event | None = None,
) -> QuantizeResult:
    """A GGUF file of F32, F16 or BF16 to a smaller one. Raises ConversionError or Cancelled."""
    result = run_in_child(
        "backends.llama.quantize:quantize",
        log_path=logs / "quantize.log",
        on_progress=on_progress,
        cancelled=cancelled,
        error=ConversionError,
        source=source,
        target=target,
        type=type,
        threads=threads,
    )
    assert isinstance(result, QuantizeResult)
    return result
