"""What `slipstream doctor` knows, in the window: problems with their cures, and builds with how each did."""

from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QWidget
from pytestqt.qtbot import QtBot

from app.builds.build import Build
from app.builds.doctor import Findings
from app.builds.state import Proof
from app.errors import EngineError
from backends.build_report import Canary
from tests.builds.machines import Pretended
from tests.builds.test_doctor import SOUND, WITH_GPU, findings
from tests.ui.hands import press
from tests.ui.stage import StageServices
from tests.ui.test_accessibility import nameless
from ui.devices.devices_page import DevicesPage
from ui.main_window import SETTINGS, MainWindow

CANARY = Canary("CUDA0", (1, 2), (0.5,), 512.0, 71.0, 48_000_000)
BUILDS = (Build("installed"), Build("cuda-89", Path("cuda-89"), made_for="RTX 4090"))


def two_builds(active: str = "cuda-89") -> Findings:
    reports = {"installed": SOUND, "cuda-89": WITH_GPU}
    proof = Proof("cuda-89", "key", CANARY)
    machine = Pretended().with_nvidia()
    return findings(machine, builds=BUILDS, active=active, kind="cuda", reports=reports, proof=proof)


def texts(widget: QWidget) -> list[str]:
    return [label.text() for label in widget.findChildren(QLabel) if label.isVisible() and label.text()]


def open_page(window: MainWindow, qtbot: QtBot) -> DevicesPage:
    window.go_to(SETTINGS)
    QTest.mouseClick(window.settings_page.builds.devices, Qt.MouseButton.LeftButton)
    page = window.devices
    qtbot.waitUntil(lambda: not page._desk.is_looking)
    return page


def test_a_machine_that_is_well_says_so_and_shows_how_its_build_did(
    window: MainWindow, services: StageServices, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "examine", two_builds)
    page = open_page(window, qtbot)
    said = texts(page)
    assert page.status.text() == "No problem found."
    assert "RTX 4090 (cuda-89)" in said
    assert "llama.cpp 0.5.0, CUDA0 (RTX 4090), CPU (AMD EPYC)" in said
    assert (
        "Tried on CUDA0 with a small model and a fixed prompt: answered at 71 tokens/s, read the prompt at 512 "
        "tokens/s, took 48 MB." in said
    )
    assert any("compute capability 8.9" in text for text in said)
    assert nameless(window) == []
    QTest.mouseClick(page.back, Qt.MouseButton.LeftButton)
    assert window._pages.currentIndex() == SETTINGS


def test_each_problem_has_its_cure(
    window: MainWindow, services: StageServices, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = replace(two_builds(), reports={"installed": SOUND, "cuda-89": "it died"})
    monkeypatch.setattr(services, "examine", lambda: broken)
    said = texts(open_page(window, qtbot))
    assert "Remove it: slipstream builds --remove cuda-89." in said
    assert "No problem found." not in said


def test_a_build_is_chosen_and_one_that_was_left_says_why(
    window: MainWindow, services: StageServices, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = replace(two_builds("installed"), proof=None, rejected={"cuda-89": "It is not used: it is slower."})
    chosen: list[str | None] = []
    monkeypatch.setattr(services, "examine", lambda: left)
    monkeypatch.setattr(services, "choose_build", chosen.append)
    page = open_page(window, qtbot)
    assert "It is not used: it is slower." in texts(page)
    with qtbot.waitSignal(window.gpu.chosen):
        press(page, "Try again")
    assert chosen == ["cuda-89"]


def test_a_look_that_fails_says_so_and_can_be_repeated(
    window: MainWindow, services: StageServices, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> Findings:
        raise EngineError("The driver does not answer.")

    monkeypatch.setattr(services, "examine", fail)
    page = open_page(window, qtbot)
    assert page.status.text() == "The driver does not answer."
    monkeypatch.setattr(services, "examine", two_builds)
    press(page, "Look again")
    qtbot.waitUntil(lambda: page.status.text() == "No problem found.")
