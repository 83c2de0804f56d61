"""The page Discover on a stage: over the double, with a machine of 16 GB."""

from collections.abc import Iterator

import pytest
from PySide6.QtWidgets import QMainWindow
from pytestqt.qtbot import QtBot

from app.hub.client import HubClient
from app.planner.machine import Machine
from backends.protocol import EngineOptions
from tests.hub.conftest import hub_double, running_double
from tests.hub.double import HubDouble
from tests.ui.stage import StageServices
from ui.bridge import Bridge
from ui.hub.discover_page import DiscoverPage
from ui.library.models_model import ModelsModel
from ui.theme import Theme

__all__ = ["double", "find", "hub_double", "open_first", "page", "running_double"]

GB = 1_000_000_000


@pytest.fixture
def page(
    services: StageServices,
    bridge: Bridge,
    theme: Theme,
    qtbot: QtBot,
    hub_double: HubDouble,
) -> Iterator[DiscoverPage]:
    services.hub.close()
    services.hub = HubClient(hub_double.endpoint, token=services.tokens.token)
    ground = Machine.at_rest(16 * GB), EngineOptions()
    result = DiscoverPage(services, bridge, ModelsModel(services.store, bridge), theme, lambda: ground)
    holder = QMainWindow()
    holder.setCentralWidget(result)
    holder.setMinimumSize(820, 560)
    qtbot.addWidget(holder)
    holder.show()
    yield result
    result.close_down()


@pytest.fixture
def double(hub_double: HubDouble) -> HubDouble:
    return hub_double


def find(page: DiscoverPage, qtbot: QtBot, text: str) -> None:
    with qtbot.waitSignal(page.results.arrived):
        page.bar.look_for(text)


def open_first(page: DiscoverPage, qtbot: QtBot) -> None:
    with qtbot.waitSignal(page.desk.opened):
        page.view.setCurrentIndex(page.results.index(0))
