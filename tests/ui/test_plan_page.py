"""The plan before a load: bars and sliders say what would be, and the load is as they say."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.inference.planning import Planning
from app.planner.machine import Gpu, Machine
from app.planner.verdict import Fits
from backends.protocol import KVType
from tests.planner.shapes import all_shapes
from tests.ui.hands import press
from tests.ui.stage import StageServices, entry
from tests.ui.test_accessibility import nameless
from ui.main_window import MODELS, MainWindow
from ui.plan.plan_page import PlanPage
from ui.plan.stops import contexts

GIB = 1 << 30
CPU = Machine(14 * GIB, 16 * GIB)
ONE = Machine(30 * GIB, 32 * GIB, (Gpu("CUDA0", 11 * GIB, 12 * GIB),))
TWO = Machine(60 * GIB, 64 * GIB, (Gpu("CUDA0", 23 * GIB, 24 * GIB), Gpu("CUDA1", 11 * GIB, 12 * GIB)))


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shapes")


@pytest.fixture(autouse=True)
def models(services: StageServices, shapes: Path) -> list[str]:
    """In the library, as files with a true header."""
    names = ["llama-3.1-8b", "llama-3.3-70b", "qwen3-30b-a3b"]
    files = [next(shape for shape in all_shapes() if shape.name == name).write(shapes) for name in names]
    services.stage_store.entries[:] = [entry(file.stem, str(file)) for file in files]
    return names


@pytest.fixture(params=[CPU], autouse=True)
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    monkeypatch.setattr(Planning, "machine", lambda _: request.param)
    return request.param


def open_plan(window: MainWindow, qtbot: QtBot, name: str = "llama-3.1-8b") -> PlanPage:
    found = window.models.named(name)
    assert found
    window.show_plan(found)
    qtbot.waitUntil(lambda: window.plan._desk.plan is not None)
    return window.plan


def wait_planned(page: PlanPage, qtbot: QtBot) -> None:
    """Of the options that are chosen now."""
    desk = page._desk
    qtbot.waitUntil(lambda: desk.plan is not None and not desk._is_planning)


@pytest.mark.parametrize(
    ("machine", "devices"),
    [(CPU, ["RAM"]), (ONE, ["RAM", "CUDA0"]), (TWO, ["RAM", "CUDA0", "CUDA1"])],
    indirect=["machine"],
)
def test_each_device_has_a_bar_that_adds_up(
    machine: Machine, devices: list[str], window: MainWindow, qtbot: QtBot
) -> None:
    page = open_plan(window, qtbot)
    shown = [bar for bar in page.bars if bar.isVisible()]
    assert [bar._name.text() for bar in shown] == devices
    assert page.gpu_layers.isVisible() == (len(devices) > 1)
    for bar, total in zip(shown, (machine.ram_total, *(gpu.total for gpu in machine.gpus)), strict=True):
        view = bar._bar._view
        assert view is not None
        assert view.taken <= view.usable <= view.total - view.others
        assert view.total == total
        assert "Other programs" in bar.accessibleDescription()
    assert nameless(window) == []


def test_a_slider_plans_anew_and_best_is_one_click_back(window: MainWindow, qtbot: QtBot) -> None:
    page = open_plan(window, qtbot)
    before = page._desk.plan
    assert before
    assert not page.best.isEnabled()
    for _ in range(8):
        QTest.keyClick(page.context.slider, Qt.Key.Key_Right)
    wait_planned(page, qtbot)
    after = page._desk.plan
    assert after
    assert after.layout.context == 32_768
    assert page.context.slider.accessibleName() == "Context: 32,768 tokens"
    assert after.rooms[0].take.cache > before.rooms[0].take.cache
    QTest.mouseClick(page.best, Qt.MouseButton.LeftButton)
    wait_planned(page, qtbot)
    assert page._desk.plan.options == before.options  # type: ignore[union-attr]
    assert not page.best.isEnabled()


@pytest.mark.parametrize("machine", [ONE], indirect=True)
def test_layers_on_the_gpu_are_a_persons_own_until_they_are_automatic_again(window: MainWindow, qtbot: QtBot) -> None:
    page = open_plan(window, qtbot)
    assert page.gpu_layers.automatic.isChecked()
    QTest.keyClick(page.gpu_layers.slider, Qt.Key.Key_Left)
    wait_planned(page, qtbot)
    assert page._desk.options.gpu_layers == 32
    assert page.gpu_layers.value.text() == "32 of 33"
    QTest.mouseClick(page.gpu_layers.automatic, Qt.MouseButton.LeftButton)
    wait_planned(page, qtbot)
    assert page._desk.options.gpu_layers is None
    assert page.gpu_layers.value.text() == "33 of 33"


def test_another_choice_is_told_with_its_price_and_used_by_a_click(
    window: MainWindow, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Planning, "machine", lambda _: Machine(8 * GIB, 8 * GIB))
    page = open_plan(window, qtbot)
    qtbot.waitUntil(lambda: page._others.count() > 0)
    other = page._desk.plan.alternatives[0]  # type: ignore[union-attr]
    assert other.price
    press(page._other_card, "Use")
    wait_planned(page, qtbot)
    assert page._desk.options == replace(other.change, flash_cost=None)


def test_the_model_is_loaded_as_it_was_planned(window: MainWindow, services: StageServices, qtbot: QtBot) -> None:
    page = open_plan(window, qtbot)
    page.kv_type.slider.setValue(1)
    wait_planned(page, qtbot)
    QTest.mouseClick(page.load, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: window.desk.is_ready)
    handle = window.desk.handle
    assert handle
    assert (handle.options.kv_type_k, handle.options.kv_type_v) == (KVType.Q8_0, KVType.Q8_0)
    assert not handle.options.from_disk
    assert services.settings.kv_type_k is KVType.F16, "of this load alone"


def test_what_is_saved_holds_for_every_load_of_this_model(
    window: MainWindow, services: StageServices, qtbot: QtBot
) -> None:
    page = open_plan(window, qtbot)
    assert not page.keep.isEnabled()
    page.parallel.slider.setValue(0)
    wait_planned(page, qtbot)
    with qtbot.waitSignal(page._desk.kept):
        QTest.mouseClick(page.keep, Qt.MouseButton.LeftButton)
    own = [services.options_for(each).parallel for each in services.library.look().entries]
    assert own == [1, 4, 4], "of this model alone"
    assert page._note.text() == "Every load of this model is so."
    assert not page.keep.isEnabled()
    with qtbot.waitSignal(page._desk.kept):
        QTest.mouseClick(page.forget, Qt.MouseButton.LeftButton)
    assert services.options_for(services.library.look().entries[0]).parallel == 4
    assert not page.forget.isVisible()


def test_from_the_disk_only_by_a_button_that_says_so(window: MainWindow, qtbot: QtBot) -> None:
    page = open_plan(window, qtbot, "llama-3.3-70b")
    assert page.verdict.text().endswith("tokens/s from the disk: RAM has 14.0 of 44.2 GB.")
    assert "of the weights are read from the disk again for each token" in page._note.text()
    assert not page.bars[0]._bar._view.is_enough  # type: ignore[union-attr]
    with qtbot.waitSignal(page.load_wanted) as wanted:
        press(page, "Load from the disk")
    assert wanted.args[1].from_disk


@pytest.mark.parametrize("machine", [ONE], indirect=True)
def test_more_layers_than_the_gpu_holds_are_told_and_may_be_tried(window: MainWindow, qtbot: QtBot) -> None:
    page = open_plan(window, qtbot, "qwen3-30b-a3b")
    assert page._desk.plan.verdict.fits is Fits.WITH  # type: ignore[union-attr]
    page._desk.change(gpu_layers=49)
    wait_planned(page, qtbot)
    assert page.verdict.text().startswith("Does not fit: the GPU has 10.9 of ")
    assert page.load.text() == "Load anyway"


def test_a_file_without_a_header_is_told_and_nothing_is_offered(
    window: MainWindow, services: StageServices, qtbot: QtBot
) -> None:
    services.stage_store.entries.append(entry("gone", "gone.gguf"))
    with qtbot.waitSignal(window.models.refreshed):
        window.models.refresh()
    found = window.models.named("gone")
    assert found
    window.show_plan(found)
    qtbot.waitUntil(lambda: bool(window.plan.problem.text()))
    assert window.plan.problem.isVisible()
    assert not window.plan.load.isVisible()
    page = open_plan(window, qtbot)
    assert not page.problem.isVisible(), "another model has a plan again"
    assert page.load.isVisible()


def test_it_opens_from_the_library_and_from_the_picker_and_goes_back(window: MainWindow) -> None:
    window.go_to(MODELS)
    press(window.models_page.details, "Plan…")
    assert window._pages.currentWidget() is window.plan
    QTest.mouseClick(window.plan.back, Qt.MouseButton.LeftButton)
    assert window._pages.currentIndex() == MODELS
    window.chat.picker._fill_menu()
    plans = next(action.menu() for action in window.chat.picker.menu.actions() if action.text() == "Plan a load")
    plans.actions()[1].trigger()  # type: ignore[attr-defined]
    assert window.plan._desk.entry is window.models.entries[1]


def test_a_load_that_is_refused_shows_the_way_to_its_plan(window: MainWindow) -> None:
    window.desk.entry = window.models.entries[1]
    window.desk.refused.emit("It needs 44.2 GB.")
    press(window.banners, "Plan…")
    assert window.plan._desk.entry is window.models.entries[1]


def test_the_plan_fits_the_smallest_window(window: MainWindow, qtbot: QtBot) -> None:
    open_plan(window, qtbot)
    window.resize(window.minimumSize())
    needed = window.centralWidget().minimumSizeHint()
    assert needed.width() <= 900
    assert needed.height() <= 600


def test_a_context_slider_ends_at_what_the_model_was_trained_for() -> None:
    assert contexts(8192)[0] == 1024
    assert contexts(8192)[-1] == 8192
    assert contexts(512) == (512,)
    assert contexts(None)[-1] == 131_072
    assert list(contexts(131_072)) == sorted(set(contexts(131_072)))
