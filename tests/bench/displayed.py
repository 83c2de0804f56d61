"""Whether the tokens per second that are shown are those that a client sees: `python -m tests.bench.displayed`.

The real window (off screen) with the guide, then SmolLM2; a client of the port, in a process of its own, streams
answers and counts. Beside its figure stand the means of what the strip showed and of what /metrics said meanwhile.
Writes results/displayed.{json,md}.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtWidgets import QApplication

from app.paths import Paths
from app.services import Services
from app.settings import Settings
from app.settings_file import save_settings
from tests.bench.client import ask, completion
from tests.bench.run import machine
from tests.real import things
from ui.application import listen
from ui.bridge import Bridge
from ui.main_window import MainWindow
from ui.theme import Theme

RESULTS = Path(__file__).parent / "results"
ROOT = Path(__file__).parents[2]
STREAMS = (1, 4)
GOAL = 0.05
PATIENCE = 300.0
NUM_ANSWERS = 3  # one after the other
PAUSE = 3.0  # seconds in which the engine measures its steps
WARM = 1.2  # seconds of answers until the last second is one of answers alone
METRIC = "slipstream_answer_tokens_per_second"
PROMPT = "What is Slipstream? Tell me all that you know of it."


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--client", type=int, metavar="PORT", help=argparse.SUPPRESS)
    parser.add_argument("--streams", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--tokens", type=int, default=400, help=argparse.SUPPRESS)
    parser.add_argument("--dry", action="store_true", help="print, and write no results")
    arguments = parser.parse_args()
    if arguments.client:
        return be_client(arguments.client, arguments.streams, arguments.tokens)
    application = QApplication(sys.argv[:1])
    with tempfile.TemporaryDirectory() as home:
        paths = Paths.below(Path(home))
        paths.ensure()
        save_settings(paths.settings_file, Settings(theme="light", serve=False))
        services = Services(paths)
        bridge = Bridge()
        stop = listen(services, bridge)
        try:
            rows = measure(services, bridge, Theme(application, "light"))
        finally:
            stop()
            bridge.close()
            services.close()
    if not arguments.dry:
        write(rows)
    return 0 if all(abs(row["difference"]) <= GOAL for row in rows) else 1


def measure(services: Services, bridge: Bridge, theme: Theme) -> list[dict[str, Any]]:
    window = MainWindow(services, bridge, theme)
    window.show()
    services.install_guide()
    services.bring_in([things.smollm2()])
    wait(lambda: services.guide() is not None)
    wait(lambda: len(services.store.models()) >= 2)
    port = int(services.start_server(port=0).rpartition(":")[2])
    rows = []
    for entry in sorted(services.store.models(), key=lambda entry: entry.bytes):
        if "draft" in entry.name.lower():
            continue
        window.desk.load(entry)
        wait(lambda: window.desk.is_ready)
        rest(PAUSE)
        tokens = 1500 if entry.bytes < 50_000_000 else 400  # some seconds each: what the way takes is seen once
        for streams in STREAMS:
            row = {"model": entry.name, "streams": streams, **compare(window, port, streams, tokens)}
            print(row)
            rows.append(row)
    window.close()
    return rows


def compare(window: MainWindow, port: int, streams: int, tokens: int) -> dict[str, float]:
    command = [sys.executable, "-m", "tests.bench.displayed", "--client", str(port)]
    command += ["--streams", str(streams), "--tokens", str(tokens)]
    client = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    shown: list[float] = []
    told: list[float] = []
    weights: list[float] = []  # a look counts for the time since the one before: a busy machine looks less often
    begun: float | None = None
    looked = time.monotonic()
    while client.poll() is None:
        rest(0.2)
        stats = window.desk.snapshot.stats if window.desk.snapshot else None
        before, looked = looked, time.monotonic()
        if stats is None or stats.num_running < streams:
            continue
        begun = begun or looked
        if looked - begun > WARM:
            weights.append(looked - before)
            shown.append(number(window.strip.speed.value))
            told.append(metric(port))
    assert client.stdout
    client_rate = float(json.loads(client.stdout.read())["rate"])
    strip = round(statistics.fmean(shown, weights), 1)
    return {
        "client": round(client_rate, 1),
        "strip": strip,
        "metrics": round(statistics.fmean(told, weights), 1),
        "difference": round(strip / client_rate - 1, 4),
        "looks": len(shown),
    }


def be_client(port: int, streams: int, tokens: int) -> int:
    """Some answers one after the other, side by side with others; tokens per second of all of them together."""
    num_tokens, seconds = 0.0, 0.0  # while all of them run
    for number in range(NUM_ANSWERS):
        bodies = [completion(f"{PROMPT} ({number}.{stream})", tokens) for stream in range(streams)]
        replies = ask(port, *bodies)
        begin, end = max(reply.arrivals[0] for reply in replies), min(reply.arrivals[-1] for reply in replies)
        seconds += end - begin
        for reply in replies:  # an event has one token, or some that were drafted
            share = sum(begin < moment <= end for moment in reply.arrivals) / (len(reply.arrivals) - 1)
            num_tokens += share * (reply.num_tokens - 1)
    print(json.dumps({"rate": num_tokens / seconds}))
    return 0


def metric(port: int) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE) as response:
        lines = response.read().decode().splitlines()
    return next((float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"{METRIC}{{")), 0.0)


def number(text: str) -> float:
    return float(text.partition(" ")[0].replace(",", "")) if text != "n/a" else 0.0


def wait(is_so: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end, "it took too long"
        rest(0.05)


def rest(seconds: float) -> None:
    """As the window rests: QTest.qWait would keep the interpreter from the port's thread."""
    loop = QEventLoop()
    QTimer.singleShot(int(1000 * seconds), loop.quit)
    loop.exec()


def write(rows: list[dict[str, Any]]) -> None:
    where = machine()
    document = {"measured": datetime.now(UTC).isoformat(timespec="seconds"), "machine": where, "rows": rows}
    (RESULTS / "displayed.json").write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    lines = [
        "# The speed that is shown, beside a client's own",
        "",
        "    .venv/bin/python -m tests.bench.displayed",
        "",
        f"{document['measured']}, {where['processor']}, {where['cores']} cores. Tokens per second; the goal is a "
        f"difference of at most {GOAL:.0%}.",
        "",
        "| model | streams | client | strip | /metrics | difference of the strip |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        figures = f"{row['client']} | {row['strip']} | {row['metrics']} | {row['difference']:+.1%}"
        lines.append(f"| {row['model']} | {row['streams']} | {figures} |")
    (RESULTS / "displayed.md").write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
