"""Odd files on the disk, each beside sound models of every application: the library, the terminal, the port and the
window must list the sound ones, and say of the odd one what is the matter. Real parts in one process; hangs are caught.
"""

import io
import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import replace
from functools import partial
from unittest.mock import patch
from urllib.request import urlopen

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtWidgets import QApplication, QLabel

from app.__main__ import main
from app.inference.supervisor import Supervisor
from app.paths import Paths
from app.services import Services
from app.settings import Settings
from app.settings_file import save_settings
from backends.bounds import UNPRINTABLE
from backends.protocol import EngineOptions
from tests.bench.attacks.case import Case
from tests.lab.conftest import make
from tests.library import foreign
from tests.library.oddities import ESCAPES, NO_UTF8, Oddity, as_somebody, check, new_home, oddities, sound_ids
from ui.application import listen
from ui.bridge import Bridge
from ui.main_window import MODELS, MainWindow
from ui.theme import Theme

SECONDS = 30  # for everything that is done with one oddity
NAMES = {
    "escapes": ESCAPES.replace("/", ""),
    "no UTF-8": NO_UTF8,
    "mark-up": "<b>bold<",
    "lines": "a\nslipstream: All is well",
    "right to left": "\u202eabc\u2066x",
}
COMMANDS = {
    "models": ("models",),
    "--verify": ("models", "--verify", "FILE"),
    "--duplicates": ("models", "--duplicates"),
    "--remove": ("models", "--remove", "FILE"),
    "quantize": ("quantize", "FILE", "FILE"),
    "convert": ("convert", "FILE", "x.gguf"),
    "evaluate": ("evaluate", "FILEx"),
    "serve": ("serve", "--model", "FILEx"),
}


def cases() -> Iterator[Case]:
    for oddity in oddities():
        yield Case(oddity.name, partial(_meet, oddity))
    for name, odd in NAMES.items():
        for command, arguments in COMMANDS.items():
            yield Case(f"a terminal, {command}, {name}", partial(_on_a_terminal, odd, arguments))
        yield Case(f"an engine, {name}", partial(_load, odd))


def _meet(oddity: Oddity) -> str | None:
    if oddity.is_forbidden:  # all that is imported late is there before rights are given up
        _meet(Oddity("nothing", lambda _: None))
    with new_home() as home, _deadline():
        oddity.make(home)
        paths = replace(Paths.below(home), models=home / "managed")
        paths.ensure()
        folders = (str(home / "f"), *(str(home / name) for name in oddity.folders))
        save_settings(paths.settings_file, Settings(theme="light", serve=False, folders=folders))
        unset = dict.fromkeys(("OLLAMA_MODELS", "HF_HOME", "HF_HUB_CACHE", "XDG_DATA_HOME", "XDG_CACHE_HOME"), "")
        with (
            as_somebody(home, oddity.is_forbidden),
            patch.dict(os.environ, {**unset, "XDG_CONFIG_HOME": "", **oddity.environ}),
            patch("app.library.places.home", lambda: home),
            patch("app.library.places.LINUX_SERVICE", home / "no service"),
            patch.object(Paths, "from_environment", lambda: paths),
        ):
            for place in (_library, _terminal, _port, _window):
                try:
                    place(oddity, paths)
                except AssertionError as error:
                    return f"{place.__name__.strip('_')}: {str(error) or 'does not hold'}"[:300]
    return None


@contextmanager
def _services(paths: Paths) -> Iterator[Services]:
    services = Services(paths)
    try:
        yield services
    finally:
        services.close()


def _library(oddity: Oddity, paths: Paths) -> None:
    with _services(paths) as services:
        listing = services.library.look()
    check(oddity, listing.entries, listing.notices)


def _terminal(oddity: Oddity, paths: Paths) -> None:  # noqa: ARG001
    code, out, error = _told("models")
    assert code == 0, error
    rows = {line.split("  ")[0].removesuffix(" (!)") for line in out.splitlines()}
    assert sound_ids(oddity) <= rows, rows
    for line in (out + error).split("\n"):
        assert not UNPRINTABLE.search(line), ascii(line)
    assert oddity.says is None or re.search(oddity.says, out + error), out + error
    code, out, _ = _told("models", "--json")
    document = json.loads(out)
    assert code == 0
    assert sound_ids(oddity) <= {model["id"] for model in document["models"]}
    said = [*document["notices"], *(model["problem"] or "" for model in document["models"])]
    assert oddity.says is None or any(re.search(oddity.says, text) for text in said)


