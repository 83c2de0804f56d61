"""Makes a card: speed and quality of one file, each measured in a child process of its own."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from app.errors import EvaluationError, ModelFileError
from app.jobs.child import OnProgress, ignore_progress, run_in_child
from app.lab.card import Card, Reference
from app.lab.evaluate import evaluate
from app.lab.machine import machine_name
from app.lab.settings import DEFAULT, Settings
from app.library.gguf import check_loadable, describe_parts
from backends.bounds import as_name
from backends.child import Progress
from backends.formats import FormatError
from backends.formats.gguf_split import read_parts
from backends.formats.identity import identity
from backends.measurement import Speed


def make_card(
    file: Path,
    against: Path | None = None,
    *,
    settings: Settings = DEFAULT,
    name: str | None = None,
    logs: Path,
    cache: Path,
    on_progress: OnProgress = ignore_progress,
    cancelled: threading.Event | None = None,
) -> Card:
    """`against`: the file that this one was quantized from, or the best there is; without it quality is left open.

    Raises EvaluationError, ModelFileError or Cancelled.
    """
    about = describe_parts(file)
    shares = _Shares(on_progress, 3 if against else 1)
    speed = measure_speed(file, settings, logs=logs, on_progress=shares.next(), cancelled=cancelled)
    evaluation = reference = None
    if against is not None:
        original = describe_parts(against)
        other = measure_speed(against, settings, logs=logs, on_progress=shares.next(), cancelled=cancelled)
        reference = Reference(as_name(against.stem), original.quantization, original.bytes, other)
        progress = shares.next()
        evaluation = evaluate(
            file, against, settings=settings, logs=logs, cache=cache, on_progress=progress, cancelled=cancelled
        )
    return Card(
        identity=content_identity(file),
        name=as_name(name or file.stem),
        quantization=about.quantization,
        bytes=about.bytes,
        bits_per_weight=_bits_per_weight(file),
        machine=machine_name(speed.device),
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        speed=speed,
        evaluation=evaluation,
        reference=reference,
    )


def measure_speed(
    file: Path,
    settings: Settings = DEFAULT,
    *,
    logs: Path,
    on_progress: OnProgress = ignore_progress,
    cancelled: threading.Event | None = None,
) -> Speed:
    """Raises EvaluationError, ModelFileError or Cancelled."""
    check_loadable(file)
    result = run_in_child(
        "backends.llama.speed:measure",
        log_path=logs / "speed.log",
        on_progress=on_progress,
        cancelled=cancelled,
        error=EvaluationError,
        model=file,
        options=settings.options(),
    )
    assert isinstance(result, Speed)
    return result


def content_identity(file: Path) -> str:
    """What a card is kept under. Raises ModelFileError."""
    try:
        return identity(file)
    except FormatError as error:
        raise ModelFileError(str(error)) from error


class _Shares:
    """One progress out of several children's: the two short measurements of speed, then the long evaluation."""

    def __init__(self, on_progress: OnProgress, count: int):
        self._on_progress = on_progress
        self._bounds = [0.0, 1.0] if count == 1 else [0.0, 0.1, 0.2, 1.0]
        self._index = -1

    def next(self) -> Callable[[Progress], None]:
        self._index += 1
        begin, end = self._bounds[self._index : self._index + 2]
        return lambda progress: self._on_progress(Progress(begin + (end - begin) * progress.fraction, progress.text))


def _bits_per_weight(file: Path) -> float:
    """Of the weights alone, as llama-quantize counts."""
    tensors = [tensor for header in read_parts(file) for tensor in header.tensors]
    return 8 * sum(tensor.num_bytes for tensor in tensors) / sum(tensor.num_elements for tensor in tensors)
