"""Evaluates a model file, alone or against another, in a child process. Knows its name, not its code."""

import threading
from contextlib import suppress
from pathlib import Path

from app.errors import EvaluationError
from app.jobs.child import OnProgress, ignore_progress, run_in_child
from app.jobs.leftovers import evaluation
from app.lab.settings import DEFAULT, Settings
from app.lab.text import SHIPPED_CHOICES, read_text
from app.library.gguf import check_loadable
from backends.formats.kept_references import is_reference
from backends.measurement import Evaluation
from backends.ownership.directory import Directory, NotOurs
from backends.ownership.folder import OwnedFolder
from backends.ownership.workshop import Workshop

WORK = "work-"  # prefix of the folders in which reference files grow
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
    """Perplexity on the settings' text and, with `against`, the divergence from that model; with it what else is asked.

    The reference always has an f16 KV cache, so a model against itself shows what its KV types cost. Its predictions
    are kept in `cache` for the next candidate; `settings.exact` runs both side by side instead, and keeps nothing.
    Raises EvaluationError, ModelFileError or Cancelled; then nothing is left in `cache`.
    """
    for file in filter(None, (model, against)):
        check_loadable(file)
    words = read_text(settings.text)
    choices = read_text(settings.choices or SHIPPED_CHOICES) if settings.has_choices else None
    folder = cache / "evaluations"
    with _references(folder) as references:
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
                workshop=workshop.path,
                num_chunks=settings.num_chunks,
                choices=choices,
                has_noise=settings.has_noise,
            )
        finally:
            workshop.remove()
        _trim(references, MAX_CACHE_BYTES)
    assert isinstance(result, Evaluation)
    return result


def _references(folder: Path) -> OwnedFolder:
    """The folder that keeps them, held. Raises EvaluationError when there can be none, or it is not ours."""
    try:
        return OwnedFolder.claim(folder, "evaluations", _is_known)
    except OSError as fault:
        raise _unusable(folder, fault) from fault


def _workshop(folder: Path) -> Workshop:
    """A killed application leaves its own behind. Raises EvaluationError when the disk takes no folder."""
    workshops = evaluation(folder.parent)
    try:
        workshops.clear()
        return workshops.make()
    except OSError as fault:
        raise _unusable(folder, fault) from fault


def _unusable(folder: Path, fault: OSError) -> EvaluationError:
    if isinstance(fault, NotOurs):
        return EvaluationError(f"Nothing can be measured: {fault}")
    return EvaluationError(
        f"{folder} cannot be written: {fault.strerror or fault}. Free some space, or see who may write there."
    )


def _is_known(directory: Directory, name: str) -> bool:
    """Whether an earlier version, which wrote no marks, has made it. Workshops need their own mark to be deleted."""
    return is_reference(directory, name) or (name.startswith(WORK) and directory.is_folder(name))


def _trim(folder: OwnedFolder, max_bytes: int) -> None:
    """Newest first, reference files may take up `max_bytes`. One that another process is at stays where it must."""
    total = 0
    files = []
    for name in folder.directory.names():
        if is_reference(folder.directory, name):
            with suppress(FileNotFoundError):
                status = folder.directory.status(name)
                files.append((status.st_mtime, status.st_size, name))
    for _, size, name in sorted(files, reverse=True):
        total += size
        if total > max_bytes:
            folder.discard(name)
