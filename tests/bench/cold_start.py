"""From the start of a program to its first token: `python -m tests.bench.cold_start PEERS [--work WORK] [--pairs N]`.

A server is started and asked every five milliseconds from its first moment on; the time ends with the
first text of the answer. Model files lie in the page cache. Both sides have their defaults, but two threads; ours was
started once before on this machine (its self-test is kept), and reads no prompt from disk.
Also the window, without a screen: to its first paint, to the first word of an answer by the model of last time, and
from a click on a model to that. PEERS as `tests.bench.peers` builds them; without one, ours alone is measured.
Writes results/cold_start.{json,md}.
"""

import argparse
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from app.paths import Paths
from tests.bench.models import LARGE, random_llama
from tests.bench.pairs import Figures, Measure, compare
from tests.bench.run import machine
from tests.real import things

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).parent / "results"
PAUSE = 0.005
SECONDS = 120.0
PATH = "/v1/chat/completions"
QUESTION = "What is the capital of France?"
MODEL = Path("HuggingFaceTB") / "SmolLM2-135M-Instruct" / "SmolLM2-135M-Instruct.Q4_1.gguf"
GOALS = {"SmolLM2": 2.0, "1.1 GB": 1.10}

Command = Callable[[Path, int], list[str]]


@dataclass(frozen=True, slots=True)
class Bench:
    """home: of our own, in which a model has been started once."""

    home: Path
    pairs: int
    server: Path | None

    def ours(self, model: Path) -> Measure:
        return lambda: _first_token(_ours, model, {"SLIPSTREAM_HOME": str(self.home), "PYTHONPATH": str(ROOT)})

    def theirs(self, model: Path) -> Measure:
        return lambda: _first_token(self._theirs, model, {})

    def _theirs(self, model: Path, port: int) -> list[str]:
        assert self.server
        return [str(self.server), "-m", str(model), "--port", str(port), "-t", "2", "-tb", "2"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peers", type=Path, nargs="?", help="where tests/bench/peers.py has built them")
    parser.add_argument("--work", type=Path, help="a folder for models; kept (a temporary one)")
    parser.add_argument("--pairs", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="slipstream-cold-", ignore_cleanup_errors=True) as folder:
        work = options.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        server = options.peers / "build" / "bin" / "llama-server" if options.peers else None
        bench = Bench(Path(folder) / "home", options.pairs, server)
        models = {"SmolLM2": things.smollm2(), "1.1 GB": random_llama(LARGE, work, "F16")}
        figures = {"measured": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine()}
        figures |= {"servers": servers(bench, models), "window": window(bench, models["SmolLM2"])}
    write(figures)
    return 0


def servers(bench: Bench, models: dict[str, Path]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for name, model in models.items():
        _warm(model)
        bench.ours(model)()  # the self-test, once; and the system has seen our files
        if bench.server is None:
            rows += _told(name, ("slipstream", bench.ours(model)), ("slipstream again", bench.ours(model)), bench.pairs)
            continue
        bench.theirs(model)()
        again = ("llama-server again", bench.theirs(model))
        rows += _told(f"{name}, A/A", ("llama-server", bench.theirs(model)), again, max(2, bench.pairs // 2))
        rows += _told(name, ("slipstream", bench.ours(model)), ("llama-server", bench.theirs(model)), bench.pairs)
    return rows


def _told(name: str, a: tuple[str, Measure], b: tuple[str, Measure], pairs: int) -> list[dict[str, Any]]:
    rows = [{"model": name, **row} for row in compare(a, b, pairs).rows()]
    for row in rows:
        sys.stdout.write(f"{json.dumps(row)}\n")
    sys.stdout.flush()
    return rows


def _warm(model: Path) -> None:
    with model.open("rb") as file:
        while file.read(1 << 24):
            pass


def _ours(model: Path, port: int) -> list[str]:
    command = [sys.executable, "-m", "app", "serve", "--model", str(model), "--port", str(port), "--threads", "2"]
    return [*command, "--prompt-cache-disk", "0"]


def _first_token(command: Command, model: Path, environment: dict[str, str]) -> Figures:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    begin = time.perf_counter()
    with _started(command(model, port), environment) as process:
        return _ask_until_answered(process, port, begin)


@contextmanager
def _started(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **environment})
        try:
            yield process
        except Exception:
            log.seek(0)
            sys.stderr.write(log.read()[-2000:].decode("utf-8", "replace"))
            raise
        finally:
            process.terminate()
            process.wait(60)


def _ask_until_answered(process: subprocess.Popen[bytes], port: int, begin: float) -> Figures:
    """Until the first text; a port that is not open yet, and one that says that it loads, are asked again."""
    body = {"messages": [{"role": "user", "content": QUESTION}], "max_tokens": 16, "temperature": 0, "stream": True}
    opened = 0.0
    while time.perf_counter() - begin < SECONDS:
        if process.poll() is not None:
            raise RuntimeError("the server ended")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
        try:
            connection.request("POST", PATH, json.dumps(body), {"Content-Type": "application/json"})
            opened = opened or time.perf_counter() - begin
            response = connection.getresponse()
            if response.status == 200 and any(map(_has_text, iter(response.readline, b""))):
                first = time.perf_counter() - begin
                return {"first token s": first, "port open s": opened, "CPU s": _cpu_seconds(process.pid)}
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(PAUSE)
    raise RuntimeError("no answer in time")


def _has_text(line: bytes) -> bool:
    if not line.startswith(b"data: {"):
        return False
    choices = json.loads(line.removeprefix(b"data: ")).get("choices", [])
    return any((choice.get("delta") or {}).get("content") for choice in choices)


def _cpu_seconds(pid: int) -> float:
    """Of a process and its children."""
    total, process = 0.0, psutil.Process(pid)
    for each in (process, *process.children(recursive=True)):
        with suppress(psutil.Error):
            times = each.cpu_times()
            total += times.user + times.system
    return total


WINDOW = """
import sys, time
import app.cli.window

CLICKS = CLICKS_HERE
opened = app.cli.window.open_window

def tell(what):
    print(what, time.perf_counter(), flush=True)

def open_window(services, asked, **options):
    from PySide6.QtCore import QEvent, QObject, QTimer
    import ui.application

    class Watch(QObject):
        def eventFilter(self, window, event):
            if event.type() == QEvent.Type.Paint:
                window.removeEventFilter(self)
                tell("painted")
            return False

    class Window(ui.application.MainWindow):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.watch, self.is_asked, self.is_answered = Watch(), False, False
            self.installEventFilter(self.watch)
            self.desk.changed.connect(self.ask)
            self.chat.session.advanced.connect(self.end)
            self.models.refreshed.connect(self.click)

        def click(self):
            if CLICKS and self.desk.entry is None:
                tell("clicked")
                self.desk.load(self.models.offered[0])

        def ask(self):
            if self.desk.is_ready and not self.is_asked:
                self.is_asked = True
                tell("ready")
                self.chat.session.ask("QUESTION_HERE")

        def end(self, output):
            if output.text and not self.is_answered:
                self.is_answered = True
                tell("answered")
                QTimer.singleShot(0, self.close)

    ui.application.MainWindow = Window
    return opened(services, asked, **options)

app.cli.window.open_window = open_window
import app.__main__
sys.exit(app.__main__.main([]))
"""


def window(bench: Bench, model: Path) -> dict[str, float]:
    """Seconds, medians. perf_counter is one clock for all processes."""
    paths = Paths.below(bench.home)
    paths.ensure()
    target = paths.models / MODEL
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        os.link(model, target) if model.stat().st_dev == target.parent.stat().st_dev else target.symlink_to(model)
    runs = [(_window_once(bench, clicks=False), _window_once(bench, clicks=True)) for _ in range(bench.pairs + 1)]
    started, clicked = zip(*runs[1:], strict=True)
    figures = {
        "first paint": [run["painted"] for run in started],
        "first word, the model of last time": [run["answered"] for run in started],
        "from a click to the first word": [run["answered"] - run["clicked"] for run in clicked],
    }
    return {name: statistics.median(values) for name, values in figures.items()}


def _window_once(bench: Bench, clicks: bool) -> dict[str, float]:
    """What happened, in seconds from the start of the process."""
    settings = Paths.below(bench.home).settings_file
    last = "" if clicks else f'last_model = "{MODEL.parent.as_posix()}"\n'
    settings.write_text(f"version = 1\nserve = false\n{last}", "utf-8")
    program = WINDOW.replace("CLICKS_HERE", str(clicks)).replace("QUESTION_HERE", QUESTION)
    own = {"SLIPSTREAM_HOME": str(bench.home), "PYTHONPATH": str(ROOT), "QT_QPA_PLATFORM": "offscreen"}
    begin = time.perf_counter()
    process = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **own},
        stdout=subprocess.PIPE,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    words = (line.split() for line in process.stdout.splitlines())
    return {what: float(moment) - begin for what, moment in words}


def write(figures: dict[str, Any]) -> None:
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "cold_start.json").write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    text = "\n".join(_lines(figures)) + "\n"
    (RESULTS / "cold_start.md").write_text(text, "utf-8")
    sys.stdout.write(text)


def _lines(figures: dict[str, Any]) -> Iterator[str]:
    on = figures["machine"]
    yield "# Cold start"
    yield ""
    yield "    .venv/bin/python -m tests.bench.cold_start PEERS"
    yield ""
    yield f"{figures['measured']}, {on['processor']}, {on['cores']} cores, Python {on['python']}."
    yield "From the start of the program to the first word of an answer that was asked for until it came; medians of "
    yield "pairs in turn. Ratios below 1 are ours."
    yield ""
    yield "| model | figure | A | B | A | B | A/B | lowest | highest | goal |"
    yield "|---|---|---|---|---|---|---|---|---|---|"
    for row in figures["servers"]:
        a, b = [key for key in row if key not in KEYS]
        goal = f"≤ {GOALS[row['model']]:.2f}" if row["figure"].startswith("first") and row["model"] in GOALS else ""
        numbers = " | ".join(f"{row[key]:.2f}" for key in (a, b, "ratio", "lowest", "highest"))
        yield f"| {row['model']} | {row['figure']} | {a} | {b} | {numbers} | {goal} |"
    yield ""
    yield "The window, without a screen, SmolLM2; seconds:"
    yield ""
    for name, seconds in figures["window"].items():
        yield f"- {name}: {seconds:.2f}"


KEYS = ("model", "figure", "ratio", "lowest", "highest", "pairs")

if __name__ == "__main__":
    sys.exit(main())
