"""Builds beside each other on the disk: listed when whole, removed when ours."""

from pathlib import Path

import pytest

from app.builds.build import Build, build_from, record_of
from app.builds.shelf import LIBRARIES, LIBRARY, RECORD, Shelf
from app.errors import BuildError
from backends.build_report import BuildDevice, BuildReport

REPORT = BuildReport("0.5.0", "0.3.36", "CUDA : ARCHS = 890", True, (BuildDevice("CUDA0", "RTX 4090", True, 5, 9),))


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path / "builds")


def put(shelf: Shelf, name: str = "cuda-89", made_at: str = "2026-12-01T02:00:00+00:00") -> Build:
    place = shelf.place(name)
    (place / LIBRARIES).mkdir()
    (place / LIBRARIES / LIBRARY).write_bytes(b"")
    (place / LIBRARIES / "libggml-cuda.so").write_bytes(b"")
    return shelf.add(Build(place.name, None, "cuda", "RTX 4090", made_at, "0.3.36", REPORT))


def test_without_any_there_is_the_installed_one(shelf: Shelf) -> None:
    assert shelf.builds() == (Build("installed"),)
    assert not shelf.folder.exists()


def test_those_that_are_whole_are_listed_the_newest_first(shelf: Shelf) -> None:
    old, new = put(shelf), put(shelf, "vulkan", "2026-12-02T02:00:00+00:00")
    assert shelf.builds()[1:] == (new, old)
    assert shelf.find("vulkan").libraries == shelf.folder / "vulkan" / LIBRARIES
    (shelf.folder / "vulkan" / RECORD).write_text("{")
    (shelf.folder / "cuda-89" / LIBRARIES / LIBRARY).unlink()
    assert shelf.builds() == (Build("installed"),)


def test_a_name_that_is_taken_gets_a_number(shelf: Shelf) -> None:
    assert [put(shelf).name, put(shelf).name] == ["cuda-89", "cuda-89-2"]


def test_a_removed_one_is_gone_with_all_its_files(shelf: Shelf) -> None:
    build = put(shelf)
    shelf.remove(build.name)
    assert not (shelf.folder / build.name).exists()
    with pytest.raises(BuildError, match="Known: installed"):
        shelf.find(build.name)


@pytest.mark.parametrize("name", ["installed", "..", "../models", "", "a/b"])
def test_nothing_else_can_be_removed(shelf: Shelf, name: str) -> None:
    put(shelf)
    with pytest.raises(BuildError):
        shelf.remove(name)
    assert len(shelf.builds()) == 2


def test_a_folder_of_somebody_else_is_left_alone(shelf: Shelf) -> None:
    (shelf.folder / "cuda-89").mkdir(parents=True)
    (shelf.folder / "cuda-89" / "thesis.txt").write_text("mine")
    with pytest.raises(BuildError):
        shelf.remove("cuda-89")
    assert (shelf.folder / "cuda-89" / "thesis.txt").exists()


@pytest.mark.parametrize(
    "record", [b"", b"[]", b'{"build": 1}', b'{"build": {"kind": 5}}', b"[" * 100_000, record_of(Build("x"))[:-9]]
)
def test_a_damaged_record_is_no_build(record: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        build_from(record, "x", Path("/x"))


def test_a_record_comes_back_as_it_was(tmp_path: Path) -> None:
    build = Build("cuda-89", tmp_path, "cuda", "RTX 4090", "2026", "0.3.36", REPORT)
    assert build_from(record_of(build), "cuda-89", tmp_path) == build
