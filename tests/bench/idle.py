"""What the idle window takes of a processor: `python -m tests.bench.idle [--tree CHECKOUT] [--seconds 60]`.

The window of this checkout, or of another one, under Xvfb with the focus on its composer, without a model and with the
guide loaded; nobody touches it. Processor time of the window's process and of its engine, by psutil, over
so many seconds. Writes results/idle.{json,md}, one line for each label.
"""

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from app.paths import Paths
from app.settings import Settings
from app.settings_file import save_settings
from tests.bench.run import machine

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).parent / "results"
START = 10.0  # seconds until there is a window to be focused
SETTLE = 20.0  # then nobody touches it: caches fill, the model measures its steps, the caret comes to rest
GOAL = 0.1  # percent of a core


@dataclass(frozen=True, slots=True)
class Idle:
    """Percent of one core."""

    label: str
    case: str
    window: float
    engine: float | None
    seconds: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tree", type=Path, default=ROOT, help="another checkout, for what was before")
    parser.add_argument("--label", default="now")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--dry", action="store_true", help="print, and write no results")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, display() as number:
        environment = os.environ | {"SLIPSTREAM_HOME": home, "HOME": home, "DISPLAY": number, "QT_QPA_PLATFORM": "xcb"}
        paths = Paths.below(Path(home))
        paths.ensure()
        save_settings(paths.settings_file, Settings(port=free_port()))
        found = [measure(arguments, environment, "no model")]
        run = [sys.executable, "-m", "app", "install", "guide", "--json"]
        made = subprocess.run(run, cwd=arguments.tree, env=environment, check=True, capture_output=True, text=True)
        model = json.loads(made.stdout)["id"]
        save_settings(paths.settings_file, Settings(port=free_port(), last_model=model))
        found.append(measure(arguments, environment, "the guide is loaded"))
    for each in found:
        print(each)
    if not arguments.dry:
        write(found)
    return 0


def measure(arguments: argparse.Namespace, environment: dict[str, str], case: str) -> Idle:
    window = subprocess.Popen([sys.executable, "-m", "app"], cwd=arguments.tree, env=environment)
    try:
        time.sleep(START)
        subprocess.run(["xdotool", "search", "--name", "^Slipstream$", "windowfocus"], env=environment, check=False)
        time.sleep(SETTLE)
        main_process = psutil.Process(window.pid)
        engines = [each for each in main_process.children() if "spawn_main" in " ".join(each.cmdline())]
        begin, before = time.monotonic(), [_spent(each) for each in (main_process, *engines)]
        time.sleep(arguments.seconds)
        seconds = time.monotonic() - begin
        after = [_spent(each) for each in (main_process, *engines)]
        spent = [100 * (b - a) / seconds for a, b in zip(before, after, strict=True) if a is not None and b is not None]
    finally:
        window.terminate()
        window.wait(30)
    return Idle(arguments.label, case, round(spent[0], 3), round(max(spent[1:]), 3) if spent[1:] else None, seconds)


def _spent(process: psutil.Process) -> float | None:
    """None for one that has ended: a process that waits for a model is not kept for long."""
    try:
        times = process.cpu_times()
    except psutil.Error:
        return None
    return times.user + times.system


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def display() -> Iterator[str]:
    read, written = os.pipe()
    server = subprocess.Popen(["Xvfb", "-displayfd", str(written), "-screen", "0", "1280x900x24"], pass_fds=[written])
    try:
        yield f":{os.read(read, 16).decode().strip()}"
    finally:
        server.terminate()
        server.wait(30)


def write(found: list[Idle]) -> None:
    """Lines of other labels stay."""
    path = RESULTS / "idle.json"
    kept = json.loads(path.read_text("utf-8"))["rows"] if path.exists() else []
    rows = [row for row in kept if row["label"] != found[0].label]
    rows += [{name: getattr(each, name) for name in Idle.__slots__} for each in found]
    document = {"measured": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine(), "rows": rows}
    path.write_text(json.dumps(document, indent=1) + "\n")
    lines = [
        "# The idle window",
        "",
        "    .venv/bin/python -m tests.bench.idle --tree A_CHECKOUT_OF_BEFORE --label before",
        "    .venv/bin/python -m tests.bench.idle",
        "",
        f"{machine()['processor']}, {machine()['cores']} cores. Percent of one core; the goal is {GOAL}.",
        "",
        "| | | window | engine | seconds |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        engine = "" if row["engine"] is None else f"{row['engine']:.3f}"
        lines.append(f"| {row['label']} | {row['case']} | {row['window']:.3f} | {engine} | {row['seconds']:.0f} |")
    path.with_suffix(".md").write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    sys.exit(main())
