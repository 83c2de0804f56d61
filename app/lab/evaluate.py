"""Evaluates a model file, alone or against another, in a child process. Knows its name, not its code."""

import shutil
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path

from app.errors import EvaluationError
from app.jobs.child import OnProgress, ignore_progress, run_in_child
from app.lab.settings import DEFAULT, Settings
from app.lab.text import read_text
from app.library.gguf import check_loadable
from backends.measurement import Evaluation

WORK = "work-"  # prefix of the folders in which reference files grow
STALE_SECONDS = 24 * 3600
MAX_CACHE_BYTES = 4 << 30  # of reference files; the oldest go first


def evaluate(
    model: Path,
    against: Path | None = None,
    *,
    settings: Settings = DEFAULT,
    logs: Path,
    cache: Path,
    on_progress: OnProgress = ignore_progress,
    cancelled: threading.Event | None = None,
) -> Evaluation:
    """Perplexity on the settings' text and, with `against`, the divergence from that model.

    The reference always has an f16 KV cache, so a model against itself shows what its KV types cost. Its predictions
    are kept in `cache` for the next candidate; `settings.exact` runs both side by side instead, and keeps nothing.
    Raises EvaluationError, ModelFileError or Cancelled; then nothing is left in `cache`.
    """
    for file in filter(None, (model, against)):
        check_loadable(file)
    words = read_text(settings.text)
    folder = cache / "evaluations"
    workshop = _workshop(folder)
    try:
        result = run_in_child(
            "backends.llama.evaluate:evaluate",
            log_path=logs / "evaluate.log",
            on_progress=on_progress,
            cancelled=cancelled,
            error=EvaluationError,
            model=model,
            against=against,
            text=words,
            options=settings.options(),
            exact=settings.exact,
            references=folder,
            workshop=workshop,
            num_chunks=settings.num_chunks,
        )
    finally:
        shutil.rmtree(workshop, ignore_errors=True)
    _trim(folder, MAX_CACHE_BYTES)
    assert isinstance(result, Evaluation)
    return result


def _workshop(folder: Path) -> Path:
    """A killed application leaves its own behind; a young one may belong to another process at work.

    Raises EvaluationError when the disk takes no folder.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for stale in folder.glob(f"{WORK}*"):
            with suppress(FileNotFoundError):  # another process was quicker
                if time.time() - stale.stat().st_mtime > STALE_SECONDS:
                    shutil.rmtree(stale, ignore_errors=True)
        return Path(tempfile.mkdtemp(prefix=WORK, dir=folder))
    except OSError as fault:
        raise EvaluationError(
            f"{folder} cannot be written: {fault.strerror or fault}. Free some space, or see who may write there."
        ) from fault


def _trim(folder: Path, max_bytes: int) -> None:
    """Newest first, reference files may take up `max_bytes`. One that another process is at stays where it must."""
    total = 0
    files = []
    for path in folder.glob("*.reference"):
        with suppress(FileNotFoundError):
            status = path.stat()
            files.append((status.st_mtime, status.st_size, path))
    for _, size, path in sorted(files, reverse=True):
        total += size
        if total > max_bytes:
            with suppress(OSError):
                path.unlink()
