"""One window for each data folder: a second start hands over what it was asked to open, and leaves."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtNetwork import QLocalSocket
from pytestqt.qtbot import QtBot

from ui.main_window import MODELS, MainWindow
from ui.one_window import Ear, OneWindow

ROOT = Path(__file__).parents[2]
LATER = "import sys; from ui.one_window import OneWindow; from pathlib import Path\n"
TELL = f"{LATER}print(OneWindow(Path(sys.argv[1])).take_or_tell(sys.argv[2:]))"
DIE = f"{LATER}import os; one = OneWindow(Path(sys.argv[1])); print(one.take(), flush=True); os._exit(9)"


@pytest.fixture(autouse=True)
def runtime(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="run-") as folder:  # short: a socket's name has at most 107 bytes
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield Path(folder)


@pytest.fixture
def first(tmp_path: Path, runtime: Path) -> Iterator[OneWindow]:  # noqa: ARG001
    one = OneWindow(tmp_path / "data")
    assert one.take()
    yield one
    one.close()


@pytest.fixture
def ear(first: OneWindow) -> Iterator[Ear]:
    result = first.listen()
    yield result
    result.close()


def later(program: str, *arguments: str) -> "subprocess.Popen[str]":
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments], env=environment, stdout=subprocess.PIPE, text=True
    )


def said(process: "subprocess.Popen[str]") -> str:
    return process.communicate()[0].strip()


@pytest.mark.qt_log_ignore("This plugin does not support raise")
def test_a_second_start_hands_over_its_files_and_the_window_asks_what_to_do(
    window: MainWindow, ear: Ear, qtbot: QtBot, tmp_path: Path
) -> None:
    file = tmp_path / "a model ü.gguf"
    file.write_bytes(b"GGUF")
    ear.asked.connect(window.open_files)
    with qtbot.waitSignal(ear.asked):
        second = later(TELL, str(tmp_path / "data"), str(file))
    assert said(second) == "False"
    assert window._pages.currentIndex() == MODELS
    assert window.models_page.dropped.isVisible()


def test_another_data_folder_is_another_instance(first: OneWindow, tmp_path: Path) -> None:
    other = OneWindow(tmp_path / "elsewhere")
    assert other.take()
    assert other.address != first.address
    other.close()


@pytest.mark.skipif(sys.platform == "win32", reason="a named pipe ends with its process")
def test_the_place_of_one_that_died_is_taken_over(tmp_path: Path, qtbot: QtBot) -> None:
    assert said(later(DIE, str(tmp_path / "data"))) == "True"
    one = OneWindow(tmp_path / "data")
    Path(one.address).write_bytes(b"")  # as a killed listener leaves it
    assert one.take_or_tell([]) is True
    ear = one.listen()
    with qtbot.waitSignal(ear.asked):
        second = later(TELL, str(tmp_path / "data"))
    assert said(second) == "False"
    ear.close()
    one.close()


def test_one_that_does_not_answer_is_told_from_one_that_has_heard(first: OneWindow, tmp_path: Path) -> None:  # noqa: ARG001
    assert OneWindow(tmp_path / "data").take_or_tell([], patience=0.0) is None


@pytest.mark.parametrize("line", [b"\n", b"[1]\n", b'{"a": 1}\n', b"[" * 5000 + b"\n", b"x" * 100_000])
def test_what_is_no_wish_is_not_heard(ear: Ear, first: OneWindow, qtbot: QtBot, line: bytes) -> None:
    heard: list[object] = []
    ear.asked.connect(heard.append)
    socket = QLocalSocket()
    socket.connectToServer(first.address)
    assert socket.waitForConnected()
    socket.write(line)
    qtbot.waitUntil(lambda: socket.state() is QLocalSocket.LocalSocketState.UnconnectedState)
    assert heard == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes")
def test_a_folder_that_others_can_write_is_not_used(runtime: Path, tmp_path: Path) -> None:
    (runtime / "slipstream").mkdir()
    (runtime / "slipstream").chmod(0o777)
    with pytest.raises(OSError, match="not this person's own"):
        OneWindow(tmp_path / "data")
