"""A GPU that lies idle is told of with a button that helps; builds are made and chosen in the settings."""

import threading
from collections.abc import Iterator

import pytest
from pytestqt.qtbot import QtBot

from app.builds.build import Build
from app.builds.machine import look
from app.errors import BuildError
from app.jobs.job import JobContext
from backends.child import Progress
from tests.builds.conftest import own_environment
from tests.builds.machines import Pretended
from tests.builds.test_shelf import put
from tests.patience import PATIENCE
from tests.ui.hands import press
from tests.ui.stage import StageServices
from ui.main_window import SETTINGS, MainWindow

__all__ = ["own_environment"]


class Making:
    """A job that acts as MakeBuild: it works until it is let go."""

    title, steps = "Build the engine for the NVIDIA RTX 4090", ("Fetch the compiler", "Compile llama.cpp")

    def __init__(self, services: StageServices, fault: str | None = None):
        self._services = services
        self._fault = fault
        self.let_go = threading.Event()

    def run(self, context: JobContext) -> Build:
        context.step(1)(Progress(0.5, "57 of 114 files"))
        assert self.let_go.wait(PATIENCE)
        if self._fault:
            raise BuildError(self._fault)
        return put(self._services.builds.shelf)


@pytest.fixture
def idle(services: StageServices) -> StageServices:
    services.builds.__dict__["machine"] = look(Pretended().with_nvidia().probes())
    return services


@pytest.fixture
def making(idle: StageServices, monkeypatch: pytest.MonkeyPatch) -> Iterator[Making]:
    making = Making(idle)
    monkeypatch.setattr(idle, "make_build", lambda: idle.jobs.add(making).id)
    yield making
    making.let_go.set()


def banners(window: MainWindow) -> list[str]:
    return [banner.text for banner in window.banners._banners]


def test_an_idle_gpu_is_told_and_one_click_begins_its_build(
    making: Making, window: MainWindow, services: StageServices, qtbot: QtBot
) -> None:
    with qtbot.waitSignal(window.gpu.idle_found):
        window.take_up()
    assert banners(window)[0].startswith("The GPU (NVIDIA GeForce RTX 4090) is not used, because the engine")
    press(window.banners, "Build it now")
    row = window.settings_page.builds
    qtbot.waitUntil(lambda: "Compile llama.cpp: 75%, 57 of 114 files" in row.status.text())
    assert window._pages.currentIndex() == SETTINGS
    assert not row.make.isVisibleTo(window.settings_page)
    assert row.cancel.isVisibleTo(window.settings_page)
    making.let_go.set()
    qtbot.waitUntil(lambda: any("is built for the RTX 4090. Load the model again" in text for text in banners(window)))
    qtbot.waitUntil(lambda: row.status.text() == "In use: RTX 4090 (cuda-89).")
    assert row.choice.count() == 3
    assert services.builds.active.name == "cuda-89"


def test_a_build_that_fails_says_why(making: Making, window: MainWindow, qtbot: QtBot) -> None:
    making._fault = "The engine could not be built. The disk is full."
    window.gpu.look()
    qtbot.waitUntil(lambda: window.gpu.can_make)
    window.gpu.make()
    qtbot.waitUntil(lambda: window.gpu.is_making)
    making.let_go.set()
    qtbot.waitUntil(lambda: "The engine could not be built. The disk is full." in banners(window))
    assert window.gpu.can_make, "it can be tried again"


def test_a_chosen_build_is_kept_and_used_from_the_next_load_on(
    window: MainWindow, services: StageServices, qtbot: QtBot
) -> None:
    put(services.builds.shelf)
    window.go_to(SETTINGS)
    row = window.settings_page.builds
    qtbot.waitUntil(lambda: row.choice.count() == 3)
    row.choice.setCurrentIndex(2)
    row.choice.activated.emit(2)
    qtbot.waitUntil(lambda: services.builds.active.name == "cuda-89")
    assert services.settings.engine_build == "cuda-89"
    row.choice.activated.emit(1)
    qtbot.waitUntil(lambda: services.builds.active.is_installed)


def test_without_a_gpu_nothing_is_offered(window: MainWindow, qtbot: QtBot, services: StageServices) -> None:
    services.builds.__dict__["machine"] = look(Pretended().probes())
    window.go_to(SETTINGS)
    row = window.settings_page.builds
    qtbot.waitUntil(lambda: row.status.text() == "In use: Installed with Slipstream.")
    assert not row.make.isVisibleTo(window.settings_page)
    assert banners(window) == []
