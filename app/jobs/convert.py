"""Convert and quantize as the application calls them: one child process each. Knows their names, not their code."""

import threading
from pathlib import Path

from app.errors import ConversionError
from app.jobs.child import OnProgress, ignore_progress, run_in_child
from backends.child import ConvertResult, QuantizeResult


def convert_checkpoint(
    source: Path,
    target: Path,
    type: str = "bf16",
    *,
    logs: Path,
    on_progress: OnProgress = ignore_progress,
    cancelled: threading.Event | None = None,
) -> ConvertResult:
    """A folder with safetensors to a GGUF file of "f32", "f16" or "bf16". Raises ConversionError or Cancelled."""
    result = run_in_child(
        "backends.convert.converter:convert",
        log_path=logs / "convert.log",
        on_progress=on_progress,
        cancelled=cancelled,
        error=ConversionError,
        source=source,
        target=target,
        type=type,
    )
    assert isinstance(result, ConvertResult)
    return result


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
