"""The window asks once before it closes over work that would be lost, and never otherwise."""

from collections.abc import Iterator

import pytest
from pytestqt.qtbot import QtBot

from app.jobs.job import JobState, Lane
from tests.ui.hands import press
from tests.ui.stage import StageServices
from tests.ui.test_downloads import PretendInstall
from ui.main_window import MainWindow


@pytest.fixture
def work(services: StageServices, qtbot: QtBot) -> Iterator[PretendInstall]:
    result = PretendInstall(title="Quantize Tiny to Q4_K_M")
    handle = services.jobs.add(result, Lane.HEAVY)
    qtbot.waitUntil(lambda: handle.job.state is JobState.RUNNING)
    yield result
    result.go_on.set()
    handle.cancel()


def texts(window: MainWindow) -> list[str]:
    return [banner.text for banner in window.banners.banners()]


def test_closing_over_a_job_asks_and_the_job_goes_on(window: MainWindow, work: PretendInstall) -> None:
    assert not window.close()
    assert window.isVisible()
    assert "“Quantize Tiny to Q4_K_M” is still running" in texts(window)[-1]
    press(window.banners, "Keep running")
    assert work.num_runs == 1
    assert texts(window) == []


def test_who_closes_again_is_not_asked_again(window: MainWindow, work: PretendInstall) -> None:  # noqa: ARG001
    assert not window.close()
    assert window.close()


def test_quit_anyway_closes(window: MainWindow, work: PretendInstall, qtbot: QtBot) -> None:  # noqa: ARG001
    window.close()
    with qtbot.waitSignal(window.closed):
        press(window.banners, "Quit anyway")


def test_a_signal_is_not_asked(window: MainWindow, work: PretendInstall) -> None:  # noqa: ARG001
    window.closing.is_silent = lambda: True
    assert window.close()


def test_a_window_without_work_closes_at_once(window: MainWindow, services: StageServices) -> None:
    services.jobs.add(PretendInstall(), Lane.LIGHT, is_paused=True)  # nothing of it is lost
    assert window.close()
