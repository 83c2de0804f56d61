"""The real window as a program that can be told what to do, and says how long its event loop was away at most.

Run as a program it reads one JSON object a line (`do` and what goes with it) and answers each with one.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import psutil

ROOT = Path(__file__).parents[3]
PATIENCE = 90.0  # seconds for any one thing
LOOK_MS = 5


class WindowApp:
    """The other side: starts the window over the models of a folder, tells it what to do, ends it."""

    def __init__(self, home: Path, models: Path, port: int):
        settle(home, models, port)
        self.url = f"http://127.0.0.1:{port}"
        self.log = home.parent / f"{home.name}.log"
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "SLIPSTREAM_HOME": str(home), "HOME": str(home)}
        with self.log.open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.bench.attacks._window"],
                cwd=ROOT,
                env=environment | {"QT_QPA_PLATFORM": "offscreen"},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self._lines: SimpleQueue[str] = SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def tell(self, do: str, **arguments: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self.process.stdin.flush()
        try:
            answer: dict[str, Any] = json.loads(self._lines.get(timeout=PATIENCE))
        except Empty:
            raise AssertionError(f"the window is away for {PATIENCE:.0f} s: {do}") from None
        return answer

    def until(self, name: str, wanted: Any, seconds: float = PATIENCE) -> float:
        """The seconds until the state's value is this."""
        began = time.monotonic()
        while (state := self.tell("state"))[name] != wanted:
            if time.monotonic() - began > seconds:
                raise AssertionError(f"{name} is {state[name]!r} after {seconds:.0f} s, not {wanted!r}")
            time.sleep(0.05)
        return time.monotonic() - began

    def ask_to_end(self) -> float:
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20.0)
        return time.monotonic() - began

    def end(self) -> None:
        if self.process.poll() is None:
            for child in psutil.Process(self.process.pid).children(recursive=True):
                child.kill()
            self.process.kill()
        self.process.wait()

    def _listen(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line)


@contextmanager
def window_app(home: Path, models: Path, port: int, *, load: str) -> Iterator[WindowApp]:
    """Open, with this model loaded and calibrated."""
    app = WindowApp(home, models, port)
    try:
        app.until("known", True)
        if problem := app.tell("load", name=load).get("problem"):
            raise AssertionError(problem)
        app.until("ready", True)
        time.sleep(1.0)
        yield app
    finally:
        app.end()


def settle(home: Path, models: Path, port: int) -> None:
    from app.paths import Paths
    from app.settings import Settings
    from app.settings_file import save_settings

    paths = Paths.below(home)
    paths.ensure()
    settings = replace(Settings(), folders=(str(models),), libraries=(), serve=True, port=port, temperature=0.0)
    save_settings(paths.settings_file, settings)


def main() -> int:
    import ui.application
    from ui.main_window import MainWindow

    class ToldWindow(MainWindow):
        def __init__(self, *arguments: Any):
            super().__init__(*arguments)
            self._ears = _Ears(self)

    ui.application.MainWindow = ToldWindow  # type: ignore[misc]
    from app.__main__ import main as application

    sys.argv[1:] = []
    return application([])


class _Ears:
    """Does in the window's thread what it is told."""

    def __init__(self, window: Any):
        from PySide6.QtCore import QMimeData, QTimer

        from tests.ui.heartbeat import Heartbeat

        self._window = window
        self._beat = Heartbeat()
        self._clip = QMimeData()
        self._commands: SimpleQueue[str] = SimpleQueue()
        threading.Thread(target=lambda: [self._commands.put(line) for line in sys.stdin], daemon=True).start()
        self._timer = QTimer(window, interval=LOOK_MS)
        self._timer.timeout.connect(self._look)
        self._timer.start()

    def _look(self) -> None:
        while not self._commands.empty():
            command = json.loads(self._commands.get())
            answer = getattr(self, "_" + command.pop("do"))(**command) or {}
            print(json.dumps(answer), flush=True)

    def _load(self, name: str) -> dict[str, Any] | None:
        entries = self._window.models.entries
        found = next((entry for entry in entries if name in entry.name), None)
        if found is None:
            return {"problem": f"no model is named “{name}” among {[entry.name for entry in entries]}"}
        self._window.desk.load(found)
        return None

    def _copy(self, text: str, times: int) -> None:
        """Into what stands for the clipboard."""
        self._clip.setText(text * times)

    def _paste(self) -> None:
        self._window.chat.composer.edit.insertFromMimeData(self._clip)

    def _send(self) -> None:
        self._window.chat.composer.edit.sent.emit()

    def _stop(self) -> None:
        self._window.chat.session.stop()

    def _new(self) -> None:
        self._window.chat.start_new()

    def _rest(self) -> dict[str, Any]:
        """The longest absence in seconds, and begin anew."""
        self._beat.beat()
        longest, self._beat.longest = self._beat.longest, 0.0
        return {"longest": longest}

    def _state(self) -> dict[str, Any]:
        window = self._window
        session, handle = window.chat.session, window.desk.handle
        last = session.turns[-1] if session.turns else None
        return {
            "known": window.models.is_known,
            "ready": window.desk.is_ready,
            "busy": session.is_busy,
            "text": last.text if last else "",
            "stopped": bool(last and last.stopped),
            "problem": last.problem if last else None,
            "banners": [banner.text for banner in window.banners.banners()],
            "pid": handle.pid if handle else None,
            "silent": window.desk.snapshot.silent_seconds if window.desk.snapshot else None,
        }


if __name__ == "__main__":
    sys.exit(main())
