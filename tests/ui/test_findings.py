"""A model that is not where it should be: one sentence and one button in the window."""

from dataclasses import replace

from pytestqt.qtbot import QtBot

from app.telemetry import EngineFigures, Sample
from app.telemetry.finding import Finding, Kind, Remedy
from tests.ui.hands import press
from ui.finding_notice import PATIENCE
from ui.main_window import PERFORMANCE, MainWindow

ENGINE = EngineFigures("M", "CUDA0")
HOT = Finding("M", Kind.THROTTLED, "The RTX runs at 1,200 of 2,520 MHz: too hot.", Remedy.LOOK)


def tell(window: MainWindow, *findings: Finding, engine: EngineFigures = ENGINE) -> None:
    window.findings._take(Sample(1.0, engines=(engine,), findings=findings))


def texts(window: MainWindow) -> list[str]:
    return [banner.text for banner in window.banners.banners()]


def test_it_is_said_once_and_ends_when_it_is_over(window: MainWindow) -> None:
    tell(window, HOT)
    tell(window, HOT)
    assert texts(window) == [HOT.sentence]
    cooler = replace(HOT, sentence="The RTX runs at 1,500 of 2,520 MHz: too hot.")
    tell(window, cooler)
    assert texts(window) == [cooler.sentence]
    for _ in range(PATIENCE - 1):
        tell(window)
    assert texts(window) == [cooler.sentence], "a moment's peace is not the end of it"
    tell(window)
    assert texts(window) == []


def test_its_button_helps(window: MainWindow) -> None:
    tell(window, HOT)
    press(window.banners, "Show performance")
    assert window._pages.currentIndex() == PERFORMANCE
    assert texts(window) == []


def test_what_was_dismissed_stays_away_until_the_model_is_loaded_anew(window: MainWindow) -> None:
    tell(window, HOT)
    press(window.banners, "Dismiss")
    tell(window, HOT)
    assert texts(window) == []
    tell(window, engine=EngineFigures("M"))  # it loads
    tell(window, HOT)
    assert texts(window) == [HOT.sentence]
    tell(window, engine=EngineFigures("N"))
    assert texts(window) == [], "it is unloaded"


def test_load_again_loads_again(quick: MainWindow, qtbot: QtBot) -> None:
    assert quick.desk.handle
    name, before = quick.desk.handle.name, quick.desk.handle
    tell(quick, Finding(name, Kind.FALLBACK, "It runs on the CPU.", Remedy.RELOAD), engine=EngineFigures(name, "CPU"))
    press(quick.banners, "Load again")
    qtbot.waitUntil(lambda: quick.desk.is_ready and quick.desk.handle is not before)
