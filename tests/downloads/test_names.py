"""A repository's file names cannot lead out of the folder, here or on another system."""

from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.downloads import safe_path
from app.errors import DownloadError

LEADING_OUT = [
    "../evil",
    "a/../../evil",
    "..",
    ".",
    "a/./b",
    "/etc/passwd",
    "//host/share",
    "a//b",
    "a/",
    "..\\evil",
    "a\\..\\..\\evil",
    "C:\\evil",
    "C:evil",
    "c:/evil",
    "\\\\host\\share",
    "a/..%2fevil.txt",
    "..%5Cevil",
    "%2e%2e/evil",
    "%252e%252e%252fevil",
    "model.gguf%00.txt",
]
NO_FILES = [
    "",
    "nul",
    "CON.gguf",
    "a/LPT1",
    "aux.tar.gz",
    "model.gguf:stream",
    "a\0b",
    "a\nb",
    "what?",
    "a*",
    "a|b",
    '"',
]
DROPPED = [
    "a. ",
    "a.",
    " a",
    "a /b",
    "a/b.",
    "x" * 241,
    "é" * 130,
    "/".join("a" * 17),
    "a/" * 600 + "b",
    "a\u202eb",
    "\ud800",
]


@pytest.mark.parametrize("name", LEADING_OUT + NO_FILES + DROPPED)
def test_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match=r"^The repository has a file named .* It is not downloaded\.$"):
        safe_path(tmp_path, name)


@pytest.mark.parametrize(
    "name", ["model.gguf", "a/b/c.json", "é ü.gguf", ".gitattributes", "a..b", "50%.txt", "x" * 240]
)
def test_allowed(name: str, tmp_path: Path) -> None:
    assert safe_path(tmp_path, name) == tmp_path / name


def test_a_planted_link_is_refused(tmp_path: Path) -> None:
    folder, outside = tmp_path / "models", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (folder / "a").symlink_to(outside)
    (folder / "model.gguf").symlink_to(outside / "evil")
    for name in ("a/evil", "a", "model.gguf"):
        with pytest.raises(DownloadError, match=r"is a link to another place\. Remove it"):
            safe_path(folder, name)


def test_a_folder_that_is_itself_reached_by_a_link_is_the_persons_choice(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "models").symlink_to(tmp_path / "disk")
    assert safe_path(tmp_path / "models", "a.gguf") == tmp_path / "models" / "a.gguf"


@settings(deadline=None, derandomize=True)
@given(st.text(st.sampled_from("ab.\\/:%25cCfFeE \0~é"), max_size=20) | st.text(max_size=40))
def test_whatever_the_name_the_path_lies_below_the_folder(name: str) -> None:
    folder = Path("/nowhere/models")
    try:
        path = safe_path(folder, name)
    except DownloadError:
        return
    assert path.is_relative_to(folder)
    assert ".." not in path.parts
    assert path.as_posix() == f"{folder.as_posix()}/{name}"
    assert PureWindowsPath("C:/models", name).is_relative_to("C:/models")
