"""The sha256 of a file, read in pieces so that it can be called off."""

import hashlib
import threading
from pathlib import Path

from app.errors import Cancelled, InstallError

CHUNK = 4 << 20


def hash_file(path: Path, cancelled: threading.Event) -> str:
    """Raises Cancelled or InstallError."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                if cancelled.is_set():
                    raise Cancelled("Cancelled.")
                digest.update(chunk)
    except OSError as fault:
        raise InstallError(f"{path} cannot be read: {fault.strerror or fault}.") from fault
    return digest.hexdigest()
