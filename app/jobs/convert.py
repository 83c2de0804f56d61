"""Convert and quantize as the application calls them: one child process each. Knows their names, not their code."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.errors import ConversionError
from app.jobs.child import OnProgress, ignore_progress, run_in_child
from backends.child import ConvertResult, ImatrixResult, QuantizePlan, QuantizeResult
from backends.formats.recipe import Recipe


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
        target.with_name(target.name + ".part").unlink(missing_ok=True)
