"""Where the files of a checkpoint may lie: in its folder, or where the Hugging Face cache keeps them. Reads none."""

import os
from collections.abc import Iterator
from pathlib import Path

from backends.child import Refusal

CACHE_FOLDER = "snapshots"  # <cache>/models--x--y/snapshots/<commit>/file -> <cache>/models--x--y/blobs/<hash>
MAX_FILES = 20_000


def refuse_escapes(folder: Path) -> None:
    """Raises Refusal for a link that leads out of the folder, and for anything that is no file or folder."""
    roots = [folder.resolve()]
    if folder.resolve().parent.name == CACHE_FOLDER:
        roots.append(folder.resolve().parent.parent / "blobs")
    for num_files, path in enumerate(_walk(folder)):
        if num_files > MAX_FILES:
            raise Refusal(f"{folder} holds more than {MAX_FILES:,} files, which no checkpoint does.")
        if path.is_symlink():
            _check_link(path, roots)
        elif not path.is_file() and not path.is_dir():
            raise Refusal(f"{path.name} is neither a file nor a folder, so the checkpoint was not read.")


def _walk(folder: Path) -> Iterator[Path]:
    """Two levels: what is read lies no deeper. One at a time, for there may be a million."""
    with os.scandir(folder) as entries:
        for entry in entries:
            yield Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                with os.scandir(entry.path) as inner:
                    yield from (Path(each.path) for each in inner)


def _check_link(path: Path, roots: list[Path]) -> None:
    try:
        target = path.resolve(strict=True)
    except (OSError, RuntimeError) as fault:  # a loop
        raise Refusal(f"{path.name} is a link that leads nowhere. Download the checkpoint again.") from fault
    if not any(target.is_relative_to(root) for root in roots) or not (target.is_file() or target.is_dir()):
        raise Refusal(f"{path.name} is a link that leads out of the checkpoint's folder, so nothing was read.")
