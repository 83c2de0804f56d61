"""Whether the files of a download can lie where they shall: no two in one place, and room for all."""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from app.downloads.fetch import Fetch
from app.downloads.trouble import disk_trouble, shown_size
from app.errors import DownloadError


def check_places(fetches: Sequence[Fetch]) -> None:
    """Raises DownloadError when two would write to one file, also where capitals do not count."""
    taken: set[str] = set()
    for fetch in fetches:
        for path in (fetch.target, fetch.part.path, fetch.part.side):
            key = str(path).casefold()
            if key in taken:
                raise DownloadError(f"Two files of this download would both be written to {path}. None is downloaded.")
            taken.add(key)


def check_space(fetches: Sequence[Fetch]) -> None:
    """Raises DownloadError with both numbers when a disk has no room for what is still to come."""
    missing: dict[int, int] = {}
    folders: dict[int, Path] = {}
    for fetch in fetches:
        try:
            folder = _existing(fetch.target.parent)
            disk = os.stat(folder).st_dev
        except OSError as fault:
            raise disk_trouble(fault, fetch.target) from fault
        folders.setdefault(disk, folder)
        missing[disk] = missing.get(disk, 0) + fetch.missing
    for disk, needed in missing.items():
        free = shutil.disk_usage(folders[disk]).free
        if needed > free:
            raise DownloadError(
                f"{shown_size(needed)} are still to be downloaded, and {shown_size(free)} are free on the disk of "
                f"{folders[disk]}. Free {shown_size(needed - free)} or choose a folder on another disk."
            )


def _existing(folder: Path) -> Path:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder
