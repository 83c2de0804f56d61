"""Reads all files of a model again and compares their SHA-256: with the publisher's where that is known."""

import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from app.errors import ModelFileError
from app.jobs.hashing import hash_file
from app.jobs.job import JobContext
from app.library.entry import ModelEntry
from app.library.library import Library
from app.library.remarks import Check, Hash
from backends.child import Progress

NAMED_BY_HASH = re.compile(r"^(?:sha256-)?([0-9a-f]{64})$")  # blobs of Ollama and of the Hugging Face cache


@dataclass(frozen=True, slots=True)
class Verify:
    """A job. Its result is the Check, which the library keeps."""

    library: Library
    entry: ModelEntry
    steps: tuple[str, ...] = ("Read and compare",)

    @property
    def title(self) -> str:
        return f"Check {self.entry.full_name}"

    def run(self, context: JobContext) -> Check:
        """Raises Cancelled, and ModelFileError for a file that cannot be read."""
        report = context.step(0)
        files = self.entry.parts if self.entry.is_checkpoint else self.entry.files
        total, done = sum(_bytes(path) for path in files), 0
        hashes = []
        for path in files:

            def on_bytes(count: int, before: int = done, name: str = path.name) -> None:
                report(Progress((before + count) / max(1, total), name))

            hashes.append(_hash(path, self._expected(path), on_bytes, context.cancelled))
            done += hashes[-1].bytes
        check = self._judged(hashes)
        self.library.save_check(self.entry, check)
        return check

    def _expected(self, path: Path) -> str | None:
        """What the publisher said; for files of a cache, the name that they were stored under."""
        match = NAMED_BY_HASH.match(Path(os.path.realpath(path)).name)
        if match:
            return match[1]
        own = {each.path: each for each in self.entry.check.hashes} if self.entry.check else {}
        before = own.get(str(path))
        is_ours = before is not None and not before.is_expected and before.sha256 == self.entry.sha256
        return self.entry.sha256 if path == self.entry.path and not is_ours else None

    def _judged(self, hashes: list[Hash]) -> Check:
        earlier = {each.path: each for each in self.entry.check.hashes} if self.entry.check else {}
        bad = [each.path for each in hashes if not _is_sound(each, self._expected(Path(each.path)), earlier)]
        if bad:
            names = ", ".join(Path(path).name for path in bad)
            text = f"{names} is damaged: the content is not what it was. Download it again."
        elif not self.entry.is_loadable:
            text = self.entry.problem or f"{self.entry.path.name} cannot be loaded."
        elif all(each.is_expected for each in hashes):
            text = "No errors found; the hash matches the publisher's."
        elif any(each.path in earlier for each in hashes):
            text = "No changes since the first check."
        else:
            text = "No errors found; no publisher hash to compare. Later changes will be noticed."
        is_sound = not bad and self.entry.is_loadable
        return Check(datetime.now(UTC).isoformat(timespec="seconds"), is_sound, text, tuple(hashes))


def _is_sound(now: Hash, expected: str | None, earlier: dict[str, Hash]) -> bool:
    if expected is not None:
        return now.sha256 == expected
    before = earlier.get(now.path)
    # written since: another file, not a damaged one
    is_same_file = before is not None and (before.bytes, before.mtime_ns) == (now.bytes, now.mtime_ns)
    return not is_same_file or before is None or before.sha256 == now.sha256


def _hash(path: Path, expected: str | None, on_bytes: Callable[[int], None], cancelled: threading.Event) -> Hash:
    try:
        status = path.stat()  # before: what is written meanwhile makes it another file
    except OSError as fault:
        raise ModelFileError(f"{path.name} cannot be read: {fault.strerror or fault}. Check its disk.") from fault
    sha256 = hash_file(path, cancelled, on_bytes)
    return Hash(str(path), status.st_size, status.st_mtime_ns, sha256, sha256 == expected)


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
