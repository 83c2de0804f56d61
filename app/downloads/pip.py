"""One package by way of pip, which knows the person's index, mirror and proxy. Knows no wheel's content and no library.

pip shows no progress that a program could read, so the growing file is watched.
"""

import importlib.util
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from app.downloads.trouble import FULL, NOTHING_KEPT, disk_trouble
from app.errors import Cancelled, DownloadError

CHILD = Path(__file__).with_name("pip_child.py")
LOOK_SECONDS = 0.2
STALLED_SECONDS = 180.0  # without a new byte; pip itself gives up earlier, if it can
MAX_SAID = 1 << 20  # bytes of what pip says that are kept
PIECE = 1 << 16
SLACK = 1 << 20  # bytes that a file may grow beyond what was announced

NO_SPACE = re.compile(r"Errno 28|No space left on device|Disk quota exceeded", re.IGNORECASE)
OTHER_BYTES = re.compile(r"DO NOT MATCH THE HASHES", re.IGNORECASE)
CERTIFICATE = re.compile(r"CERTIFICATE_VERIFY_FAILED|SSLCertVerificationError|SSLError")
OFFLINE = re.compile(
    r"NewConnectionError|NameResolutionError|ConnectTimeoutError|ReadTimeoutError|ProxyError|Connection refused"
    r"|Temporary failure in name resolution|Network is unreachable|Retrying \(Retry\(|IncompleteRead|ProtocolError"
)
LACKS = re.compile(r"No matching distribution|Could not find a version|404 Client Error")
TRY_AGAIN = "Check the network, or pip's settings for an index or a proxy, then try again."


def pip_download(
    requirement: str,
    sha256: str,
    num_bytes: int,
    folder: Path,
    on_bytes: Callable[[int], None],
    cancelled: threading.Event,
) -> Path:
    """The package's one file, below `folder`, where pip keeps its temporary files as well.

    requirement: "name==version". No code of the package is run. Raises DownloadError, and Cancelled within a second.
    """
    if importlib.util.find_spec("pip") is None:
        raise DownloadError(
            f"{requirement} is brought by pip, which is missing in {sys.prefix}. "
            f"Install it with “{sys.executable} -m ensurepip”, then try again."
        )
    come, temporary = folder / "come", folder / "temporary"
    for new in (come, temporary):
        new.mkdir()
    wanted = folder / "requirement.txt"
    wanted.write_text(f"{requirement} --hash=sha256:{sha256}\n", "utf-8")
    process = _start(wanted, come, temporary)
    assert process.stdout
    said = Said(process.stdout)
    try:
        code = _follow(process, folder, num_bytes, on_bytes, cancelled)
    finally:
        words = said.text()
    files = list(come.iterdir())
    if code or len(files) != 1:
        raise _fault(words, requirement, folder)
    return files[0]


class Said:
    """The last that a program says, heard on a thread. Not by way of a file: a full disk would take no word of it."""

    def __init__(self, pipe: IO[bytes]):
        self._pipe = pipe
        self._bytes = bytearray()
        self._thread = threading.Thread(target=self._hear, name="pip", daemon=True)
        self._thread.start()

    def text(self) -> str:
        """When the program has ended. To be called in any case: it closes the pipe."""
        self._thread.join()
        self._pipe.close()
        return self._bytes.decode("utf-8", "replace")

    def _hear(self) -> None:
        while piece := self._pipe.read1(PIECE):  # type: ignore[attr-defined] # Popen's pipes are buffered
            self._bytes += piece
            del self._bytes[:-MAX_SAID]


def _start(wanted: Path, come: Path, temporary: Path) -> "subprocess.Popen[bytes]":
    options = ["--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--no-input", "--disable-pip-version-check"]
    limits = ["--quiet", "--progress-bar", "off", "--timeout", "20", "--retries", "2"]
    # -P: nothing that lies in the folder is imported
    command = [sys.executable, "-P", str(CHILD), "download", *options, *limits, "-d", str(come), "-r", str(wanted)]
    places = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))
    return subprocess.Popen(
        command,
        cwd=temporary,
        env={**os.environ, **places, "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.PIPE,  # its end is the application's
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def _follow(
    process: "subprocess.Popen[bytes]",
    folder: Path,
    num_bytes: int,
    on_bytes: Callable[[int], None],
    cancelled: threading.Event,
) -> int:
    """The exit code. Raises Cancelled or DownloadError; the process has ended in any case."""
    most, grown_at = 0, time.monotonic()
    try:
        while process.poll() is None:
            if cancelled.wait(LOOK_SECONDS):
                raise Cancelled("Cancelled.")
            size = _largest(folder)
            if size > num_bytes + SLACK:
                raise DownloadError("More bytes come than were announced, so nothing of them is kept. " + TRY_AGAIN)
            if size > most:
                most, grown_at = size, time.monotonic()
                on_bytes(min(size, num_bytes))
            if time.monotonic() - grown_at > STALLED_SECONDS:
                raise DownloadError(f"Nothing came for {STALLED_SECONDS / 60:.0f} minutes. {TRY_AGAIN}")
        return process.wait()
    finally:
        process.kill()
        process.wait()
        assert process.stdin
        process.stdin.close()


def _largest(folder: Path) -> int:
    """Bytes of the largest file in it; pip moves them about meanwhile."""
    sizes = [0]
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                sizes.append(os.lstat(os.path.join(place, name)).st_size)
    return max(sizes)


def _fault(said: str, requirement: str, folder: Path) -> DownloadError:
    """What pip's own words mean."""
    if NO_SPACE.search(said):
        return disk_trouble(OSError(FULL[0], ""), folder, kept=NOTHING_KEPT)
    if OTHER_BYTES.search(said):
        return DownloadError(
            f"{requirement} arrived with other bytes than it should have: its hash differs. Nothing of it is kept. "
            "Try again; if it happens again, the index that pip uses or the network on the way is damaged."
        )
    if CERTIFICATE.search(said):
        return DownloadError(
            f"{requirement} could not be downloaded: the certificate of pip's package index is not valid. Check the "
            "date of this computer and whether a proxy or a virus scanner stands in between."
        )
    if OFFLINE.search(said):
        return DownloadError(
            f"{requirement} could not be downloaded: pip reaches no package index. Is this computer online? {TRY_AGAIN}"
        )
    if LACKS.search(said):
        return DownloadError(f"The package index that pip uses does not have {requirement}. {TRY_AGAIN}")
    lines = [line for line in said.splitlines() if line.strip()]
    return DownloadError(f"{requirement} could not be downloaded. pip says: {lines[-1] if lines else 'nothing'}.")
