"""How long the page Performance takes to paint: `python -m tests.bench.painting [--picture FOLDER]`.

A real window (off screen, or on the display that is there) with ten minutes of made-up figures of a model and a GPU, by
the second. Each plot, and the whole page with all its panels, is painted many times into a picture.
Writes results/painting.{json,md}.
"""

import argparse
import json
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

if not os.environ.get("DISPLAY"):
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtGui import QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QWidget

from app.paths import Paths
from app.services import Services
from app.settings import Settings
from app.settings_file import save_settings
from app.telemetry import EngineFigures, Gpu, Host, Sample
from app.telemetry.finding import Finding, Kind, Remedy
from app.telemetry.sample import Moment
from app.telemetry.series import figures_of
from backends.protocol import Cells
from tests.bench.run import machine
from ui.application import listen
from ui.bridge import Bridge
from ui.main_window import PERFORMANCE, MainWindow
from ui.theme import Theme

RESULTS = Path(__file__).parent / "results"
TIMES = 200
SECONDS = 600
GOAL = 1.0  # milliseconds of a plot
GIB = 2**30
SIZES = ((1200, 800), (900, 600))


def sample(second: int, has_gpu: bool = True) -> Sample:
    """Answers of some length, with pauses."""
    wave, works = math.sin(second / 9), second % 97 < 70
    engine = EngineFigures(
        "orion-8b-instruct",
        "CUDA0 (NVIDIA GeForce RTX 4090)" if has_gpu else "CPU",
        answer_rate=118 + 9 * wave if works else None,
        prompt_rate=6400 + 500 * wave if second % 97 < 3 else None,
        first_token_ms=140.0,
        batch=1.6,
        num_running=int(works),
        cells=Cells(int(3000 * (second % 97) / 97), 4096 if second < 300 else 8192, 40_960),
        cached=0.82 + 0.1 * wave,
        acceptance=0.6 + 0.2 * wave,
        rss=GIB,
        bandwidth=590e9,
    )
    gpu = Gpu(
        "NVIDIA GeForce RTX 4090",
        "NVML, GPU 0",
        used=int((9.1 + 0.1 * wave) * GIB),
        total=24 * GIB,
        own=int(7.4 * GIB),
        load=0.93 if works else 0.02,
        celsius=58 + 9 * wave,
        watts=330 + 30 * wave if works else 28,
        watts_limit=450,
        throttle="power limit",
    )
    return Sample(float(second), Host(int((14 + wave) * GIB), 32 * GIB, GIB), (gpu,) if has_gpu else (), (engine,))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--picture", type=Path, metavar="FOLDER", help="save pictures of the page, and no results")
    arguments = parser.parse_args()
    application = QApplication(sys.argv[:1])
    with tempfile.TemporaryDirectory() as home:
        paths = Paths.below(Path(home))
        paths.ensure()
        save_settings(paths.settings_file, Settings(theme="light", serve=False))
        services, bridge, theme = Services(paths), Bridge(), Theme(application, "light")
        stop = listen(services, bridge)
        window = MainWindow(services, bridge, theme)
        window.resize(*SIZES[0])
        window.show()
        window.go_to(PERFORMANCE)
        QTest.qWait(300)
        stop()  # what this machine does is not to be seen
        if arguments.picture:
            photograph(window, theme, arguments.picture)
        else:
            fill(window)
            write(measure(window))
        window.close()
        bridge.close()
        services.close()
    return 0


def fill(window: MainWindow, has_gpu: bool = True) -> None:
    window.performance._put([Moment(float(s), figures_of(sample(s, has_gpu))) for s in range(SECONDS - 1)])
    window.performance._take(sample(SECONDS - 1, has_gpu))
    QTest.qWait(100)


def measure(window: MainWindow) -> dict[str, float]:
    rows = {}
    for panel in window.performance.panels:
        if panel.isVisible():
            rows[panel._title] = paint_ms(panel.plot)
    rows["the whole page"] = paint_ms(window.performance.widget())
    rows["a new sample, without painting"] = median_ms(lambda: window.performance._take(sample(SECONDS)))
    return rows


def paint_ms(widget: QWidget) -> float:
    image = QImage(widget.size(), QImage.Format.Format_ARGB32_Premultiplied)

    def paint() -> None:
        widget.render(image)

    return median_ms(paint)


def median_ms(work: Callable[[], None]) -> float:
    times = []
    for _ in range(TIMES):
        begin = time.thread_time()  # other programs do not count
        work()
        times.append(1000 * (time.thread_time() - begin))
    return round(statistics.median(times), 3)


def photograph(window: MainWindow, theme: Theme, folder: Path) -> None:
    """Empty, on a processor, on a GPU; light and dark, large and small."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("empty", "cpu", "gpu"):
        if name != "empty":
            fill(window, name == "gpu")
        if name == "gpu":
            sentence = "The RTX 4090 runs at 1,200 of 2,520 MHz: too hot (91 °C)."
            hot = Finding("orion-8b-instruct", Kind.THROTTLED, sentence, Remedy.LOOK)
            window.strip.take_sample(sample(SECONDS))
            window.findings._take(replace(sample(1), findings=(hot,)))
        for size in SIZES:
            window.resize(*size)
            for choice in ("light", "dark"):
                theme.choose(choice)
                QTest.qWait(400)
                window.grab().save(str(folder / f"performance-{name}-{size[0]}-{choice}.png"))
    theme.choose("light")


def write(rows: dict[str, float]) -> None:
    where = machine()
    document = {"measured": datetime.now(UTC).isoformat(timespec="seconds"), "machine": where, "milliseconds": rows}
    (RESULTS / "painting.json").write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    lines = [
        "# Painting the page Performance",
        "",
        "    .venv/bin/python -m tests.bench.painting",
        "",
        f"{document['measured']}, {where['processor']}, {where['cores']} cores. Median of {TIMES}, processor time,"
        f" 10 minutes by the second, a window of {SIZES[0][0]} × {SIZES[0][1]}; the goal is {GOAL:.0f} ms for a plot.",
        "",
        "| | ms |",
        "|---|---|",
        *(f"| {name} | {value:.2f} |" for name, value in rows.items()),
    ]
    (RESULTS / "painting.md").write_text("\n".join(lines) + "\n", "utf-8")
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
