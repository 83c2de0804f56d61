"""Measures the main road, for developers: `python -m tests.bench.run`. Writes tests/bench/results/road.{json,md}.

Ratios are medians over pairs taken in turn (A B B A), with an A/A pair first that shows what this machine calls
equal. Times are wall-clock, of one run, on whatever else this machine is doing.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import psutil

from app.guide import DRAFT_DIR, GUIDE_DIR, GUIDE_NAME
from app.inference.preflight import Preflight
from app.inference.supervisor import EngineHandle, Supervisor
from app.jobs.convert import convert_checkpoint, quantize_file
from app.jobs.install_guide import InstallGuide
from app.jobs.queue import JobQueue
from app.library.entry import ModelEntry
from app.paths import Paths
from backends.protocol import GREEDY, DraftMode, EngineOptions, Failed, Generate, KVType, Message, Output, Timings
from tests.bench.grow import grow

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).parent / "results"
QUESTIONS = Path(__file__).parents[2] / "packaging" / "guide" / "questions.toml"
NUM_QUESTIONS = 24
NUM_ROUNDS = 4
NUM_STREAMS = 8
SECONDS = 120.0
GROWTH = 9
CALIBRATION_SECONDS = 2.0  # after a load the idle engine measures what its steps cost


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=NUM_ROUNDS)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="slipstream-bench-") as folder:
        paths = Paths.below(Path(folder))
        paths.ensure()
        figures: dict[str, Any] = {"machine": machine()}
        entry, figures["install_seconds"] = install(paths)
        figures["load_seconds"] = load_seconds(paths, entry)
        grown = grown_guide(Path(folder), paths, entry)
        for name, model in (("guide", entry), ("guide grown to 54 M", grown)):
            figures[f"drafting, {name}"] = {
                kind: measure_drafting(paths, model, mode, rounds)
                for kind, mode in (
                    ("lookup", DraftMode.LOOKUP),
                    ("draft model", DraftMode.MODEL),
                    ("lookup and draft model", DraftMode.AUTO),
                )
            }
        plain = EngineOptions(kv_type_k=KVType.Q8_0, kv_type_v=KVType.Q8_0, draft=DraftMode.OFF)
        with engine(paths, entry, replace(plain, parallel=NUM_STREAMS)) as handle:
            figures["build"] = handle.wait_ready().build
            figures["one stream"] = streams(handle, 1)
            figures[f"{NUM_STREAMS} streams"] = streams(handle, NUM_STREAMS)
        figures["window_start_seconds"] = window_start_seconds(paths)
    write(figures)
    return 0


def machine() -> dict[str, Any]:
    return {
        "processor": _processor(),
        "cores": psutil.cpu_count(logical=False),
        "memory_bytes": psutil.virtual_memory().total,
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def install(paths: Paths) -> tuple[ModelEntry, float]:
    begin = time.perf_counter()
    jobs = JobQueue()
    try:
        handle = jobs.add(InstallGuide(paths, GUIDE_DIR, DRAFT_DIR, GUIDE_NAME))
        job = handle.wait(SECONDS)
        assert handle.result is not None, job.error
        return handle.result, time.perf_counter() - begin
    finally:
        jobs.close()


@contextmanager
def engine(paths: Paths, entry: ModelEntry, options: EngineOptions) -> Iterator[EngineHandle]:
    supervisor = Supervisor(paths.logs, Preflight(paths.cache, paths.logs))
    try:
        handle = supervisor.load(entry.id, entry.path, options)
        handle.wait_ready(SECONDS)
        yield handle
    finally:
        supervisor.close()


def load_seconds(paths: Paths, entry: ModelEntry) -> dict[str, float]:
    """`process`: from the click to an engine that answers; `native`: of that, inside the native loader."""
    options = EngineOptions(kv_type_k=KVType.Q8_0, kv_type_v=KVType.Q8_0, draft_model=entry.draft)
    process, inside = [], []
    for _ in range(NUM_ROUNDS):
        begin = time.perf_counter()
        with engine(paths, entry, options) as handle:
            process.append(time.perf_counter() - begin)
            inside.append(handle.wait_ready().load_seconds)
    return {"process": statistics.median(process), "native": statistics.median(inside)}


def grown_guide(folder: Path, paths: Paths, entry: ModelEntry) -> ModelEntry:
    """The guide's answers at the cost of a model eight times its size."""
    grow(GUIDE_DIR, folder / "grown", GROWTH)
    full, quantized = folder / "grown-F16.gguf", folder / "grown-Q4_K_M.gguf"
    convert_checkpoint(folder / "grown", full, "f16", logs=paths.logs)
    quantize_file(full, quantized, "Q4_K_M", logs=paths.logs)
    return replace(entry, id="grown", path=quantized)


def measure_drafting(paths: Paths, entry: ModelEntry, mode: DraftMode, rounds: int) -> dict[str, Any]:
    draft = entry.draft if mode is not DraftMode.LOOKUP else None
    options = EngineOptions(kv_type_k=KVType.Q8_0, kv_type_v=KVType.Q8_0, draft=mode, draft_model=draft)
    with engine(paths, entry, options) as handle:
        time.sleep(CALIBRATION_SECONDS)
        figures = drafting(handle, rounds)
        stats = handle.snapshot.stats
        return {**figures, "learnt": asdict(stats.drafting) if stats else None}


