"""`slipstream models`: the library on a terminal, with its checks, duplicates and removals."""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.cli.model_name import find_any
from app.cli.terminal import show, warn
from app.library.entry import BASE_MEANS, EMBEDDER_MEANS
from app.library.naming import is_same_name
from app.library.own_models import FIRST_MODEL
from backends.bounds import printable

if TYPE_CHECKING:
    from app.library.entry import ModelEntry
    from app.services import Services

MAX_WIDTH = 80  # of a column; a longer cell pushes its own line only
MAX_REASONS = 20
MAX_NAMES = 12
COLUMNS = ("MODEL", "SIZE", "TYPE", "ARCHITECTURE", "CONTEXT", "FROM")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--verify", metavar="ID", help="read all files of a model and compare their hashes")
    action.add_argument("--duplicates", action="store_true", help="what lies on the disk more than once")
    action.add_argument("--remove", metavar="ID", help="delete a model of the managed folder; lists its files first")
    action.add_argument(
        "--add-folder", metavar="PATH", type=Path, help="add a folder of models; it is used in place, never modified"
    )
    parser.add_argument("--yes", action="store_true", help="with --remove: do not ask")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(arguments: argparse.Namespace) -> int:
    from app.paths import Paths
    from app.services import Services

    services = Services(Paths.from_environment())
    try:
        return _run(services, arguments)
    finally:
        for notice in services.take_notices():
            warn(notice)
        services.close()


def _run(services: "Services", arguments: argparse.Namespace) -> int:
    if arguments.verify:
        return _verify(services, arguments)
    if arguments.duplicates:
        return _duplicates(services, arguments)
    if arguments.remove:
        return _remove(services, arguments)
    if arguments.add_folder:
        services.add_folder(arguments.add_folder)
    listing = services.library.look()
    models = [as_document(entry) for entry in listing.entries]
    show(arguments, {"models": models, "notices": listing.notices}, lambda: table(listing.entries))
    for notice in listing.notices:
        warn(notice)
    return 0


def as_document(entry: "ModelEntry") -> dict[str, Any]:
    """An entry for programs: paths as texts, what is not known as null."""
    return {
        "id": entry.id,
        "name": entry.name,
        "place": entry.place or None,
        "origin": entry.origin.value,
        "path": str(entry.path),
        "parts": [str(path) for path in entry.parts],
        "mmproj": str(entry.mmproj) if entry.mmproj else None,
        "draft": str(entry.draft) if entry.draft else None,
        "bytes": entry.bytes,
        "architecture": entry.architecture or None,
        "parameters": entry.parameters or None,
        "quantization": entry.quantization or None,
        "context": entry.context,
        "sha256": entry.sha256,
        "source": entry.source,
        "added": entry.added.isoformat() if entry.added else None,
        "is_checkpoint": entry.is_checkpoint,
        "is_base": entry.is_base if entry.is_read else None,
        "is_embedder": entry.is_embedder if entry.is_read else None,
        "is_favourite": entry.is_favourite,
        "note": entry.note,
        "problem": entry.problem,
    }


