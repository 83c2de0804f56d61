"""The folder of a checkpoint that was kept as it is, and the record of what Slipstream has put there. Knows no tensors.

What the record does not name is a person's: it is neither written over nor deleted.
"""

import filecmp
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.errors import ModelFileError
from app.hub.checkpoint import is_part_of_checkpoint
from app.library.changing import changing
from app.library.names import checked_name
from app.whole_file import reason, replace_file
from backends.ownership.directory import is_link
from backends.ownership.files import is_regular
from backends.ownership.private import PUBLIC, close_to_writers, make_folder
from backends.regular_file import read_regular

RECORD = ".slipstream-checkpoint.json"
VERSION = 1
MAX_BYTES = 4 << 20
IN_THE_WAY = "{} lies there already and was not installed by Slipstream. Remove it or move it away first."


@dataclass(frozen=True, slots=True)
class Contents:
    """files: the checkpoint's own, in the order of deletion. others: what stays."""

    files: tuple[Path, ...]
    others: tuple[Path, ...]


def require_no_link(models_dir: Path, folder: Path) -> None:
    """No folder from the models' folder down to this one is a link: its files would land elsewhere. ModelFileError."""
    for path in reversed([folder, *folder.parents]):
        if path == models_dir or not path.is_relative_to(models_dir):
            continue
        try:
            is_bad = is_link(os.lstat(path))
        except OSError:  # not there yet, or told by whoever works in it
            return
        if is_bad:
            raise ModelFileError(f"{path} is a link, and nothing is installed through one. Remove it or rename it.")


def require_places(models_dir: Path, folder: Path, sizes: Iterable[tuple[str, int]]) -> None:
    """Before a download: nothing of a person's has a name that it needs. sizes: (name, bytes). ModelFileError.

    A file of the same size may be the very one: its hash tells while it is downloaded.
    """
    require_no_link(models_dir, folder)
    ours = _recorded(folder)
    for name, num_bytes in sizes:
        path = folder / name
        if os.path.lexists(path) and name not in ours and not (is_regular(path) and path.stat().st_size == num_bytes):
            raise ModelFileError(IN_THE_WAY.format(path))


def add_checkpoint(models_dir: Path, folder: Path, files: Sequence[Path]) -> None:
    """Moves the files in; config.json last, as without it the folder is no checkpoint. Raises ModelFileError.

    What an interrupted call has moved is not among the files any more: the call may be repeated with the rest.
    """
    with changing(models_dir):
        require_no_link(models_dir, folder)
        ours = _recorded(folder)
        for file in files:
            _require_place(file, folder / checked_name(file.name, "file"), ours)
        try:
            make_folder(folder)
            _write(folder, ours.union(file.name for file in files))
            for file in sorted(files, key=lambda file: file.name == "config.json"):
                close_to_writers(file)
                os.replace(file, folder / file.name)
        except OSError as fault:
            raise ModelFileError(f"{folder} cannot be written: {reason(fault)}. Free it and try again.") from fault


def contents(folder: Path) -> Contents:
    """Without a record, which earlier versions did not write, only what a checkpoint is made of belongs to it."""
    try:
        paths = sorted(folder.iterdir())
    except OSError:
        return Contents((), ())
    ours = _recorded(folder)
    files, others = list[Path](), list[Path]()
    for path in paths:
        is_ours = path.name in ours or path.name == RECORD if ours else is_part_of_checkpoint(path.name)
        is_folder = path.is_dir() and not path.is_symlink()
        (files if is_ours and not is_folder else others).append(path)
    return Contents(tuple(sorted(files, key=_order)), tuple(others))


def _order(path: Path) -> tuple[bool, ...]:
    """config.json late: as long as it lies there beside weights, the rest is seen as a checkpoint."""
    return (path.name == RECORD, path.name == "config.json", path.suffix == ".safetensors")


def _require_place(file: Path, target: Path, ours: frozenset[str]) -> None:
    if not os.path.lexists(target):
        return
    is_free = is_regular(target) and (target.name in ours or filecmp.cmp(file, target, shallow=False))
    # a link of that name is nothing that we have made
    if not is_free:
        raise ModelFileError(IN_THE_WAY.format(target))


def _recorded(folder: Path) -> frozenset[str]:
    """None of a record that is missing, a link, or damaged."""
    path = folder / RECORD
    if not is_regular(path):
        return frozenset()
    try:
        document = json.loads(read_regular(path, MAX_BYTES))
        names = document["files"] if document["version"] == VERSION else ()
        return frozenset(checked_name(name, "file") for name in names)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, ModelFileError):
        return frozenset()


def _write(folder: Path, names: Iterable[str]) -> None:
    document = {"version": VERSION, "files": sorted(names)}
    replace_file(folder / RECORD, json.dumps(document, ensure_ascii=False, indent=2).encode(), PUBLIC)
