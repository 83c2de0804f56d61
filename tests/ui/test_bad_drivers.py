"""Drivers that raise, hang, lie or vanish cost their figures: the window goes on, and so does the chat."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.telemetry import Gpu, Host, Telemetry
from tests.telemetry.providers import CARD, GpuPlayer, Hanging
from tests.ui.conftest import ENTRIES, load
from tests.ui.hands import ask, wait_answer
from tests.ui.stage import StageServices
from ui.main_window import PERFORMANCE, MainWindow


def fail() -> object:
    raise OSError("driver not loaded")


def vanish(found: list[object] = [(CARD,)]) -> object:  # noqa: B006, it is one driver
    return found.pop() if found else fail()


ABSURD = Gpu("x", "s", used=-1, total=10**18, load=math.nan, watts=-(10.0**18), celsius=10.0**18)
HANGS = Hanging()
DRIVERS: dict[str, GpuPlayer] = {
    "raises": GpuPlayer(fail),
    "hangs": HANGS,
    "says nothing": GpuPlayer(lambda: None),
    "says nonsense": GpuPlayer(lambda: "nonsense"),
    "is absurd": GpuPlayer(lambda: (ABSURD,)),
    "vanishes": GpuPlayer(vanish),
}


class HostPlayer:
    """The system's own figures fail as well."""

    def __init__(self, read: Callable[[], object]):
        self._read = read

    def read(self) -> Host | None:
        return self._read()  # type: ignore[return-value]

    def close(self) -> None:
        raise OSError("it cannot even be closed")


@pytest.fixture(params=DRIVERS)
def services(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[StageServices]:
    driver = DRIVERS[request.param]
    result = StageServices(tmp_path, list(ENTRIES))
    telemetry = Telemetry([driver], HostPlayer(driver.play), interval=0.05)
    telemetry.subscribe(result.performance.take)
    result.supervisor.subscribe(telemetry.hear)
    result.telemetry = telemetry  # type: ignore[assignment]
    yield result
    HANGS.let_go.set()
    result.close()


def test_the_chat_goes_on(window: MainWindow, qtbot: QtBot) -> None:
    load(window, qtbot, "Quick")
    with qtbot.waitSignal(window._bridge.sampled):
        ask(window, "hi")
        wait_answer(window, qtbot)
    assert "You said “hi”" in window.chat.session.turns[-1].text
    window.go_to(PERFORMANCE)
    with qtbot.waitSignal(window._bridge.sampled):
        pass
    strip = window.strip
    qtbot.waitUntil(lambda: strip.context.isVisible())
    for figure in (strip.vram, strip.gpu):
        assert (figure.value, figure.isVisible()) == ("n/a", False)
    assert window.performance.isVisible()
