"""What commands say of a file that is named to them and no model: the sentences of the library."""

import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.__main__ import main

ODD: dict[str, tuple[Callable[[Path], object], str]] = {
    "pipe": (os.mkfifo, "{} is no file but a device, a pipe or the like."),
    "device": (lambda path: path.symlink_to("/dev/zero"), "{} is no file but a device, a pipe or the like."),
    "nowhere": (
        lambda path: path.symlink_to("nowhere"),
        "{} is a link to a file that is not there. Bring the file back, or delete the link.",
    ),
    "circle": (lambda path: path.symlink_to(path.name), "{} is a link that goes round in a circle."),
}
COMMANDS = (("chat", "{}", "hello"), ("serve", "--model", "{}"), ("evaluate", "{}"), ("quantize", "{}", "out.gguf"))


@pytest.fixture(autouse=True)
def empty_stdin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        yield


def said(capfd: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) in (1, 2)
    return capfd.readouterr().err


@pytest.mark.parametrize("name", ["odd.gguf", "odd"])
@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_an_odd_file_is_told_by_what_it_is(
    command: tuple[str, ...], kind: str, name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    make, sentence = ODD[kind]
    path = tmp_path / name
    make(path)
    told = said(capfd, *(word.format(path) for word in command))
    assert told == f"slipstream: {sentence.format(path)}\n"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_folder_and_a_text_are_told_as_well(
    command: tuple[str, ...], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder, text = tmp_path / "folder.gguf", tmp_path / "text"
    folder.mkdir()
    text.write_text("hello")
    assert "is a folder and no GGUF file." in said(capfd, *(word.format(folder) for word in command))
    assert re.search("not a GGUF file|not a GGUF model", said(capfd, *(word.format(text) for word in command)))
