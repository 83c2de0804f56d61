"""One file from its source to its place: tries, goes on where it stopped, checks, renames. Knows no other file."""

import re
import threading
import time
from email.message import Message
from io import FileIO
from pathlib import Path

from app.downloads.digest import Digest, expected, hash_of
from app.downloads.exchange import Answer, Exchange, host
from app.downloads.part import Part
from app.downloads.patience import Patience
from app.downloads.source import Source
from app.downloads.trouble import (
    Trouble,
    disk_trouble,
    given_up,
    other_size,
    other_version,
    refusal,
    too_long_a_wait,
    wrong_bytes,
)
from app.errors import Cancelled, DownloadError

FLUSH_SECONDS = 0.25  # on a slow line a buffer is not filled first: a kill should not cost much
CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
SHA256 = re.compile(r"[0-9a-f]{64}")


class Fetch:
    """Runs on one thread, which alone writes the counters; others look at them. `abort` may come from any."""

    def __init__(self, source: Source, target: Path, patience: Patience):
        self.source = source
        self.target = target
        self.part = Part(source, target)
        self.is_there = _is_there(source, target)
        self.position = source.bytes if self.is_there else self.part.size  # of the file
        self.received = 0  # over the network, never less
        self.text = ""  # what is the matter; "" while it just comes
        self._patience = patience
        self._exchange = Exchange(patience)
        self._aborted = threading.Event()
        self._is_stitched = False  # of more than one answer

    @property
    def kept(self) -> int:
        """Bytes of the file that lie here, also while they are read again for their hash."""
        return max(self.position, self.part.size)

    @property
    def missing(self) -> int:
        """Bytes that the disk must have room for."""
        return self.source.bytes - self.position

    def abort(self) -> None:
        self._aborted.set()
        self._exchange.abort()

    def run(self) -> None:
        """Raises DownloadError, or Cancelled after `abort`."""
        try:
            with Digest(lambda: hash_of(self.source)) as digest:
                if not self._keep_what_is_there(digest):
                    self._fetch(digest)
        except OSError as fault:
            raise disk_trouble(fault, self.target, self.missing) from fault
        finally:
            self._exchange.close()
            self.part.close()

    def _keep_what_is_there(self, digest: Digest) -> bool:
        """A file under its final name is checked like any other; one that is wrong is fetched anew."""
        if not self.is_there:
            return False
        self.position = 0
        with self.target.open("rb", buffering=0) as file:
            self._hash(digest, file)
        if digest.hexdigest() == expected(self.source):
            self.part.discard()  # a kill right after the renaming leaves the side file
            return True
        digest.restart()
        self.position = self.part.size
        return False

    def _fetch(self, digest: Digest) -> None:
        if self.part.size:
            self.position, self._is_stitched = 0, True
            self._hash(digest, self.part.file)
        while True:
            self._try_until_whole(digest)
            if digest.hexdigest() == expected(self.source):
                break
            self.part.discard()
            if not self._is_stitched:
                raise wrong_bytes(self.target.name, host(self.source.url))
            self._start_anew(digest, None)  # an old piece may have been damaged: once more, in one go
            self._is_stitched = False
        self.part.sync()  # an empty file needs no request, only its place
        self._check_abort()
        self.part.finish()

    def _hash(self, digest: Digest, file: FileIO) -> None:
        self.text = f"checking what is there of “{self.target.name}”"
        while True:
            self._check_abort()
            buffer = digest.buffer()
            count = file.readinto(buffer)
            digest.add(buffer, count)
            if not count:
                break
            self.position += count
        self.text = ""

    def _try_until_whole(self, digest: Digest) -> None:
        num_failures, furthest = 0, self.position
        while self.position < self.source.bytes:
            try:
                self._try(digest)
            except Trouble as trouble:
                self._check_abort()
                if self.position > furthest:
                    num_failures, furthest = 0, self.position
                num_failures += 1
                self._wait(trouble, num_failures)
        self.text = ""

    def _wait(self, trouble: Trouble, num_failures: int) -> None:
        if num_failures >= self._patience.tries:
            raise given_up(self.target.name, trouble, num_failures) from trouble
        if trouble.wait is not None and trouble.wait > self._patience.longest_order:
            raise too_long_a_wait(str(trouble), trouble.wait) from trouble
        seconds = self._patience.wait(num_failures, trouble.wait)
        self.text = f"{trouble}; trying again in {max(1, round(seconds))} s"
        if self._aborted.wait(seconds):
            raise Cancelled("Cancelled.")

    def _try(self, digest: Digest) -> None:
        if self.position and not self.part.is_resumable:
            self._start_anew(digest, None)
        headers = {}
        if self.position:
            headers["Range"] = f"bytes={self.position}-"
            if self.part.validator is not None:
                headers["If-Range"] = self.part.validator
        with self._exchange.get(self.source.url, headers, self.source.headers, self._check_announced) as answer:
            self._meet(digest, answer)
            self._receive(digest, answer)

    def _check_announced(self, headers: Message) -> None:
        """The Hub names the hash of the file that it sends to: another one shows before its bytes come."""
        announced = headers.get("X-Linked-Etag", "").strip('"')
        if self.source.sha256 and SHA256.fullmatch(announced) and announced != expected(self.source):
            raise other_version(self.target.name, host(self.source.url))

    def _meet(self, digest: Digest, answer: Answer) -> None:
        """Ready for this answer's body, or why not."""
        name = self.target.name
        if answer.status == 200:
            self._check_promise(answer, self.source.bytes)
            self._start_anew(digest, _strong(answer.headers.get("ETag")))
        elif answer.status == 206 and self._goes_on(answer):
            self._check_promise(answer, self.source.bytes - self.position)
            self._is_stitched = True
        elif answer.status in (206, 416) and self.position:
            self._start_anew(digest, None)
            raise Trouble(f"{answer.host} cannot go on where “{name}” stopped, so it begins anew", 0)
        else:
            raise refusal(answer.status, answer.headers, name, answer.host, answer.is_elsewhere)

    def _goes_on(self, answer: Answer) -> bool:
        """The very bytes that were asked for, of the same version."""
        found = CONTENT_RANGE.match(answer.headers.get("Content-Range", ""))
        etag = _strong(answer.headers.get("ETag"))
        return (
            self.position > 0
            and found is not None
            and int(found[1]) == self.position
            and found[2] in ("*", str(self.source.bytes))
            and (etag is None or self.part.validator in (None, etag))
        )

    def _check_promise(self, answer: Answer, wanted: int) -> None:
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise Trouble(f"{answer.host} sends “{self.target.name}” compressed")
        if answer.length is not None and answer.length != wanted:
            raise other_size(self.target.name, answer.host, answer.length, self.source.bytes)

    def _start_anew(self, digest: Digest, validator: str | None) -> None:
        self._check_abort()
        self.part.begin(validator)
        digest.restart()
        self.position = 0

    def _receive(self, digest: Digest, answer: Answer) -> None:
        self.text = ""
        while left := self.source.bytes - self.position:
            buffer = digest.buffer()
            count, trouble = self._fill(buffer[: min(left, len(buffer))], answer)
            self.part.write(buffer[:count])
            self.position += count
            digest.add(buffer, count)
            if trouble is not None:
                raise trouble
        if answer.length is None and _has_more(answer):
            self.part.discard()
            raise other_size(self.target.name, answer.host, answer.length, self.source.bytes)

    def _fill(self, buffer: memoryview, answer: Answer) -> tuple[int, Exception | None]:
        """As much as comes in a moment, and what ended it early: what has come before that is kept."""
        filled, until = 0, time.monotonic() + FLUSH_SECONDS
        while filled < len(buffer) and (not filled or time.monotonic() < until):
            try:
                count = answer.readinto(buffer[filled:])
            except (Trouble, DownloadError) as trouble:
                return filled, trouble
            if not count:
                return filled, Trouble(f"the connection to {answer.host} ended early")
            filled += count
            self.received += count
        return filled, None

    def _check_abort(self) -> None:
        if self._aborted.is_set():
            raise Cancelled("Cancelled.")


def kept_bytes(source: Source, target: Path) -> int:
    """How much of it an earlier download has left; nothing is opened for writing."""
    return source.bytes if _is_there(source, target) else Part(source, target).size


def _is_there(source: Source, target: Path) -> bool:
    try:
        return target.is_file() and not target.is_symlink() and target.stat().st_size == source.bytes
    except OSError:
        return False


def _strong(etag: str | None) -> str | None:
    """A weak ETag calls different bytes equal: it is none for us."""
    return etag if etag and etag.startswith('"') else None


def _has_more(answer: Answer) -> bool:
    try:
        return answer.readinto(memoryview(bytearray(1))) > 0
    except Trouble:
        return False
