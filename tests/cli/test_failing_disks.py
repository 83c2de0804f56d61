"""A disk that fails gives a sentence and exit code 1, never a traceback; what can be shown is shown all the same."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from app.errors import ConversionError
from app.jobs.convert import quantize_file
from app.paths import Paths
from app.settings import Settings
from app.settings_file import save_settings
from backends.disk_fault import told
from tests.convert import sources
from tests.means import begins_bound_by_permissions, begins_without_room

pytestmark = pytest.mark.skipif(os.name == "nt", reason="rights and limits are others there")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "models of mine"
    folder.mkdir()
    return folder


def slipstream(*arguments: object, bounds: Callable[[], None] | None = None) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "app", *map(str, arguments)]
    return subprocess.run(command, preexec_fn=bounds, capture_output=True, text=True, timeout=360)


def assert_told(end: "subprocess.CompletedProcess[str]", *words: str) -> None:
    assert end.returncode == 1, end
    assert "Traceback" not in end.stderr
    lines = end.stderr.splitlines()
    assert all(line.startswith("slipstream: ") for line in lines), lines
    assert all(word in lines[-1] for word in words), lines


def test_a_full_disk(folder: Path) -> None:
    paths = Paths.from_environment()
    save_settings(paths.settings_file, Settings(theme="dark"))
    before = paths.settings_file.read_bytes()
    assert_told(slipstream("models", "--add-folder", folder, bounds=begins_without_room), "settings.toml")
    assert paths.settings_file.read_bytes() == before
    assert [path.name for path in paths.config.iterdir() if not path.name.startswith(".")] == ["settings.toml"]


def test_a_full_disk_is_named_with_its_folder(folder: Path) -> None:
    end = slipstream("demo", bounds=begins_without_room)
    assert_told(end, f"{Path(os.environ['SLIPSTREAM_HOME'], 'cache', 'demo-')}", "Free some space there")
    assert folder.is_dir()


def test_a_folder_that_may_not_be_written_is_named_with_its_path(folder: Path) -> None:
    source = sources.write_llama(folder)
    closed = folder / "closed"
    closed.mkdir(0o500)
    end = slipstream("quantize", source, closed / "o.gguf", "--type", "Q8_0", bounds=begins_bound_by_permissions)
    closed.chmod(0o700)
    assert_told(end, f"{closed / 'o.gguf'}", "ermission denied", "Look who may read and write there.")


def test_a_part_that_cannot_be_cleared_away_does_not_hide_what_went_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ConversionError("What went wrong.")

    def refuse(path: Path) -> None:
        raise OSError(errno.EROFS, "Read-only file system", path.name)

    monkeypatch.setattr("app.jobs.convert.run_in_child", fail)
    monkeypatch.setattr("app.jobs.convert.delete_file", refuse)
    with pytest.raises(ConversionError, match="What went wrong"):
        quantize_file(Path("a.gguf"), Path("b.gguf"), logs=Path("logs"))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "/disk/folder cannot be used: no space left on device. Free",
        ),
        (OSError(errno.EROFS, "Read-only file system", "o.gguf"), "/disk/folder/o.gguf cannot be used: read-only file"),
        (
            OSError(errno.EIO, "Input/output error", "/else"),
            "/else cannot be used: input/output error. Look at the disk",
        ),
    ],
)
def test_a_fault_says_what_where_why_and_what_to_do(fault: OSError, words: str) -> None:
    assert words in told(fault, Path("/disk/folder"))


def test_a_home_that_may_only_be_read(folder: Path) -> None:
    paths = Paths.from_environment()
    paths.ensure()
    home = paths.config.parent
    for place in (*home.iterdir(), home):
        place.chmod(0o500)
    try:
        listed = slipstream("models", bounds=begins_bound_by_permissions)
        added = slipstream("models", "--add-folder", folder, bounds=begins_bound_by_permissions)
    finally:
        for place in (home, *home.iterdir()):
            place.chmod(0o700)
    assert listed.returncode == 0
    assert "Slipstream cannot write to" in listed.stderr
    assert_told(added, "settings.toml", "ermission denied")


def test_settings_that_nobody_may_read_are_not_written_over(folder: Path) -> None:
    paths = Paths.from_environment()
    save_settings(paths.settings_file, Settings(theme="dark"))
    before = paths.settings_file.read_bytes()
    paths.settings_file.chmod(0)
    end = slipstream("models", "--add-folder", folder, bounds=begins_bound_by_permissions)
    paths.settings_file.chmod(0o600)
    assert_told(end, "settings.toml", "ermission denied")
    assert paths.settings_file.read_bytes() == before


def test_a_home_that_is_a_file(folder: Path) -> None:
    Path(os.environ["SLIPSTREAM_HOME"]).write_text("in the way")
    assert_told(slipstream("models", "--add-folder", folder), "settings.toml", "not a directory")
    listed = slipstream("models")
    assert (listed.returncode, "Traceback" in listed.stderr) == (0, False)
    assert "is empty" in listed.stdout
    home = os.environ["SLIPSTREAM_HOME"]
    words = f"{home} is a file and no folder. Move it away, or choose another folder."
    assert_told(slipstream("demo"), words)
    assert_told(slipstream("cache"), f"{Path(home, 'cache', 'prompts')} cannot be used", words)
    assert Path(os.environ["SLIPSTREAM_HOME"]).read_text() == "in the way"


def test_a_reader_that_has_seen_enough(folder: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "app", "models"]
    with subprocess.Popen(command, stdout=writer, stderr=subprocess.PIPE, text=True) as end:
        os.close(writer)
        assert end.stderr
        assert end.stderr.read() == ""
    assert end.returncode == 1
    assert folder.is_dir()
