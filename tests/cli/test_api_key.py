"""Where the port's key comes from."""

import os
import sys
from pathlib import Path

import pytest

from app.cli.api_key import VARIABLE, wanted_key
from app.errors import UsageError


def key_file(folder: Path, content: bytes, mode: int = 0o600) -> str:
    path = folder / "key"
    path.write_bytes(content)
    path.chmod(mode)
    return str(path)


def test_a_key_on_the_command_line_holds_and_is_said_to_be_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "sk-other")
    key, notes = wanted_key("sk-x", None)
    assert key == "sk-x"
    assert ["can be seen" in note for note in notes] == [True]


def test_a_file_holds_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "sk-other")
    assert wanted_key(None, key_file(tmp_path, "sk-ключ\r\n".encode())) == ("sk-ключ", [])


def test_a_file_that_others_can_read_is_named(tmp_path: Path) -> None:
    key, notes = wanted_key(None, key_file(tmp_path, b"sk-x", 0o644))
    assert key == "sk-x"
    assert ["chmod 600" in note for note in notes] == ([] if sys.platform == "win32" else [True])


def test_the_environment_holds_the_key_and_no_child_inherits_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "sk-x")
    assert wanted_key(None, None) == ("sk-x", [])
    assert VARIABLE not in os.environ


def test_without_any_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert wanted_key(None, None) == (None, [])


@pytest.mark.parametrize("content", [b"", b"\n", b"two words", b"two\nlines", b"\xff\xfe", b"x" * 5000, b"a\x00b"])
def test_what_is_no_key_is_refused_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(UsageError, match="key file"):
        wanted_key(None, key_file(tmp_path, content))


def test_a_pipe_a_folder_and_a_missing_file_are_refused_at_once(tmp_path: Path) -> None:
    if hasattr(os, "mkfifo"):  # else there is no such file, which is refused as well
        os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", ".", "missing"):
        with pytest.raises(UsageError, match="key file"):
            wanted_key(None, str(tmp_path / name))


def test_two_keys_are_one_too_many(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exclude"):
        wanted_key("sk-x", key_file(tmp_path, b"sk-y"))
