"""What a first answer takes in memory, and what a growth costs: `python -m tests.bench.growth [MODEL]`.

The engine is the application's own, at its defaults. The pause is the longest interval between two tokens of an answer
that goes on behind so many, of which at least one grew the cache; beside it the median interval. → results/growth.md
"""

import statistics
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from app.inference.engine_handle import EngineHandle
from app.inference.preflight import Preflight
from app.inference.supervisor import Supervisor
from backends.protocol import GREEDY, EngineOptions, Generate, Message, Output
from tests.bench.run import machine
from tests.real import things

QUESTION = (Message("user", "Why is the sky blue? Answer in one sentence."),)
BEHIND, NUM_TOKENS = 4096, 1500
SECONDS = 600.0
MIB = 1 << 20
PAGE = Path(__file__).parent / "results" / "growth.md"


class Clock:
    """A reader that notes when tokens come."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.is_over = False

    def __call__(self, event: object) -> None:
        self.times.append(time.perf_counter())
        self.is_over = not isinstance(event, Output) or event.finish is not None


def answer(handle: EngineHandle, request: Generate) -> list[float]:
    """The intervals between its tokens."""
    clock = Clock()
    handle.submit(request, clock)
    deadline = time.monotonic() + SECONDS
    while not clock.is_over and time.monotonic() < deadline:
        time.sleep(0.01)
    return [b - a for a, b in zip(clock.times, clock.times[1:], strict=False)]


def memory() -> dict[str, float]:
    """Of all children: resident, and what they do not share with others."""
    children = psutil.Process().children(recursive=True)
    infos = [child.memory_full_info() for child in children]
    return {
        "largest child, resident MiB": max(info.rss for info in infos) / MIB,
        "all children, proportional MiB": sum(info.pss for info in infos) / MIB,
    }


def measure(model: Path, grows: bool) -> dict[str, float]:
    with TemporaryDirectory() as folder:
        supervisor = Supervisor(Path(folder), Preflight(Path(folder), Path(folder)))
        handle = supervisor.load("model", model, EngineOptions(kv_grow=grows))
        handle.wait_ready(SECONDS)
        answer(handle, Generate(QUESTION, max_tokens=40, sampling=GREEDY))
        figures = memory()
        long = tuple(300 + 7 * n % 5000 for n in range(BEHIND))
        intervals = answer(handle, Generate(long, max_tokens=NUM_TOKENS, ignore_eos=True, sampling=GREEDY))
        figures["longest interval behind 4k ms"] = 1000 * max(intervals[1:])
        figures["median interval behind 4k ms"] = 1000 * statistics.median(intervals)
        figures |= {f"{name} after 4k": value for name, value in memory().items()}
        stats = handle.snapshot.stats
        figures["cells"] = stats.cells.allocated if stats else 0
        supervisor.close()
    return figures


def page(model: Path, found: dict[str, dict[str, float]]) -> str:
    lines = [
        "# A cache that grows, and one that is allocated at once",
        "",
        "    .venv/bin/python -m tests.bench.growth",
    ]
    lines += ["", f"{datetime.now(UTC).isoformat(timespec='minutes')}, {machine()['processor']}; {model.name}.", ""]
    lines += [f"| | {' | '.join(found)} |", f"|---|{'---|' * len(found)}"]
    for name in next(iter(found.values())):
        lines.append(f"| {name} | {' | '.join(f'{figures[name]:,.1f}' for figures in found.values())} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else things.smollm2()
    PAGE.write_text(page(path, {"grows": measure(path, True), "at once": measure(path, False)}), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
