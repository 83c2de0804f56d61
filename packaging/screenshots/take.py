"""Takes the README's screenshots from the real window, with the real guide: `python packaging/screenshots/take.py`.

Everything lies in a folder of its own that is gone afterwards. Without a display it draws off screen.
"""

import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent
SIZE = (1200, 800)
PATIENCE = 300.0

sys.path.insert(0, str(ROOT))
if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or sys.platform in ("win32", "darwin")):
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from callers import callers  # noqa: E402
from pretended import MACHINE, WITH_GPU, PretendedHub, PretendedInstall  # noqa: E402
from PySide6.QtCore import Qt  # noqa: E402
from PySide6.QtTest import QTest  # noqa: E402
from PySide6.QtWidgets import QApplication  # noqa: E402

from app.bench.tuned import Purpose  # noqa: E402
from app.guide import GUIDE_DIR, GUIDE_NAME, TOUR_QUESTION  # noqa: E402
from app.jobs.convert import convert_checkpoint  # noqa: E402
from app.jobs.install import Installed  # noqa: E402
from app.jobs.job import JobContext, JobState, Lane  # noqa: E402
from app.jobs.quantize import Quantize  # noqa: E402
from app.lab.settings import QUICK  # noqa: E402
from app.library.entry import ModelEntry  # noqa: E402
from app.paths import Paths  # noqa: E402
from app.services import Services  # noqa: E402
from tests.planner.shapes import all_shapes  # noqa: E402
from ui.application import listen  # noqa: E402
from ui.bridge import Bridge  # noqa: E402
from ui.lab.lab_page import SPEED  # noqa: E402
from ui.main_window import CHAT, DISCOVER, DOWNLOADS, LAB, MODELS, PERFORMANCE, SERVER, SETTINGS, MainWindow  # noqa: E402
from ui.server.server_page import ACTIVITY  # noqa: E402
from ui.theme import Theme  # noqa: E402

TYPES = ("Q2_K", "Q3_K_M", "Q4_0", "Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0")
SETTINGS_OF_CARDS = replace(QUICK, text=ROOT / "packaging/guide/questions.toml")  # what the guide knows
QUESTIONS = ("What is Slipstream?", "How do I use the port?", TOUR_QUESTION)


def main() -> int:
    if not (GUIDE_DIR / "model.safetensors").exists():
        print("The guide's weights are missing: train them with packaging/guide/train.py first.", file=sys.stderr)
        return 1
    application = QApplication(sys.argv)
    theme = Theme(application, "light")
    with tempfile.TemporaryDirectory() as home:
        os.environ["HOME"] = home  # no models of other applications
        services = Services(Paths.below(Path(home)))
        services.hub.close()
        services.hub = PretendedHub()  # type: ignore[assignment]
        bridge = Bridge()
        stop_listening = listen(services, bridge)
        try:
            take(services, bridge, theme)
        finally:
            stop_listening()
            bridge.close()
            services.close()
    return 0


def take(services: Services, bridge: Bridge, theme: Theme) -> None:
    window = MainWindow(services, bridge, theme)
    window.resize(*SIZE)
    window.show()
    wait(lambda: window.models.is_known)
    photograph(window, theme, "first-start")
    window.guide.install()
    wait(lambda: window.desk.is_ready)
    photograph(window, theme, "suggestions")
    take_chat(window, theme)
    full, *smaller = make_family(services)
    take_models(window, services, theme, [full, *smaller])
    take_discover(window, services, theme)
    take_downloads(window, services, theme, smaller)
    take_server(window, theme)
    for page, name in ((LAB, "lab"), (PERFORMANCE, "performance"), (SETTINGS, "settings")):
        window.go_to(page)
        wait(lambda: len(window.lab.model.cards) >= len(TYPES) or window.lab.isHidden())
        photograph(window, theme, name)
    window.show_devices()
    wait(lambda: window.devices._desk.findings and not window.devices._desk.is_looking)
    photograph(window, theme, "devices")
    take_plan(window, services, theme)
    take_speed(window, services, theme, [full, *smaller])
    window.go_to(CHAT)
    window.close()


def take_chat(window: MainWindow, theme: Theme) -> None:
    for question in QUESTIONS:
        QTest.keyClicks(window.chat.composer.edit, question)
        QTest.keyClick(window.chat.composer.edit, Qt.Key.Key_Return)
        if question == TOUR_QUESTION:
            wait(lambda: window.chat.session.turns[-1].text.count("```") == 2)
            photograph(window, theme, "chat")
        wait(lambda: not window.chat.session.is_busy)
    photograph(window, theme, "answer")


def make_family(services: Services) -> list[ModelEntry]:
    """The guide once more, whole and in smaller types, each measured against the whole one: real figures."""
    source = services.paths.cache / "slipstream-guide-F16.gguf"
    convert_checkpoint(GUIDE_DIR, source, "f16", logs=services.paths.logs)
    full = services.store.add(source, publisher="local", repo="slipstream-guide", name=f"{GUIDE_NAME} F16")
    found = [full]
    for type_ in TYPES:
        made = Quantize(services.store, services.paths.logs, full, type_).run(JobContext(lambda _step, _progress: None))
        name = f"{GUIDE_NAME} {type_}"
        services.library.rename(services.library.find(str(made.path)).id, name)
        services.lab.measure(made.path, full.path, settings=SETTINGS_OF_CARDS, name=name)
        found.append(made)
    return found


