"""A text file dropped on the composer goes with the message; whatever else is refused with a sentence."""

import os
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QUrl
from pytestqt.qtbot import QtBot

from tests.ui.hands import wait_answer
from ui.chat.attachment import MAX_BYTES, AttachmentError, read_attachment
from ui.main_window import MainWindow


def dropped(*paths: Path) -> QMimeData:
    result = QMimeData()
    result.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    return result


def test_a_dropped_text_file_goes_with_the_message(quick: MainWindow, tmp_path: Path, qtbot: QtBot) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("# Notes\n```\ncode\n```\n" * 50)
    edit = quick.chat.composer.edit
    assert edit.canInsertFromMimeData(dropped(file))
    edit.insertFromMimeData(dropped(file))
    assert edit.toPlainText() == "[notes.txt: 1 kB, about 262 tokens]\n"
    edit.insertPlainText("What is this?")
    quick.chat.composer.send.click()
    wait_answer(quick, qtbot)
    said = quick.chat.session.turns[0].text
    assert said.startswith("notes.txt:\n````\n# Notes\n")
    assert said.endswith("```\n````\n\nWhat is this?")


def test_what_is_no_text_is_refused_with_a_sentence(quick: MainWindow, tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n\0\0")
    quick.chat.composer.edit.insertFromMimeData(dropped(tmp_path / "picture.png"))
    assert quick.chat.composer.edit.toPlainText() == ""
    (banner,) = quick.banners.banners()
    assert banner.text == "“picture.png” holds no text. Text files (UTF-8) can be attached."


def test_a_link_from_elsewhere_is_still_a_text(quick: MainWindow) -> None:
    link = QMimeData()
    link.setUrls([QUrl("https://example.org/a")])
    link.setText("https://example.org/a")
    quick.chat.composer.edit.insertFromMimeData(link)
    assert quick.chat.composer.edit.toPlainText() == "https://example.org/a"


def test_a_file_is_read_up_to_a_bound(tmp_path: Path) -> None:
    file = tmp_path / "long.txt"
    with file.open("wb") as stream:
        stream.truncate(100 * MAX_BYTES)  # a hole: nothing is written
    with pytest.raises(AttachmentError, match=r"larger than 4 MB"):
        read_attachment(file)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs POSIX pipes")
def test_neither_a_folder_nor_a_pipe_is_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", tmp_path / "nothing"):
        with pytest.raises(AttachmentError, match="is no file"):
            read_attachment(path)


def test_windows_files_are_text_too(tmp_path: Path) -> None:
    for encoding in ("utf-16", "utf-8-sig"):
        (tmp_path / "w.txt").write_bytes("a\r\nü\r\n".encode(encoding))
        assert read_attachment(tmp_path / "w.txt").text == "a\nü\n"
