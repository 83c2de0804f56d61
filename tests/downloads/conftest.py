"""A repository on the double, and downloads from it that are impatient."""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from app.downloads import Patience, Source, Transfer, download
from app.errors import Cancelled, DownloadError
from tests.hub.conftest import hub_double, running_double
from tests.hub.double import HubDouble, HubRepo

__all__ = ["hub_double", "running_double"]

REPO = "org/model"
NAME = "model.gguf"
CONTENT = bytes(range(251)) * 12_000  # 3 MB: several buffers, and no multiple of one
IMPATIENT = Patience(tries=3, first_wait=0.01, longest_wait=0.02, longest_order=5.0, connect=20.0, silence=20.0)

LATE = Patience(first_wait=60.0, longest_wait=60.0, silence=60.0)


@dataclass
class Place:
    """Where one test downloads to, and what it was told."""

    double: HubDouble
    folder: Path
    stop: threading.Event = field(default_factory=threading.Event)
    transfers: list[Transfer] = field(default_factory=list)
    on_progress: Callable[[Transfer], None] = lambda _: None

    @property
    def target(self) -> Path:
        return self.folder / NAME

    @property
    def part(self) -> Path:
        return self.folder / f"{NAME}.part"

    @property
    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir()) if self.folder.exists() else []

    def source(self, name: str = NAME, *, token: str | None = None, hashed: bool = True) -> Source:
        file = self.double.repos[REPO].file(name)
        assert file is not None
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        sha256 = file.sha256 if hashed and file.is_lfs else None
        git_sha1 = file.oid if hashed and not file.is_lfs else None
        return Source(self.double.address(REPO, name), headers, file.bytes, sha256, git_sha1)

    def fetch(self, *sources: Source, patience: Patience = IMPATIENT) -> None:
        """The sources, by the last parts of their addresses; without any the repository's model."""
        wanted = sources or (self.source(),)
        pairs = [(source, self.folder / source.url.rpartition("/")[2]) for source in wanted]
        download(pairs, self._note, self.stop, patience=patience)

    def leave(self, num_bytes: int) -> None:
        """A download that was interrupted after so many bytes."""
        fault = self.double.fail(on="/cdn/*", cut_after=num_bytes)
        with pytest.raises(DownloadError, match="ended early"):
            self.fetch(patience=Patience(tries=1))
        self.double.faults.clear()
        self.double.requests.clear()
        assert fault.num_seen == 1
        assert self.part.stat().st_size == num_bytes

    def pause_after(self, num_bytes: int, source: Source | None = None) -> None:
        """A download that is paused once so many bytes were sent and some have come."""

        def look(transfer: Transfer) -> None:
            if transfer.bytes_per_second and self.double.downloads()[-1].bytes_sent >= num_bytes:
                self.stop.set()

        self.on_progress = look
        with pytest.raises(Cancelled):
            self.fetch(source or self.source(), patience=LATE)
        self.on_progress = lambda _: None
        self.stop.clear()

    def _note(self, transfer: Transfer) -> None:
        self.transfers.append(transfer)
        self.on_progress(transfer)


@pytest.fixture
def place(hub_double: HubDouble, tmp_path: Path) -> Place:
    hub_double.add(HubRepo(REPO, {NAME: CONTENT, "config.json": b'{"a": 1}', "empty.txt": b""}))
    return Place(hub_double, tmp_path / "models é")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