def _told(*arguments: str) -> tuple[int, str, str]:
    out, error = (io.TextIOWrapper(io.BytesIO(), "utf-8", errors="strict") for _ in range(2))
    with redirect_stdout(out), redirect_stderr(error):
        code = main(arguments)
    texts = []
    for stream in (out, error):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())  # type: ignore[attr-defined]
    return code, texts[0], texts[1]


def _port(oddity: Oddity, paths: Paths) -> None:
    with _services(paths) as services:
        services.library.look()
        with urlopen(f"{services.start_server(port=_free_port())}/v1/models", timeout=10) as answer:
            ids = {model["id"] for model in json.load(answer)["data"]}
    assert sound_ids(oddity) <= ids, ids
    assert all(id_.isprintable() for id_ in ids)


def _window(oddity: Oddity, paths: Paths) -> None:
    application = QApplication.instance() or QApplication([])
    assert isinstance(application, QApplication)
    with _services(paths) as services:
        bridge = Bridge()
        stop = listen(services, bridge)
        window = MainWindow(services, bridge, Theme(application, "light"))
        window.show()
        window.go_to(MODELS)
        try:
            _until(lambda: sound_ids(oddity) <= {entry.id for entry in window.models.entries})
            _until(lambda: all(entry.is_read for entry in window.models.entries))
            check(oddity, window.models.entries, window.models.notices)
            odd = [entry for entry in window.models.entries if entry.id not in sound_ids(oddity)]
            for entry in odd:
                window.models_page.choose(entry.id)
                for label in window.findChildren(QLabel):
                    assert not UNPRINTABLE.search(label.text().replace("\u200b", "").replace("\n", "")), label.text()
            if window.models.notices:
                assert window.models.notices[0] in window.models_page.unread.text
        finally:
            window.close()
            stop()
            bridge.close()
            window.deleteLater()


def _on_a_terminal(odd: str, arguments: tuple[str, ...]) -> str | None:
    """What really reaches a pseudo-terminal, byte by byte."""
    with new_home() as home, _deadline():
        path = foreign.gguf(home / "f" / f"{odd}.gguf")
        paths = Paths.below(home)
        paths.ensure()
        save_settings(paths.settings_file, Settings(folders=(str(home / "f"),)))
        command = [sys.executable, "-m", "app", *(part.replace("FILE", str(path)) for part in arguments)]
        environ = {**os.environ, "SLIPSTREAM_HOME": str(home), "HOME": str(home), "PYTHONPATH": os.getcwd()}
        told = _on_pty(command, environ)
        text = told.decode("utf-8", "surrogateescape").replace("\r\n", "\n").replace("\r", "")
        if not text.strip():
            return "nothing was said"
        for line in text.split("\n"):
            if UNPRINTABLE.search(line) or line.startswith("slipstream: All is well") or "Traceback" in line:
                return f"raw: {ascii(line)[:200]}"
    return None


def _on_pty(command: list[str], environ: dict[str, str]) -> bytes:
    ours, theirs = pty.openpty()
    told = b""
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environ) as process:
        os.close(theirs)
        try:
            while chunk := os.read(ours, 1 << 16):
                told += chunk
        except OSError:  # the terminal's other end is closed
            pass
        finally:
            os.close(ours)
            if process.poll() is None:
                process.terminate()
    return told


def _load(odd: str) -> str | None:
    """A model is loaded by its real path, whatever its name can be shown as."""
    with new_home() as home, _deadline():
        path = home / f"{odd}.gguf"
        make(home, "tiny").file.rename(path)
        supervisor = Supervisor(home / "logs")
        try:
            ready = supervisor.load(f"{'n' * 250}", path, EngineOptions(context=128, parallel=1)).wait_ready(SECONDS)
            return None if ready.architecture == "llama" else f"it is a {ready.architecture}"
        finally:
            supervisor.close()


def _until(is_so: Callable[[], bool], seconds: float = 10.0) -> None:
    loop, timer, end = QEventLoop(), QTimer(interval=10), QTimer(singleShot=True, interval=int(seconds * 1000))
    timer.timeout.connect(lambda: loop.quit() if is_so() else None)
    end.timeout.connect(loop.quit)
    timer.start()
    end.start()
    loop.exec()
    timer.stop()
    end.stop()
    assert is_so(), "the window does not show it"


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _deadline() -> Iterator[None]:
    def end(*_: object) -> None:
        raise TimeoutError(f"it hung for {SECONDS} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
