"""A disk that is too small is told before the first byte, and one that fills up on the way loses nothing."""

import errno
import shutil
import subprocess
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import Any

import pytest

from app.errors import DownloadError
from tests.downloads.conftest import CONTENT, NAME, REPO, Place
from tests.hub.double import HubRepo

MB = 1_000_000
DISK = 2 * MB  # for a file of 3 MB


@pytest.fixture(params=["a file system of its own", "/dev/full"])
def small_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path | None]:
    """A tmpfs of 2 MB; None for /dev/full, and where this user may not mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = None if request.param == "/dev/full" else shutil.which("mount")
    command = [str(mount), "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]
    if mount is None or subprocess.run(command, capture_output=True, check=False).returncode:
        yield None
        return
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


class FileOnFullDisk(FileIO):
    """From DISK bytes on each write goes to /dev/full, which gives the system's own ENOSPC."""

    def write(self, data: Any) -> int:
        if room := DISK - self.tell():
            return super().write(data[:room])
        with open("/dev/full", "wb", buffering=0) as full:
            return full.write(data)


def test_too_little_space_is_told_with_both_numbers_before_anything_is_asked(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(place.folder.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=2 * MB))
    with pytest.raises(DownloadError) as caught:
        place.fetch()
    assert str(caught.value) == (
        f"3.0 MB are still to be downloaded, and 2.0 MB are free on the disk of {place.folder.parent}. "
        "Free 1.0 MB or choose a folder on another disk."
    )
    assert place.double.requests == []


def test_what_lies_there_already_needs_no_space(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.leave(2 * MB)
    usage = shutil.disk_usage(place.folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=len(CONTENT) - 2 * MB))
    place.fetch()
    assert place.target.read_bytes() == CONTENT


def test_the_sum_of_all_files_counts(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.double.add(HubRepo(REPO, {NAME: CONTENT, "other.gguf": CONTENT[::-1]}))
    usage = shutil.disk_usage(place.folder.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=4 * MB))
    with pytest.raises(DownloadError, match=r"^6\.0 MB are still to be downloaded, and 4\.0 MB are free"):
        place.fetch(place.source(), place.source("other.gguf"))


def test_a_disk_that_fills_up_on_the_way_keeps_what_came(
    place: Place, small_disk: Path | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a mounted tmpfs; where that is not allowed, with the part file's writes led to /dev/full."""
    huge = shutil.disk_usage(place.folder.parent)._replace(free=1 << 40)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _: huge)  # another program takes the space meanwhile
        if small_disk is None:
            patch.setattr("app.downloads.part.FileIO", FileOnFullDisk)
        else:
            place.folder = small_disk / "models"
        with pytest.raises(DownloadError) as caught:
            place.fetch()
    sentence = str(caught.value)
    assert sentence.startswith(f"The disk of {place.folder} is full, and ")
    assert sentence.endswith("are still to come. What has come so far is kept. Free some space, then try again.")
    assert not place.target.exists()
    kept = place.part.read_bytes()
    assert kept == CONTENT[: len(kept)]
    assert MB < len(kept) <= DISK
    if small_disk is not None:
        subprocess.run(["mount", "-o", f"remount,size={4 * MB}", str(small_disk)], check=True)
    place.fetch()
    assert place.target.read_bytes() == CONTENT
    assert place.double.finished_downloads()[-1].bytes_sent == len(CONTENT) - len(kept)


def test_a_file_system_without_large_files_is_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(_self: object, _data: object) -> None:
        raise OSError(errno.EFBIG, "File too large")

    monkeypatch.setattr("app.downloads.part.Part.write", write)
    with pytest.raises(DownloadError, match=r"takes no file as large as “model\.gguf” \(FAT32 ends at 4 GB\)"):
        place.fetch()


def test_a_disk_that_fails_while_it_is_synced_is_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def sync(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("app.downloads.part.os.fsync", sync)
    with pytest.raises(
        DownloadError, match=r"cannot be written: Input/output error\. Check the folder, then try again"
    ):
        place.fetch()
    assert not place.target.exists()
