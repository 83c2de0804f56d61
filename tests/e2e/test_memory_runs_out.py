"""A model that somebody insists on runs out of memory for real: the window says so and offers a way on, others live."""

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.paths import Paths
from app.services import Services
from backends.fake.loader import answer_to
from backends.protocol import DraftMode
from tests.inference.conftest import Answer, ask
from tests.patience import PATIENCE
from tests.residency.groups import memory_group
from tests.tried import tried
from tests.ui.hands import press
from ui.application import listen
from ui.bridge import Bridge
from ui.main_window import SETTINGS, MainWindow
from ui.shortage_notice import FITS
from ui.shortage_notice import SETTINGS as OPEN_SETTINGS
from ui.theme import Theme

PATIENCE_MS = int(1000 * PATIENCE)
LITTLE = 4 << 20  # bytes, of which the engine has more already


@pytest.fixture
def services(tmp_path: Path, smollm2: Path) -> Iterator[Services]:
    paths = Paths.below(tmp_path / "home")
    tried(paths.cache)
    services = Services(paths)
    services.change_settings(
        lambda settings: replace(settings, serve=False, context=4096, parallel=1, draft=DraftMode.OFF)
    )
    services.add_folder(smollm2.parent)
    yield services
    services.close()


@pytest.fixture
def window(services: Services, smollm2: Path, qapp: QApplication, qtbot: QtBot) -> Iterator[MainWindow]:
    """With the real model loaded."""
    bridge = Bridge()
    stop = listen(services, bridge)
    window = MainWindow(services, bridge, Theme(qapp, "light"))
    qtbot.addWidget(window)
    window.show()
    entry = next(each for each in services.library.look().entries if each.path == smollm2)
    window.desk.load(entry)
    qtbot.waitUntil(lambda: window.desk.is_ready, timeout=PATIENCE_MS)
    yield window
    window.close()
    stop()
    bridge.close()


def test_it_says_that_it_ran_out_of_memory_and_offers_two_ways_on(
    services: Services, window: MainWindow, qtbot: QtBot
) -> None:
    forced = window.desk.handle
    assert forced
    assert forced.pid
    other = services.supervisor.load("other", Path("other.gguf"), backend="fake")
    other.wait_ready(PATIENCE)
    with memory_group(LITTLE) as processes:
        processes.write_text(str(forced.pid))
        window.chat.session.ask("word " * 2000)
        qtbot.waitUntil(lambda: bool(window.banners.banners()), timeout=PATIENCE_MS)
    (banner,) = window.banners.banners()
    assert banner.text.startswith("The engine stopped: it ran out of memory. Choose a smaller context")
    alive: Answer = ask(other, "Hello").wait()
    assert alive.text == answer_to("Hello").decode()
    press(banner, OPEN_SETTINGS)
    assert window._pages.currentIndex() == SETTINGS
    window.shortage._show(banner.text, "")
    press(window.banners, FITS)
    qtbot.waitUntil(lambda: window.desk.is_ready and window.desk.handle is not forced, timeout=PATIENCE_MS)
    assert window.desk.handle
    anew: Answer = ask(window.desk.handle, "Hello", max_tokens=8).wait()
    assert anew.text
