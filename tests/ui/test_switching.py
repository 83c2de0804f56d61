"""Another model is chosen: one that cannot be loaded costs neither the one that works, nor the next start."""

from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.errors import ModelFileError
from app.library.entry import ModelEntry
from app.paths import Paths
from app.services import Services
from tests.library import gguf_bytes
from tests.ui.conftest import load
from tests.ui.stage import StageServices, entry
from ui.main_window import MainWindow


def choose(window: MainWindow, name: str) -> None:
    found = window.models.named(name)
    assert found
    window.desk.load(found)


def test_a_model_that_fails_to_load_brings_the_one_before_back(
    quick: MainWindow, services: StageServices, qtbot: QtBot
) -> None:
    assert services.settings.last_model == "stage/quick"
    with qtbot.waitSignal(quick.desk.refused):
        choose(quick, "Broken")
    qtbot.waitUntil(lambda: quick.desk.is_ready)
    assert quick.desk.entry == entry("Quick")
    assert services.settings.last_model == "stage/quick"


def test_a_file_that_has_become_unreadable_does_not_unload_the_one_that_works(
    quick: MainWindow, services: StageServices, qtbot: QtBot, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = quick.desk.handle

    def refuse(entry: ModelEntry) -> None:
        if entry.name == "Slow":
            raise ModelFileError("slow-20ms.gguf is cut short. Download it again.")

    monkeypatch.setattr(services, "require_readable", refuse)
    with qtbot.waitSignal(quick.desk.refused):
        choose(quick, "Slow")
    qtbot.waitUntil(lambda: quick.desk.is_ready)
    assert quick.desk.handle is handle
    assert services.settings.last_model == "stage/quick"


def test_the_model_of_the_next_start_is_one_that_was_loaded(
    window: MainWindow, services: StageServices, qtbot: QtBot
) -> None:
    with qtbot.waitSignal(window.desk.refused):
        choose(window, "Broken")
    assert services.settings.last_model is None
    load(window, qtbot, "Slow")
    assert services.settings.last_model == "stage/slow"


def test_what_was_cut_short_since_it_was_listed_is_refused_before_a_load(tmp_path: Path) -> None:
    services = Services(Paths.below(tmp_path / "home"))
    try:
        folder = tmp_path / "models"
        folder.mkdir()
        file = folder / "tiny-Q4_K_M.gguf"
        file.write_bytes(gguf_bytes.model())
        services.add_folder(folder)
        (listed,) = services.library.look().entries
        services.require_readable(listed)
        file.write_bytes(gguf_bytes.model()[:-1000])
        with pytest.raises(ModelFileError):
            services.require_readable(listed)
    finally:
        services.close()
