"""What killed jobs have left in a folder that several processes work in."""

import shutil
import time
from pathlib import Path

STALE_SECONDS = 24 * 3600  # a younger one may belong to another process at work


def clear_leftovers(folder: Path, prefix: str) -> None:
    """Removes the old folders in it whose names begin so. What cannot be removed stays."""
    for left in folder.glob(f"{prefix}*"):
        try:
            is_stale = left.is_dir() and time.time() - left.stat().st_mtime > STALE_SECONDS
        except OSError:  # just removed by another
            continue
        if is_stale:
            shutil.rmtree(left, ignore_errors=True)