def take_speed(window: MainWindow, services: Services, theme: Theme, family: list[ModelEntry]) -> None:
    """Two runs of the benchmark and one of the tuning: real figures, of some minutes each."""
    measured = [entry for entry in family if entry.quantization in ("Q4_K_M", "Q8_0")]
    for entry in measured:
        services.workbench.measure(entry, lambda _doing, _done: None, threading.Event())
    services.workbench.tune(measured[0], Purpose.CHAT, lambda _doing, _done: None, threading.Event())
    view = window.lab.speed
    window.go_to(LAB)
    window.lab.show_view(SPEED)
    view.chooser.setCurrentIndex(view.chooser.findData(services.library.find(str(measured[0].path)).id))
    wait(lambda: len(view.model.runs) == len(measured) and view.desk.tuned is not None)
    photograph(window, theme, "speed")


def take_models(window: MainWindow, services: Services, theme: Theme, family: list[ModelEntry]) -> None:
    shown = next(entry for entry in family if entry.quantization == "Q4_K_M")
    window.go_to(MODELS)
    wait(lambda: len(window.models.entries) > len(family))
    services.library.set_favourite(shown.id, True)
    window.models.refresh()
    window.models_page.choose(shown.id)
    wait(lambda: "same next token" in window.models_page.card._verdict.text())
    photograph(window, theme, "models")
    window.models_page._scroll.verticalScrollBar().setValue(10_000)
    photograph(window, theme, "card")
    window.models_page.show_disk.click()
    photograph(window, theme, "disk")


def take_discover(window: MainWindow, services: Services, theme: Theme) -> None:
    page = window.discover
    window.go_to(DISCOVER)
    page.bar.look_for("orion 8b")
    wait(lambda: page.results.hits)
    page.view.setCurrentIndex(page.results.index(0))
    wait(lambda: page.desk.headers)
    QTest.qWait(300)  # the size of this machine is known by then
    page.pane.take_ground(MACHINE, services.settings.engine_options())
    photograph(window, theme, "discover")


def take_plan(window: MainWindow, services: Services, theme: Theme) -> None:
    """Of a model by its header alone, on a machine with a GPU that is made up. The last one: the library lists it."""
    shape = next(shape for shape in all_shapes() if shape.name == "qwen3-30b-a3b")
    folder = services.paths.models / "acme" / "Orion-30B-A3B-GGUF"
    folder.mkdir(parents=True)
    file = shape.write(folder).rename(folder / "Orion-30B-A3B-Q4_K_M.gguf")
    services.planning.machine = lambda: WITH_GPU  # type: ignore[method-assign]
    window.models.refresh()
    wait(lambda: window.models.at(file))
    entry = window.models.at(file)
    assert entry
    window.go_to(MODELS)
    window.show_plan(entry)
    wait(lambda: window.plan._desk.plan and window.plan._desk.plan.alternatives)
    photograph(window, theme, "plan")


def take_downloads(window: MainWindow, services: Services, theme: Theme, arrived: list[ModelEntry]) -> None:
    window.go_to(DOWNLOADS)
    at_work = PretendedInstall("acme/Orion-8B-Instruct as Q4_K_M", 0, 0.38, "6.1 of 16.1 GB · 84 MB/s · 2 min left")
    rests = PretendedInstall(
        "acme/Orion-30B-A3B-GGUF Orion-30B-A3B-Q4_K_M.gguf", 0, 0.61, steps=("Download", "Check", "Measure", "Add")
    )
    for entry in arrived[:2]:
        services.jobs.add(
            PretendedInstall(f"{GUIDE_NAME} {entry.quantization}", 4, result=Installed(entry.path, entry, "")),
            Lane.LIGHT,
        )
    wait(lambda: len(window.downloads.finished.model.rows) == 2)
    services.jobs.add(at_work, Lane.LIGHT)
    paused = services.jobs.add(rests, Lane.LIGHT).id
    wait(lambda: len(window.downloads.cards) == 2)
    wait(lambda: all(card.job.fraction for card in window.downloads.cards.values()))
    services.jobs.pause(paused)
    wait(lambda: window.downloads.cards[paused].job.state is JobState.PAUSED)
    photograph(window, theme, "downloads")


def take_server(window: MainWindow, theme: Theme) -> None:
    window.go_to(SERVER)
    page = window.server_page
    page.status.switch.setFocus()
    page.status.switch.click()
    wait(lambda: window.server.address and page.status.switch.isEnabled())
    photograph(window, theme, "server")
    address = window.server.address
    assert address
    assert window.desk.handle
    page.tabs._group.button(ACTIVITY).click()
    with callers(address, window.desk.handle.name):
        wait(lambda: len(page.activity.live.rows) == 2 and all(row.per_second for row in page.activity.live.rows))
        QTest.qWait(2000)  # until speeds are those of more than a few tokens
        photograph(window, theme, "activity")
    window.server.stop()
    wait(lambda: not window.server.address)


def photograph(window: MainWindow, theme: Theme, name: str) -> None:
    for choice in ("light", "dark"):
        theme.choose(choice)
        QTest.qWait(300)
        window.grab().save(str(FOLDER / f"{name}-{choice}.png"))
    theme.choose("light")


def wait(is_true: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not is_true():
        assert time.monotonic() < end, "it took too long"
        QTest.qWait(30)


if __name__ == "__main__":
    sys.exit(main())