def table(entries: Sequence["ModelEntry"]) -> str:
    if not entries:
        return f"The library is empty. {FIRST_MODEL}"
    rows = [COLUMNS, *(_row(entry) for entry in entries)]
    widths = [min(MAX_WIDTH, max(len(row[column]) for row in rows)) for column in range(len(COLUMNS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    total = sum(entry.bytes for entry in entries)
    return "\n".join(
        [
            *lines,
            "",
            *_reasons(entries),
            *([f"base: {BASE_MEANS}", ""] if any(entry.is_base for entry in entries) else []),
            *([f"embedding: {EMBEDDER_MEANS}", ""] if any(entry.is_embedder for entry in entries) else []),
            f"{_count(entries)}, {_size(total)}",
        ]
    )


def _count(entries: Sequence["ModelEntry"]) -> str:
    """Checkpoints are models; what is broken is a file."""
    num_broken = sum(not entry.is_loadable for entry in entries)
    num_models = len(entries) - num_broken
    models = f"{num_models:,} {'model' if num_models == 1 else 'models'}"
    files = f" and {num_broken:,} {'file' if num_broken == 1 else 'files'} that cannot run"
    return f"{models}{files if num_broken else ''}"


def _reasons(entries: Sequence["ModelEntry"]) -> list[str]:
    """Why a row has a mark, each in a line."""
    reasons = [f"(!) {entry.id}: {entry.problem}" for entry in entries if entry.problem]
    if len(reasons) > MAX_REASONS:
        reasons[MAX_REASONS:] = [f"(!) {len(reasons) - MAX_REASONS:,} more; --json names them all."]
    return [*reasons, ""] if reasons else []


def _row(entry: "ModelEntry") -> tuple[str, ...]:
    context = f"{entry.context:,}" if entry.context else "n/a"
    star = "* " if entry.is_favourite else ""
    kind = "checkpoint" if entry.is_checkpoint else entry.quantization or "n/a"
    kind = f"{kind}, {short}" if (short := entry.kind.partition(" ")[0]) else kind
    broken = " (!)" if entry.problem else ""
    return (
        f"{star}{entry.id}{_called(entry)}{broken}",
        _size(entry.bytes),
        kind,
        entry.architecture or "n/a",
        context,
        entry.origin.label,
    )


def _called(entry: "ModelEntry") -> str:
    """The name that the window shows, where the id does not say it already."""
    said = any(is_same_name(entry.name, part) for part in (entry.id, *re.split("[/:]", entry.id)))
    return "" if said else f" ({printable(entry.name)})"


def _verify(services: "Services", arguments: argparse.Namespace) -> int:
    from app.errors import ModelFileError
    from app.jobs.job import JobState
    from app.jobs.verify import Verify

    entry = find_any(arguments.verify, services)
    handle = services.jobs.add(Verify(services.library, entry))
    job = handle.wait()
    if job.state is not JobState.DONE:
        raise ModelFileError(job.error or f"{entry.name} was not checked to the end.")
    check = handle.result
    hashes = {each.path: each.sha256 for each in check.hashes}
    document = {"id": entry.id, "is_sound": check.is_sound, "text": check.text, "sha256": hashes}
    lines = [*(f"{sha}  {printable(path)}" for path, sha in hashes.items()), check.text]
    show(arguments, document, lambda: "\n".join(lines))
    return 0 if check.is_sound else 1


def _duplicates(services: "Services", arguments: argparse.Namespace) -> int:
    services.library.models()  # so that all names are known
    found = services.library.duplicates()
    lines = []
    for group in found.groups:
        lines.append(f"{_size(group.wasted)} to win: {len(group.entries)} times {group.sha256[:16]}…")
        lines += [f"    {printable(str(entry.path))}  ({entry.origin.label})" for entry in group.entries]
    for same in found.suspects:
        lines.append(f"Same size, {_size(same[0].bytes)}; “slipstream models --verify ID” on each tells:")
        lines += [f"    {entry.id}  ({entry.origin.label})" for entry in same]
    document = {
        "wasted_bytes": found.wasted,
        "groups": [
            {"sha256": g.sha256, "wasted_bytes": g.wasted, "models": [as_document(e) for e in g.entries]}
            for g in found.groups
        ],
        "suspects": [[as_document(entry) for entry in same] for same in found.suspects],
    }
    summary = "No duplicates found."
    if found.groups:
        summary = f"{_size(found.wasted)} could be won."
    elif found.suspects:
        summary = "Hashes are not known yet, so duplicates cannot be found."
    show(arguments, document, lambda: "\n".join([*lines, summary]))
    return 0


def _remove(services: "Services", arguments: argparse.Namespace) -> int:
    entry = find_any(arguments.remove, services)
    removal = services.library.removal(entry.id)
    listed = "\n".join(f"    {_size(num_bytes):>9}  {printable(str(path))}" for path, num_bytes in removal.files)
    staying = [path.name for path in removal.staying]
    if staying:
        listed += f"\nNot the model's, and left alone: {_names(staying)}."
    if not arguments.yes and not (sys.stdin.isatty() and _agreed(f"{listed}\nDelete these files? [y/N] ")):
        from app.errors import UsageError

        print(listed, file=sys.stderr)
        raise UsageError("Nothing was deleted. The files above would go; say --yes to delete them.")
    services.library.remove(entry.id, removal)
    document = {
        "id": entry.id,
        "removed": [str(path) for path, _ in removal.files],
        "bytes": removal.bytes,
        "staying": [str(path) for path in removal.staying],
    }
    show(arguments, document, lambda: f"{listed}\n{_size(removal.bytes)} deleted.")
    return 0


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_NAMES:,} more" if len(names) > MAX_NAMES else ""
    return ", ".join(map(printable, names[:MAX_NAMES])) + more


def _agreed(question: str) -> bool:
    return input(question).strip().lower() in ("y", "yes")


def _size(num_bytes: int) -> str:
    for unit, factor in (("GB", 1e9), ("MB", 1e6)):
        if num_bytes >= factor:
            return f"{num_bytes / factor:.1f} {unit}"
    return f"{num_bytes / 1e3:.0f} kB"
