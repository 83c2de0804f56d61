"""The quantize panel: the size before, what a type needs, and a job that puts the file into the library."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QWidget
from pytestqt.modeltest import ModelTester
from pytestqt.qtbot import QtBot

from app.library.entry import ModelEntry
from app.library.store import ModelStore
from tests.convert import sources
from tests.ui.stage import StageServices
from ui.bridge import Bridge
from ui.library.quantizations_model import QuantizationsModel, TypeRole, smaller_than
from ui.library.quantize_panel import QuantizePanel
from ui.theme import Theme


@pytest.fixture
def entry(services: StageServices, tmp_path: Path) -> ModelEntry:
    services.store = ModelStore(services.paths.models)
    return services.store.add(sources.write_llama(tmp_path), publisher="tiny", repo="llama", name="Tiny")


@pytest.fixture
def panel(services: StageServices, bridge: Bridge, theme: Theme, qtbot: QtBot) -> Iterator[QuantizePanel]:
    holder = QWidget()
    result = QuantizePanel(services, bridge, theme)
    result.setParent(holder)
    result.resize(640, 720)
    qtbot.addWidget(holder)
    holder.show()
    yield result  # noqa: PT022 - the holder must live as long


def choose(panel: QuantizePanel, type_: str) -> None:
    panel.chooser.setCurrentIndex(panel.types.row_of(type_))


def test_the_types_are_a_sound_item_model(qtmodeltester: ModelTester) -> None:
    model = QuantizationsModel()
    model.show_model(8_000_000_000)
    qtmodeltester.check(model)
    names = [model.index(row).data() for row in range(model.rowCount())]
    assert "Q4_K_M" in names
    assert not {"F16", "COPY"} & set(names)
    assert model.index(model.row_of("Q4_K_M")).data(TypeRole.NOTE) == "good  ·  ≈ 4.9 GB"


def test_the_size_is_estimated_and_then_planned(panel: QuantizePanel, entry: ModelEntry, qtbot: QtBot) -> None:
    panel.show_entry(entry)
    assert panel.quantization.name == "Q4_K_M"
    assert panel.outlook.text() == "About 922 kB instead of 3 MB."
    qtbot.waitUntil(lambda: "bits per weight" in panel.outlook.text())
    assert panel.outlook.text() == "954 kB instead of 3 MB, 4.97 bits per weight."
    assert panel.chooser.currentData(TypeRole.NOTE) == "good  ·  954 kB"


def test_a_type_that_needs_a_matrix_gets_one(panel: QuantizePanel, entry: ModelEntry) -> None:
    panel.show_entry(entry)
    assert not panel.makes_matrix.isChecked()
    assert not panel.choose_text.isEnabled()
    choose(panel, "IQ2_XS")
    assert panel.makes_matrix.isChecked()
    assert not panel.makes_matrix.isEnabled()
    assert panel.choose_text.isEnabled()
    assert panel.chooser.currentData(TypeRole.DETAIL).endswith("Needs an importance matrix.")
    choose(panel, "Q4_K_S")
    assert panel.makes_matrix.isEnabled()
    assert not panel.makes_matrix.isChecked()  # it was the type's wish, not the person's
    panel.makes_matrix.click()
    choose(panel, "Q8_0")
    assert panel.makes_matrix.isChecked()


def test_a_quantized_model_asks_first(panel: QuantizePanel, services: StageServices) -> None:
    panel.show_entry(services.stage_store.entries[0])
    assert "This file is Q4_K_M already" in panel.outlook.text()
    assert not panel.start.isEnabled()
    panel.again.click()
    assert panel.start.isEnabled()


def test_a_quantized_model_is_offered_what_is_smaller_alone(panel: QuantizePanel, services: StageServices) -> None:
    panel.show_entry(services.stage_store.entries[0])
    names = [panel.chooser.itemText(row) for row in range(panel.chooser.count())]
    assert not {"Q4_K_M", "Q8_0", "Q5_K_M"} & set(names)
    assert panel.quantization.name == "Q3_K_M"
    assert smaller_than("Q1_0")  # the smallest of all can still be made anew


def test_nothing_in_the_panel_scrolls(panel: QuantizePanel, entry: ModelEntry) -> None:
    panel.show_entry(entry)
    assert not panel.view.isVisible()  # until the list is opened
    assert panel.sizeHint().height() < 500


def test_a_click_makes_the_file(
    panel: QuantizePanel, entry: ModelEntry, services: StageServices, bridge: Bridge, qtbot: QtBot
) -> None:
    leave = services.jobs.subscribe(bridge.tell_job)
    panel.show_entry(entry)
    choose(panel, "Q8_0")
    with qtbot.waitSignal(panel.started) as started:
        panel.start.click()
    (job_id,) = started.args
    qtbot.waitUntil(lambda: services.jobs.job(job_id).state.is_final)
    leave()
    assert services.jobs.job(job_id).error is None
    assert [model.quantization for model in services.store.models()] == ["F16", "Q8_0"]


def test_what_cannot_be_planned_says_why(panel: QuantizePanel, services: StageServices, qtbot: QtBot) -> None:
    panel.show_entry(services.stage_store.entries[0])  # whose file is not there
    qtbot.waitUntil(panel.problem.isVisible)
    assert panel.problem.text().startswith("There is no file")


def test_a_complaint_is_about_the_type_that_is_chosen(panel: QuantizePanel, services: StageServices) -> None:
    missing = services.stage_store.entries[0]
    panel.show_entry(missing)
    panel._tell(missing.path, panel.quantization.name, ValueError("no"))
    assert panel.problem.isVisible()
    choose(panel, "Q2_K")
    assert not panel.problem.isVisible()
    panel._tell(missing.path, "Q3_K_M", ValueError("late"))
    assert not panel.problem.text()
