"""Takes the README's screenshots from the real window, with the real guide: `python packaging/screenshots/take.py`.

Everything lies in a folder of its own that is gone afterwards. Without a display it draws off screen.
"""

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent
SIZE = (1200, 800)
PATIENCE = 300.0

sys.path.insert(0, str(ROOT))
if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or sys.platform in ("win32", "darwin")):
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import Qt  # noqa: E402
from PySide6.QtTest import QTest  # noqa: E402
from PySide6.QtWidgets import QApplication  # noqa: E402

from app.guide import GUIDE_DIR, TOUR_QUESTION  # noqa: E402
from app.paths import Paths  # noqa: E402
from app.services import Services  # noqa: E402
from ui.application import listen  # noqa: E402
from ui.bridge import Bridge  # noqa: E402
from ui.main_window import CHAT, MODELS, SERVER, SETTINGS, MainWindow  # noqa: E402
from ui.theme import Theme  # noqa: E402

QUESTIONS = ("What is Slipstream?", "How do I use the port?", TOUR_QUESTION)


def main() -> int:
    if not (GUIDE_DIR / "model.safetensors").exists():
        print("The guide's weights are missing: train them with packaging/guide/train.py first.", file=sys.stderr)
        return 1
    application = QApplication(sys.argv)
    theme = Theme(application, "light")
    with tempfile.TemporaryDirectory() as home:
        services = Services(Paths.below(Path(home)))
        bridge = Bridge()
        stop_listening = listen(services, bridge)
        try:
            take(services, bridge, theme)
        finally:
            stop_listening()
            bridge.close()
            services.close()
    return 0


def take(services: Services, bridge: Bridge, theme: Theme) -> None:
    window = MainWindow(services, bridge, theme)
    services.telemetry.start()
    window.resize(*SIZE)
    window.show()
    wait(lambda: window.models.is_known)
    photograph(window, theme, "first-start")
    window.guide.install()
    wait(lambda: window.desk.is_ready)
    photograph(window, theme, "suggestions")
    for question in QUESTIONS:
        QTest.keyClicks(window.chat.composer.edit, question)
        QTest.keyClick(window.chat.composer.edit, Qt.Key.Key_Return)
        if question == TOUR_QUESTION:
            wait(lambda: window.chat.session.turns[-1].text.count("```") == 2)
            photograph(window, theme, "chat")
        wait(lambda: not window.chat.session.is_busy)
    photograph(window, theme, "answer")
    for page, name in ((MODELS, "models"), (SERVER, "server"), (SETTINGS, "settings")):
        window.go_to(page)
        photograph(window, theme, name)
    window.go_to(CHAT)
    window.close()


def photograph(window: MainWindow, theme: Theme, name: str) -> None:
    for choice in ("light", "dark"):
        theme.choose(choice)
        QTest.qWait(300)
        window.grab().save(str(FOLDER / f"{name}-{choice}.png"))
    theme.choose("light")


def wait(is_true: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not is_true():
        assert time.monotonic() < end, "it took too long"
        QTest.qWait(30)


if __name__ == "__main__":
    sys.exit(main())
