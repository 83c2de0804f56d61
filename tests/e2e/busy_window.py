"""A window that never rests: `python busy_window.py` asks one question after the other until it is killed.

Prints the engine's process id once the first answer has begun. With `--look` it prints the chats it finds, and leaves.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from PySide6.QtWidgets import QApplication

from tests.ui.stage import StageServices, entry
from ui.application import listen
from ui.bridge import Bridge
from ui.main_window import MainWindow
from ui.theme import Theme

SECONDS = 240.0


def main(home: Path, is_looking: bool) -> None:
    application = QApplication(sys.argv)
    services = StageServices(home, [entry("Slow", "slow-5ms.gguf")])
    bridge = Bridge()
    listen(services, bridge)
    window = MainWindow(services, bridge, Theme(application, "light"))
    notices = list(services.notices)  # which the window takes as soon as it is seen
    window.show()
    wait(lambda: window.models.is_known)
    if is_looking:
        chats = [asdict(turn) for chat in services.history.conversations() for turn in services.history.turns(chat.id)]
        print(json.dumps({"turns": chats, "notices": notices}), flush=True)
        window.close()
        bridge.close()
        services.close()
        return
    window.desk.load(services.stage_store.entries[0])
    wait(lambda: window.desk.is_ready)
    for number in range(1000):
        window.chat.session.start_new()
        window.chat.session.ask(f"{number} long 4")
        wait(lambda: len(window.chat.session.turns) > 1 and window.chat.session.turns[-1].text)
        if number == 0:
            assert window.desk.handle is not None
            print(window.desk.handle.pid, flush=True)
        wait(lambda: not window.chat.session.is_busy)


def wait(is_true: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not is_true():
        assert time.monotonic() < deadline, "waited in vain"
        QApplication.processEvents()
        time.sleep(0.005)


if __name__ == "__main__":
    main(Path(sys.argv[1]), "--look" in sys.argv)