def drafting(handle: EngineHandle, rounds: int) -> dict[str, Any]:
    """Medians over questions and rounds; the first round is thrown away."""
    questions = trained_questions()

    def plain(question: str) -> Timings:
        return ask(handle, question, draft=False)

    def drafted(question: str) -> Timings:
        return ask(handle, question, draft=True)

    equal = [pair(plain, plain, q, n) for n in range(rounds) for q in questions][len(questions) :]
    pairs = [pair(plain, drafted, q, n) for n in range(rounds) for q in questions][len(questions) :]
    return {
        "same_ratio": statistics.median(b.predicted_per_second / a.predicted_per_second for a, b in equal),
        "ratio": statistics.median(b.predicted_per_second / a.predicted_per_second for a, b in pairs),
        "plain_tokens_per_second": statistics.median(a.predicted_per_second for a, _ in pairs),
        "drafted_tokens_per_second": statistics.median(b.predicted_per_second for _, b in pairs),
        "drafted": sum(b.draft_n for _, b in pairs),
        "accepted": sum(b.draft_accepted_n for _, b in pairs),
    }


Measure = Callable[[str], Timings]


def pair(first: Measure, second: Measure, question: str, round_: int) -> tuple[Timings, Timings]:
    """A B in even rounds, B A in odd ones."""
    if round_ % 2:
        b = second(question)
        return first(question), b
    return first(question), second(question)


def streams(handle: EngineHandle, count: int) -> dict[str, float]:
    """Aggregate speed of `count` answers side by side, and the engine's own time beside the native decode."""
    before = _settled(handle)
    begin = time.perf_counter()
    threads = [threading.Thread(target=ask_all, args=(handle, n)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - begin
    after = _settled(handle)
    tokens = after.num_tokens - before.num_tokens
    own_us = (after.step_us - before.step_us) - (after.decode_us - before.decode_us)
    return {
        "tokens_per_second": tokens / seconds,
        "engine_us_per_token": own_us / tokens,
        "runner_us_per_token": (after.decode_us - before.decode_us) / tokens,
    }


def ask_all(handle: EngineHandle, offset: int) -> None:
    questions = trained_questions()
    for n in range(len(questions)):
        ask(handle, questions[(n + offset) % len(questions)], draft=False)


def _settled(handle: EngineHandle) -> Any:
    """Stats after the last step: they come once the engine is idle."""
    time.sleep(1.2)
    stats = handle.snapshot.stats
    assert stats is not None
    return stats


def ask(handle: EngineHandle, question: str, draft: bool) -> Timings:
    ended = threading.Event()
    last: list[Output | Failed] = []

    def sink(event: Output | Failed) -> None:
        if isinstance(event, Failed) or event.finish:
            last.append(event)
            ended.set()

    handle.submit(Generate((Message("user", question),), sampling=GREEDY, draft=draft), sink)
    assert ended.wait(SECONDS)
    assert isinstance(last[0], Output), last[0]
    assert last[0].timings is not None
    return last[0].timings


def trained_questions() -> list[str]:
    topics = tomllib.loads(QUESTIONS.read_text("utf-8"))
    entries = [entry for topic in topics.values() for entry in topic]
    long_enough = [entry["question"] for entry in entries if len(entry["answer"]) > 120]
    return long_enough[:NUM_QUESTIONS]


FIRST_PAINT = """
from PySide6.QtCore import QEvent, QObject, QTimer
import ui.application
from app.paths import Paths
from app.services import Services

class Watch(QObject):
    def eventFilter(self, window, event):
        if event.type() == QEvent.Type.Paint:
            window.removeEventFilter(self)
            print("painted", flush=True)
            QTimer.singleShot(0, window.close)
        return False

class Window(ui.application.MainWindow):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.watch = Watch()
        self.installEventFilter(self.watch)

ui.application.MainWindow = Window
services = Services(Paths.from_environment())
ui.application.run(services, ["slipstream"])
services.close()
"""


def window_start_seconds(paths: Paths) -> float:
    """From the start of the process to the first paint of the window, without a screen; median."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "QT_QPA_PLATFORM": "offscreen",
        "SLIPSTREAM_HOME": str(paths.config.parent),
    }
    return statistics.median(_one_start(environment) for _ in range(NUM_ROUNDS))


def _one_start(environment: dict[str, str]) -> float:
    begin = time.perf_counter()
    command = [sys.executable, "-c", FIRST_PAINT]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "painted"
        return time.perf_counter() - begin


def write(figures: dict[str, Any]) -> None:
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "road.json").write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
    lines = [
        "# The main road, measured",
        "",
        "Made by `python -m tests.bench.run`, which says what each figure is.",
        "",
    ]
    lines += _rows(figures, "")
    (RESULTS / "road.md").write_text("\n".join(lines) + "\n", "utf-8")
    print("\n".join(lines))


def _rows(values: dict[str, Any], indent: str) -> list[str]:
    rows = []
    for name, value in values.items():
        label = name.replace("_", " ")
        if isinstance(value, dict):
            rows += [f"{indent}- {label}", *_rows(value, indent + "  ")]
        else:
            shown = f"{value:.3g}" if isinstance(value, float) and value < 1000 else f"{value}"
            rows.append(f"{indent}- {label}: {shown}")
    return rows


if __name__ == "__main__":
    sys.exit(main())
