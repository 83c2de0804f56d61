"""Whether a model fits is said in the same words wherever it is shown."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.control import ServicesControl
from app.hub.client import HubClient
from app.inference.planning import Planning
from app.planner.machine import Machine
from tests.hub.double import HubDouble, HubRepo
from tests.library.gguf_bytes import model
from tests.ui.discovering import find, open_first
from tests.ui.stage import StageServices, entry
from ui.application import listen
from ui.bridge import Bridge
from ui.hub.variants_model import VariantRole
from ui.library.model_details import FITS
from ui.main_window import DISCOVER, MODELS, MainWindow
from ui.theme import Theme

MB = 1_000_000
MACHINES = {
    "too small": Machine(700 * MB, 700 * MB),
    "slow": Machine(8000 * MB, 8000 * MB, layer_seconds=1.0),
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    result = tmp_path / "m-Q4_K_M.gguf"
    result.write_bytes(model())
    return result


@pytest.fixture
def window(
    services: StageServices, bridge: Bridge, theme: Theme, qtbot: QtBot, hub_double: HubDouble, file: Path
) -> Iterator[MainWindow]:
    services.stage_store.entries[:] = [entry("M", str(file))]
    services.hub.close()
    services.hub = HubClient(hub_double.endpoint, token=services.tokens.token)
    stop = listen(services, bridge)
    result = MainWindow(services, bridge, theme)
    qtbot.addWidget(result)
    result.show()
    qtbot.waitUntil(lambda: result.models.is_known)
    yield result
    result.close()
    stop()


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
def test_in_discover_library_picker_load_and_port(
    window: MainWindow,
    services: StageServices,
    hub_double: HubDouble,
    qtbot: QtBot,
    file: Path,
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Planning, "machine", lambda _: machine)
    hub_double.add(HubRepo("org/m", {file.name: file.read_bytes()}))
    (port,) = [each.fit.sentence for each in ServicesControl(services).models().models if each.fit]
    wanted = services.options_for(window.models.entries[0])
    options, notes = services.planning.prepared(file, wanted, services.planning.plan(file, wanted, machine))
    load = options.placement.note if options.placement else notes[0]
    window.go_to(MODELS)
    qtbot.waitUntil(lambda: bool(window.models.verdicts))
    library = window.models_page.details._values[FITS].text()
    window.chat.picker._fill_menu()
    picker = window.chat.picker.menu.actions()[0].text().partition("\t")[2]
    window.go_to(DISCOVER)
    find(window.discover, qtbot, "m")
    open_first(window.discover, qtbot)
    row = window.discover.pane.variants.index(0)
    qtbot.waitUntil(lambda: bool(row.data(VariantRole.DETAIL)) and bool(window.discover.desk.headers))
    assert {f"{said}." for said in (port, library, picker, row.data(VariantRole.DETAIL))} == {load}
    assert load.startswith(("Does not fit: RAM has ", "Slow, about 0."))
