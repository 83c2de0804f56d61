"""A reference file is read back as it was written, or refused."""

import hashlib
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from backends.quality.reference import Recorder, Rows
from backends.quality.reference_file import DamagedReference, ReferenceWriter, check_reference, read_reference
from backends.quality.sampling import Sampling
from tests.quality.brute import pair

KEY = {"model": "ab", "context": 512}
NUM_TOKENS = 5_000
SAMPLING = Sampling.of(NUM_TOKENS)
NUM_ROWS = 12


@pytest.fixture(scope="module")
def rows() -> Rows:
    reference, _ = pair(NUM_ROWS, NUM_TOKENS, 2.0, 0.0)
    return Recorder(SAMPLING).record(reference, np.zeros(NUM_ROWS, np.int32))


@pytest.fixture
def file(tmp_path: Path, rows: Rows) -> Path:
    return write(tmp_path / "a.reference", rows[:5], rows[5:])


def write(path: Path, *blocks: Rows) -> Path:
    with ReferenceWriter(path, KEY) as writer:
        for block in blocks:
            writer.add(block)
        writer.finish()
    return path


def check(path: Path) -> None:
    check_reference(path, KEY, SAMPLING, NUM_ROWS)


def test_what_was_written_is_read(file: Path, rows: Rows) -> None:
    check(file)
    first, second = read_reference(file, KEY, SAMPLING)
    assert len(first) == 5
    for part, whole in ((first, rows[:5]), (second, rows[5:])):
        for name in ("tops", "targets", "counts", "ids", "log_p"):
            assert (getattr(part, name) == getattr(whole, name)).all()


def test_a_file_of_something_else_is_refused(file: Path) -> None:
    with pytest.raises(DamagedReference, match="another model, text or setting"):
        check_reference(file, {**KEY, "context": 256}, SAMPLING, NUM_ROWS)
    with pytest.raises(DamagedReference, match="12 positions instead of 13"):
        check_reference(file, KEY, SAMPLING, NUM_ROWS + 1)


def test_no_file_is_refused_like_a_bad_one(tmp_path: Path) -> None:
    with pytest.raises(DamagedReference, match="cannot be read"):
        check(tmp_path / "missing.reference")


def test_any_changed_byte_is_noticed(file: Path) -> None:
    good = file.read_bytes()
    random = np.random.default_rng(0)
    for place in [0, 9, 30, len(good) - 1, *random.integers(len(good), size=60).tolist()]:
        bad = bytearray(good)
        bad[place] ^= 1 << int(random.integers(8))
        file.write_bytes(bad)
        with pytest.raises(DamagedReference):
            check(file)


def test_a_file_cut_anywhere_is_noticed(file: Path) -> None:
    good = file.read_bytes()
    for length in [0, 5, 11, 40, len(good) // 2, len(good) - 33, len(good) - 1]:
        file.write_bytes(good[:length])
        with pytest.raises(DamagedReference):
            check(file)
    file.write_bytes(good + b"x")
    with pytest.raises(DamagedReference):
        check(file)


def test_an_unfinished_file_is_refused(tmp_path: Path, rows: Rows) -> None:
    with ReferenceWriter(tmp_path / "a.reference", KEY) as writer:
        writer.add(rows)
    with pytest.raises(DamagedReference):
        check(tmp_path / "a.reference")


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: {"tops": np.full_like(rows.tops, NUM_TOKENS)},
        lambda rows: {"ids": np.full_like(rows.ids, 2**31)},
        lambda rows: {"log_p": np.full_like(rows.log_p, np.nan)},
        lambda rows: {"log_p": np.full_like(rows.log_p, 0.5)},
        lambda rows: {"targets": np.full_like(rows.targets, -np.inf)},
        lambda rows: {"counts": rows.counts + np.uint32(1)},
    ],
)
def test_numbers_that_cannot_be_are_refused_even_with_the_right_checksum(tmp_path: Path, rows: Rows, change) -> None:
    path = write(tmp_path / "a.reference", replace(rows, **change(rows)))
    with pytest.raises(DamagedReference, match=r"cannot be probabilities|too large"):
        check(path)


def test_a_block_that_claims_to_be_huge_takes_no_memory(file: Path) -> None:
    good = file.read_bytes()
    begin = 12 + int.from_bytes(good[8:12], "little")
    bad = bytearray(good[: len(good) - 32])
    bad[begin : begin + 8] = b"\xff" * 8
    file.write_bytes(bytes(bad) + hashlib.sha256(bad).digest())
    with pytest.raises(DamagedReference, match="too large"):
        check(file)


def test_a_block_that_claims_more_than_the_file_holds_takes_no_memory(file: Path) -> None:
    good = file.read_bytes()
    header = good[: 12 + int.from_bytes(good[8:12], "little")]
    num_rows, num_ids = 1 << 16, 1 << 28  # a gigabyte, which so many rows could have
    file.write_bytes(header + np.array([num_rows, num_ids], "<u4").tobytes() + bytes(12 * num_rows))
    tracemalloc.start()
    try:
        with pytest.raises(DamagedReference, match="ends too early"):
            check(file)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000
