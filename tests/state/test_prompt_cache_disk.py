"""The prompt cache leaves the disk to others: 1 GB or 5 % stay free, whichever is more; of a tiny disk a quarter."""

import shutil
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue

import pytest

from backends.formats.kept_prompts import MAGIC
from backends.ownership.directory import open_directory
from backends.prompt_cache.disk_cache import DiskCache, spare_bytes
from backends.prompt_cache.state import State
from backends.prompt_cache.state_file import begin_state

GB = 1_000_000_000
Usage = namedtuple("Usage", "total used free")


@pytest.mark.parametrize(
    ("total", "spare"), [(4000 * GB, 200 * GB), (100 * GB, 5 * GB), (10 * GB, GB), (2 * GB, GB // 2), (0, 0)]
)
def test_what_stays_free(total: int, spare: int) -> None:
    assert spare_bytes(total) == spare


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[DiskCache]:
    disk = DiskCache(tmp_path / "prompts", 1 << 20, "a model", SimpleQueue().put)
    yield disk
    disk.close()


@pytest.fixture
def has(monkeypatch: pytest.MonkeyPatch, disk: DiskCache) -> Callable[[int], None]:
    """A disk of 100 GB with so much free beyond the 5 % when none of ours lies there."""

    def has(free: int) -> None:
        def usage(_path: Path) -> Usage:
            ours = sum(path.stat().st_size for path in disk.folder.glob("*.state"))
            return Usage(100 * GB, 0, 5 * GB + free - ours)

        monkeypatch.setattr(shutil, "disk_usage", usage)

    return has


def write(disk: DiskCache, number: int) -> None:
    disk.write(State([number] * 20, bytearray(500)), wait=True)


def kept(disk: DiskCache) -> list[int]:
    return [number for number in range(10) if disk.match([number] * 20)[1]]


def test_the_next_start_removes_what_a_dead_writer_left_and_nothing_of_a_living_one(
    tmp_path: Path, disk: DiskCache
) -> None:
    dead, living = (disk.folder / f"state-{digit * 16}.part" for digit in "01")
    dead.write_bytes(MAGIC + bytes(100))
    with open_directory(disk.folder) as folder, begin_state(folder, living.name) as file:
        file.write(MAGIC)
        DiskCache(tmp_path / "prompts", 1 << 20, "a model", SimpleQueue().put).close()
        assert not dead.exists()
        assert living.exists()
    DiskCache(tmp_path / "prompts", 1 << 20, "a model", SimpleQueue().put).close()
    assert not living.exists()


def test_on_a_disk_with_room_all_is_kept(disk: DiskCache, has: Callable[[int], None]) -> None:
    has(1 << 20)
    for number in range(5):
        write(disk, number)
    disk.check_integrity()
    assert kept(disk) == [0, 1, 2, 3, 4]


def test_the_oldest_go_before_the_disk_is_nearly_full(disk: DiskCache, has: Callable[[int], None]) -> None:
    has(1500)
    for number in range(5):
        write(disk, number)
    disk.check_integrity()
    assert kept(disk) == [3, 4]
    assert sum(path.stat().st_size for path in disk.folder.glob("*.state")) <= 1500


def test_on_a_disk_that_others_have_filled_nothing_is_written_and_nothing_goes_for_it(
    disk: DiskCache, has: Callable[[int], None], capfd: pytest.CaptureFixture[str]
) -> None:
    has(1500)
    write(disk, 0)
    has(600)
    write(disk, 1)
    assert kept(disk) == [0]
    assert [path.stat().st_size for path in disk.folder.glob("*.state")] != []
    assert "is nearly full" in capfd.readouterr().err
    disk.check_integrity()
