"""How long the page of a plan takes from a slider's move to the new bars: `python -m tests.bench.plan_page`.

A real window (off screen, or on the display that is there) over models of published shapes, without weights, on a
machine with two GPUs that is made up. From the choice until the new plan is painted: the worker, the way back to the
window, and the page itself. Prints a table, one line a model.
"""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

if not os.environ.get("DISPLAY"):
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QEventLoop
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from app.inference.planning import Planning
from app.planner.machine import Gpu, Machine
from tests.planner.shapes import all_shapes
from tests.ui.stage import StageServices, entry
from ui.application import listen
from ui.bridge import Bridge
from ui.main_window import MainWindow
from ui.plan.plan_page import PlanPage
from ui.theme import Theme

GIB = 1 << 30
NAMES = ("llama-3.1-8b", "qwen3-30b-a3b", "llama-3.3-70b", "deepseek-v3")
MACHINE = Machine(500 * GIB, 512 * GIB, (Gpu("CUDA0", 23 * GIB, 24 * GIB), Gpu("CUDA1", 11 * GIB, 12 * GIB)))
NUM_MOVES = 40


def main() -> int:
    application = QApplication(sys.argv)
    Planning.machine = lambda _: MACHINE  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as home:
        files = [shape.write(Path(home)) for shape in all_shapes() if shape.name in NAMES]
        services = StageServices(Path(home) / "own", [entry(file.stem, str(file)) for file in files])
        bridge = Bridge()
        stop = listen(services, bridge)
        window = MainWindow(services, bridge, Theme(application, "light"))
        window.show()
        _until(lambda: window.models.is_known)
        print("model            plan ms   to the picture: median, most (ms)")
        for name in NAMES:
            window.show_plan(window.models.named(name))  # type: ignore[arg-type]
            _until(lambda: window.plan._desk.plan is not None)
            print(_line(name, window.plan))
        window.close()
        stop()
        bridge.close()
        services.close()
    return 0


def _line(name: str, page: PlanPage) -> str:
    desk = page._desk
    assert desk.study
    begin = time.perf_counter()
    desk.study.plan(desk.options)
    alone, times = time.perf_counter() - begin, []
    for number in range(NUM_MOVES):
        begin = time.perf_counter()
        page.context.slider.setValue(number % 12)
        while desk._is_planning:  # asleep, as a window is between two events: the worker has the interpreter
            QApplication.processEvents(QEventLoop.ProcessEventsFlag.WaitForMoreEvents)
        QApplication.processEvents()  # which paints
        times.append(1000 * (time.perf_counter() - begin))
    return f"{name:16} {1000 * alone:7.1f}   {statistics.median(times):6.1f} {max(times):6.1f}"


def _until(is_true: "object") -> None:
    while not is_true():  # type: ignore[operator]
        QTest.qWait(10)


if __name__ == "__main__":
    sys.exit(main())
