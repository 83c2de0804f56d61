"""A download goes on after anything: only the rest is fetched, and never of another version."""

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.downloads.conftest import CONTENT, NAME, REPO, Place
from tests.hub.double import HubRepo

MB = 1_000_000
NUM_KILLS = 6
ROOT = Path(__file__).parents[2]


def test_the_next_run_fetches_only_the_rest(place: Place) -> None:
    place.leave(MB)
    place.fetch()
    assert place.target.read_bytes() == CONTENT
    (rest,) = place.double.finished_downloads()
    assert (rest.status, rest.headers["range"], rest.bytes_sent) == (206, f"bytes={MB}-", len(CONTENT) - MB)
    assert rest.headers["if-range"].startswith('"')
    assert place.transfers[0].bytes_total == len(CONTENT)


def test_a_part_that_is_whole_needs_no_request(place: Place) -> None:
    place.leave(MB)
    place.part.write_bytes(CONTENT)
    place.fetch()
    assert place.double.requests == []
    assert place.target.read_bytes() == CONTENT


def test_a_new_version_at_the_same_address_is_fetched_from_its_start(place: Place) -> None:
    place.leave(MB)
    newer = CONTENT[::-1]
    place.double.add(HubRepo(REPO, {NAME: newer}))
    place.fetch()
    assert place.target.read_bytes() == newer
    (seen,) = place.double.finished_downloads()
    assert "range" not in seen.headers  # the side file names the other hash


def test_a_new_version_without_hashes_is_told_by_its_etag(place: Place) -> None:
    place.double.fail(on="/cdn/*", stall_after=MB, times=1)
    place.pause_after(MB, place.source(hashed=False))
    newer = CONTENT[::-1]
    place.double.add(HubRepo(REPO, {NAME: newer}))
    place.fetch(place.source(hashed=False))
    assert place.target.read_bytes() == newer
    last = place.double.finished_downloads()[-1]
    assert (last.status, last.headers["range"]) == (200, f"bytes={MB}-")


def test_a_kill_right_after_the_renaming_leaves_nothing_for_long(place: Place) -> None:
    place.leave(MB)
    place.part.unlink()
    place.target.write_bytes(CONTENT)
    place.fetch()
    assert place.names == [NAME]
    assert place.double.requests == []


def _other_hash(side: dict[str, Any]) -> None:
    side["sha256"] = "0" * 64


def _other_size(side: dict[str, Any]) -> None:
    side["bytes"] += 1


def _other_program(side: dict[str, Any]) -> None:
    side["version"] = 99


@pytest.mark.parametrize("change", [_other_hash, _other_size, _other_program, dict.clear])
def test_a_side_file_of_another_file_is_not_believed(change: Any, place: Place) -> None:
    place.leave(MB)
    side_file = place.folder / f"{NAME}.part.json"
    side = json.loads(side_file.read_text("utf-8"))
    change(side)
    side_file.write_text(json.dumps(side), "utf-8")
    place.fetch()
    assert place.target.read_bytes() == CONTENT
    assert "range" not in place.double.finished_downloads()[0].headers


@pytest.mark.parametrize("side", [b"", b"[1]", b"{", b"\xff\xfe", b'{"a":' * 2000])
def test_a_side_file_that_is_none_is_not_believed(side: bytes, place: Place) -> None:
    place.leave(MB)
    (place.folder / f"{NAME}.part.json").write_bytes(side)
    place.fetch()
    assert place.names == [NAME]
    assert "range" not in place.double.finished_downloads()[0].headers


def test_a_part_that_is_longer_than_the_file_is_not_believed(place: Place) -> None:
    place.leave(MB)
    place.part.write_bytes(CONTENT + b"more")
    place.fetch()
    assert place.target.read_bytes() == CONTENT


def test_sigkill_at_random_moments_loses_only_what_was_in_flight(place: Place) -> None:
    place.double.fail(on="/cdn/*", bytes_per_second=3 * MB)
    source, chance = place.source(), random.Random(7)
    command = [sys.executable, "-m", "tests.downloads.child", source.url, str(source.bytes), str(source.sha256)]
    for _ in range(NUM_KILLS):
        with subprocess.Popen([*command, str(place.target)], cwd=ROOT, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            wanted = chance.randrange(len(CONTENT))
            while (line := child.stdout.readline()) and int(line) < wanted:
                pass
            child.kill()
    left = len(CONTENT) if place.target.exists() else place.part.stat().st_size
    place.double.faults.clear()
    num_before = len(place.double.finished_downloads())
    place.fetch()
    assert place.target.read_bytes() == CONTENT
    assert place.names == [NAME]
    assert sum(seen.bytes_sent for seen in place.double.finished_downloads()[num_before:]) == len(CONTENT) - left
    ranges = [int(seen.headers.get("range", "bytes=0-")[6:-1]) for seen in place.double.finished_downloads()]
    assert ranges == sorted(ranges)  # never back
