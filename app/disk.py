"""What the system is told so that a change lasts when the power fails."""

import os
from contextlib import suppress
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Makes the names in it last: new ones, and that others are gone. Windows has no such call, and journals them."""
    if os.name == "nt":
        return
    with suppress(OSError):  # some file systems do not know it for folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
