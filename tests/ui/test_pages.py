"""Models, server and settings: what they show and what their buttons do."""

import tomllib

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QWidget
from pytestqt.qtbot import QtBot

from backends.protocol import KVType
from tests.ui.conftest import load
from tests.ui.hands import ask, press, wait_answer
from tests.ui.stage import StageServices, entry
from ui.main_window import CHAT, MODELS, SETTINGS, MainWindow
from ui.settings.fields import Choice


def test_the_filter_narrows_the_list(window: MainWindow) -> None:
    window.go_to(MODELS)
    QTest.keyClicks(window.models_page.filter, "slo")
    assert window.models_page.view.model().rowCount() == 1


def test_load_and_unload_from_the_models_page(window: MainWindow, services: StageServices, qtbot: QtBot) -> None:
    window.go_to(MODELS)
    window.models_page.choose("stage/quick")  # the list is in the order of names
    press(window.models_page, "Load")
    qtbot.waitUntil(lambda: window.desk.is_ready)
    assert not window.models_page.details.remove.isEnabled()
    press(window.models_page, "Unload")
    qtbot.waitUntil(lambda: not services.supervisor.engines())
    qtbot.waitUntil(lambda: window.models_page.details.remove.isEnabled())


def test_what_a_load_could_not_do_is_said_and_what_it_chose_is_shown(
    window: MainWindow, services: StageServices, qtbot: QtBot
) -> None:
    services.stage_store.entries.append(entry("Lame", "note.gguf"))
    with qtbot.waitSignal(window.models.refreshed):
        window.models.refresh()
    load(window, qtbot, "Lame")
    assert [banner.text for banner in window.banners.banners()] == ["It runs without its wings."]
    window.models_page.filter.setText("Lame")
    shown = words(window.models_page.details)
    assert "CPU, 1 thread, drafts: lookup + fake" in shown
    assert "f16 keys, f16 values, 4,096 tokens" in shown


def test_what_guesses_are_worth_is_shown_for_the_loaded_model(quick: MainWindow, qtbot: QtBot) -> None:
    ask(quick, "long 4")
    wait_answer(quick, qtbot)
    quick.go_to(MODELS)
    quick.models_page.choose("stage/quick")
    details = quick.models_page.details

    def shown() -> bool:
        text = next((text for text in words(details) if "% of draft tokens accepted" in text), "")
        return "Two tokens in one step take" in text

    qtbot.waitUntil(shown)
    qtbot.waitUntil(lambda: "% of draft tokens accepted" in quick.strip.drafted.toolTip())
    quick.models_page.filter.setText("Slow")
    assert [label.text() for label in details.findChildren(QLabel) if label.isVisible()].count("Drafting") == 0


def test_removing_asks_in_the_page(window: MainWindow, services: StageServices, qtbot: QtBot) -> None:
    window.go_to(MODELS)
    press(window.models_page, "Remove…")
    press(window.models_page, "Keep it")
    assert window.models_page.details.remove.hasFocus()
    press(window.models_page, "Remove…")
    assert len(services.store.models()) == 3
    with qtbot.waitSignal(window.models.refreshed):
        press(window.models_page, "Remove from this machine")
    assert len(services.store.models()) == 2


def test_engine_settings_are_kept_and_offer_a_reload(quick: MainWindow, services: StageServices, qtbot: QtBot) -> None:
    quick.go_to(SETTINGS)
    page = quick.settings_page
    control = next(widget for widget in page.findChildren(object) if named(widget) == "Key cache")
    assert isinstance(control, Choice)
    QTest.keyClick(control, Qt.Key.Key_Down)
    assert services.settings.kv_type_k is KVType.Q8_0
    assert tomllib.loads(services.paths.settings_file.read_text())["kv_type_k"] == "q8_0"
    press(page, "Reload now")
    qtbot.waitUntil(lambda: not quick.desk.is_ready)
    qtbot.waitUntil(lambda: quick.desk.is_ready)
    assert quick.desk.snapshot
    assert quick.desk.snapshot.ready
    assert quick.desk.snapshot.ready.kv_type_k == "q8_0"
    assert page._reload.isHidden()


def test_the_prompt_cache_has_a_size_a_person_can_see_choose_and_clear(
    window: MainWindow, services: StageServices, qtbot: QtBot
) -> None:
    folder = services.paths.prompt_cache
    folder.mkdir(parents=True)
    (folder / "one.state").write_bytes(b"SLIPSTAT" + bytes(5_000_000))
    (folder / "notes.txt").touch()
    window.go_to(SETTINGS)
    page = window.settings_page
    qtbot.waitUntil(lambda: "5 MB of prompts on disk" in words(page))
    press(page, "Clear")
    qtbot.waitUntil(lambda: "No prompts on disk" in words(page))
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    control = next(widget for widget in page.findChildren(Choice) if named(widget) == "Disk for prompts")
    assert control.currentText() == "4 GiB"
    QTest.keyClick(control, Qt.Key.Key_Down)
    assert services.settings.prompt_cache_disk == 8 << 30
    assert services.options_for(entry("Quick")).prompt_cache_disk == 8 << 30


def words(page: QWidget) -> list[str]:
    return [text.text() for text in page.findChildren(QLabel)]


def named(widget: object) -> str:
    return widget.accessibleName() if hasattr(widget, "accessibleName") else ""


def test_a_system_prompt_is_kept_and_told(quick: MainWindow, services: StageServices, qtbot: QtBot) -> None:
    quick.go_to(SETTINGS)
    QTest.keyClicks(quick.settings_page._prompt, "Be brief.")
    quick.go_to(CHAT)
    assert services.settings.system_prompt == "Be brief."
    ask(quick, "hi")
    timings = wait_answer(quick, qtbot).turn.timings
    assert timings
    assert timings.prompt_n + timings.cache_n > len("Be brief.hi")


def test_a_theme_is_chosen_and_kept(window: MainWindow, services: StageServices) -> None:
    window.settings_page._choose_theme("dark")
    assert services.settings.theme == "dark"
    assert window.palette().window().color().name() == "#15191c"


@pytest.mark.parametrize("title", ["Context", "Layers on the GPU", "Processor threads"])
def test_automatic_is_none(window: MainWindow, title: str) -> None:
    control = next(widget for widget in window.settings_page.findChildren(object) if named(widget) == title)
    assert control.text() == "Automatic"  # type: ignore[attr-defined]
    assert control.chosen() is None  # type: ignore[attr-defined]
    control.stepUp()  # type: ignore[attr-defined]
    assert control.chosen() is not None  # type: ignore[attr-defined]
