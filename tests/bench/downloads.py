"""Measures the downloader against curl: `python -m tests.bench.downloads`. Writes results/downloads.{json,md}.

Both fetch the same file from the Hub double (a process of its own, two ports on the loopback), follow the redirect to
its CDN, write to the same disk and end with an fsync of the file; ours also hashes it and compares the hash. Pairs in
turn (A B B A), an A/A pair of curl first. Meanwhile an offscreen Qt event loop in our process ticks every 5 ms; its
longest gap between two ticks is kept.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from app.downloads import Source, download
from tests.bench.pairs import Figures, compare
from tests.bench.run import RESULTS, ROOT, machine
from tests.hub.double.repo import HubFile

REPO, NAME = "bench/model", "model.gguf"
TICK_MS = 5
WANTED = 0.95
WANTED_GAP_MS = 100.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bytes", type=int, default=1_000_000_000)
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--work", type=Path, default=None, help="a folder on the disk to measure")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="slipstream-downloads-", dir=arguments.work) as folder:
        figures = measure(Path(folder), arguments.bytes, arguments.pairs)
    write(figures)
    return 0


def measure(folder: Path, size: int, num_pairs: int) -> dict[str, Any]:
    origin = folder / "hub" / REPO / NAME
    origin.parent.mkdir(parents=True)
    with origin.open("wb") as file:
        for _ in range(0, size, 1 << 20):
            file.write(os.urandom(min(1 << 20, size - file.tell())))
    with hub(folder / "hub") as endpoint:
        file_there = HubFile(NAME, origin)
        url = f"{endpoint}/{REPO}/resolve/main/{NAME}"
        source = Source(url, {}, size, file_there.sha256)
        target = folder / "downloaded.gguf"

        def by_curl() -> Figures:
            return {"MB/s": size / 1e6 / curl(url, target)}

        by_curl()  # the double has hashed the file, the disk is awake
        same = compare(("curl", by_curl), ("curl again", by_curl), max(2, num_pairs // 2))
        ours = compare(("slipstream", lambda: slipstream(source, target)), ("curl", by_curl), num_pairs)
        beats = [slipstream_beside_a_window(source, target) for _ in range(3)]
    return {
        "machine": machine(),
        "measured": datetime.now(UTC).isoformat(timespec="minutes"),
        "bytes": size,
        "curl": subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True).stdout.split("\n")[0],
        "same": same.row("MB/s"),
        "against curl": ours.row("MB/s"),
        "heartbeat": {
            "longest gap ms": max(beat["gap_ms"] for beat in beats),
            "gaps ms": [beat["gap_ms"] for beat in beats],
            "MB/s meanwhile": statistics.median(beat["MB/s"] for beat in beats),
        },
    }


@contextmanager
def hub(folder: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "tests.hub.double", str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def curl(url: str, target: Path) -> float:
    """Seconds until it is on the disk."""
    _forget(target)
    begin = time.perf_counter()
    subprocess.run(["curl", "--silent", "--fail", "--location", "--output", str(target), url], check=True)
    descriptor = os.open(target, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
    return time.perf_counter() - begin


def slipstream(source: Source, target: Path) -> Figures:
    _forget(target)
    begin = time.perf_counter()
    download([(source, target)], lambda _: None, threading.Event())
    return {"MB/s": source.bytes / 1e6 / (time.perf_counter() - begin)}


def slipstream_beside_a_window(source: Source, target: Path) -> Figures:
    """The same on a worker thread while Qt's event loop runs on this one."""
    from PySide6.QtCore import QTimer
    from PySide6.QtWidgets import QApplication, QLabel

    application = QApplication.instance() or QApplication([])
    assert isinstance(application, QApplication)
    label = QLabel()
    label.show()
    ticks: list[float] = []
    figures: list[Figures] = []

    def tick() -> None:
        ticks.append(time.perf_counter())
        label.setText(str(len(ticks)))
        if not worker.is_alive():
            application.quit()

    worker = threading.Thread(target=lambda: figures.append(slipstream(source, target)))
    timer = QTimer()
    timer.timeout.connect(tick)
    timer.start(TICK_MS)
    QTimer.singleShot(0, worker.start)
    application.exec()
    timer.stop()
    label.close()
    worker.join()
    gaps = [later - earlier for earlier, later in pairwise(ticks)]
    return {**figures[0], "gap_ms": max(gaps) * 1e3}


def _forget(target: Path) -> None:
    """Neither begins with the other's dirty pages."""
    target.unlink(missing_ok=True)
    os.sync()


def write(figures: dict[str, Any]) -> None:
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "downloads.json").write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    same, ours, beat = figures["same"], figures["against curl"], figures["heartbeat"]
    lines = [
        "# Downloads beside curl",
        "",
        "Repeat it on an idle machine: `python -m tests.bench.downloads`, which says what is measured.",
        "",
        f"{figures['bytes'] / 1e9:g} GB from the Hub double over the loopback, fsync on both, ours with the sha256; "
        f"{figures['curl'].partition(' (')[0]}; {figures['measured']}, {figures['machine']['processor']}, "
        f"{figures['machine']['cores']} cores.",
        "",
        "| figure | ours | theirs | ratio | range over pairs | wanted | |",
        "|---|---|---|---|---|---|---|",
        _row("curl against curl", same, "curl", "curl again", None),
        _row("ours, hashed, against curl", ours, "slipstream", "curl", WANTED),
        f"| longest gap of the window's heartbeat meanwhile | {beat['longest gap ms']:.0f} ms | | | | "
        f"< {WANTED_GAP_MS:.0f} ms | {_verdict(beat['longest gap ms'] < WANTED_GAP_MS)} |",
        "",
    ]
    (RESULTS / "downloads.md").write_text("\n".join(lines), "utf-8")
    print("\n".join(lines))


def _row(figure: str, row: dict[str, Any], a: str, b: str, wanted: float | None) -> str:
    goal = "" if wanted is None else f"≥ {wanted}"
    verdict = "" if wanted is None else _verdict(row["ratio"] >= wanted)
    spread = f"{row['lowest']:.3f}-{row['highest']:.3f} ({row['pairs']})"
    return (
        f"| {figure} | {row[a]:.0f} MB/s | {row[b]:.0f} MB/s | **{row['ratio']:.3f}** | {spread} | {goal} | {verdict} |"
    )


def _verdict(is_reached: bool) -> str:
    return "reached" if is_reached else "missed"


if __name__ == "__main__":
    sys.exit(main())
