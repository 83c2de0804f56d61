"""The folder of kept prompts is measured and cleared; what is not ours is left alone."""

import os
from pathlib import Path

import pytest

from backends.formats.kept_prompts import MAGIC, clear, our_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "prompts"
    (folder / "sub.state").mkdir(parents=True)
    (folder / "sub.state" / "inside.state").write_bytes(b"a folder's")
    (folder / "a.state").write_bytes(MAGIC + b"1234")
    (folder / "b.part").write_bytes(MAGIC + b"12")
    (folder / "letter.txt").write_bytes(b"a person's")
    return folder


def test_only_our_files_count_and_only_they_go(folder: Path) -> None:
    assert sum(file.num_bytes for file in our_files(folder)) == 2 * len(MAGIC) + 6
    assert {file.name for file in clear(folder)} == {"a.state", "b.part"}
    assert our_files(folder) == []
    assert {path.name for path in folder.iterdir()} == {"sub.state", "letter.txt"}
    assert (folder / "sub.state" / "inside.state").exists()


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_no_link_is_followed_or_removed(folder: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious.state"
    precious.write_bytes(b"elsewhere")
    (folder / "link.state").symlink_to(precious)
    assert len(clear(folder)) == 2
    assert precious.exists()
    assert (folder / "link.state").is_symlink()


def test_what_vanishes_meanwhile_is_no_error(folder: Path) -> None:
    (folder / our_files(folder)[0].name).unlink()
    assert len(clear(folder)) == 1
