"""Does anything grow? `python -m tests.bench.soak [--requests 5000] [--loads 200] [--model FILE] [--restless] [--dry]`.

Requests of many shapes, the aborted and the broken ones among them, go to one served engine; then an engine is loaded
and unloaded again and again. Memory, open files and threads of the application and of the engine are read at rest.
Memory is flat when the median of the last third lies within 5 % of the median of the first, after a warm-up of a
tenth; files and threads must be the same. The exit code is 1 when something is not.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import psutil

from app.guide import GUIDE_DIR, SUGGESTED_QUESTIONS
from app.inference.supervisor import Supervisor
from app.jobs.convert import convert_checkpoint
from backends.protocol import GREEDY, EngineOptions, Generate
from tests.e2e.serving import Serving, serving
from tests.engine.restless import num_said
from tests.inference.conftest import SECONDS, Answer

RESULTS = Path(__file__).parent / "results"
NUM_SAMPLES = 50
WARM_UP = 0.1
FLAT = 0.05
# what the prompt cache keeps on purpose would look like a leak
OPTIONS = ("--prompt-cache-ram", "0", "--prompt-cache-disk", "0", "--parallel", "4")
REST_SECONDS = 20.0
RESTLESS = "tests.bench.restless_app"
SCHEMA = {"type": "object", "properties": {"answer": {"type": "string", "maxLength": 20}}, "required": ["answer"]}


@dataclass(frozen=True, slots=True)
class Holdings:
    """What one process holds."""

    rss: int
    files: int
    threads: int

    @classmethod
    def of(cls, process: psutil.Process) -> "Holdings":
        return cls(process.memory_info().rss, process.num_fds(), process.num_threads())


@dataclass(frozen=True, slots=True)
class Series:
    """The samples of one process in one soak, in order, the warm-up among them."""

    name: str
    samples: tuple[Holdings, ...]

    @property
    def settled(self) -> tuple[Holdings, ...]:
        return self.samples[round(WARM_UP * len(self.samples)) :]

    def ends(self, what: str) -> tuple[float, float]:
        """The medians of the first and of the last third."""
        values = [getattr(holdings, what) for holdings in self.settled]
        third = max(1, len(values) // 3)
        return median(values[:third]), median(values[-third:])

    def faults(self) -> Iterator[str]:
        first, last = self.ends("rss")
        if abs(last - first) > FLAT * first:
            yield f"{self.name}: memory went from {first / 2**20:.1f} to {last / 2**20:.1f} MiB"
        for what in ("files", "threads"):
            first, last = self.ends(what)
            if first != last:
                yield f"{self.name}: {what} went from {first:g} to {last:g}"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--loads", type=int, default=200)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--model", type=Path, help="a GGUF file; the guide unless given")
    parser.add_argument("--seed", type=int, default=8)
    parser.add_argument("--restless", action="store_true", help="the KV cache changes its size at random")
    parser.add_argument("--dry", action="store_true", help="keep no results")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="slipstream-soak-", ignore_cleanup_errors=True) as folder:
        model = arguments.model.absolute() if arguments.model else _guide(Path(folder))
        series = [
            *soak_requests(Path(folder) / "home", model, arguments),
            *soak_loads(Path(folder) / "logs", model, arguments.loads),
        ]
    faults = [fault for one in series for fault in one.faults()]
    table = _table(series, faults, arguments, model.name)
    print(table)
    if not arguments.dry:
        _save(series, faults, arguments, table)
    return 1 if faults else 0


# --- requests


def soak_requests(home: Path, model: Path, arguments: argparse.Namespace) -> list[Series]:
    count, clients, seed = arguments.requests, arguments.clients, arguments.seed
    if not count:
        return []
    program = RESTLESS if arguments.restless else "app"
    with serving(home, model, options=OPTIONS, program=program) as app:
        processes = [psutil.Process(app.process.pid), app.engines()[0]]
        samples: list[list[Holdings]] = [[], []]
        shapes = [_shape(random.Random(f"{seed} {number}"), number) for number in range(count)]
        for chunk in _chunks(shapes, min(NUM_SAMPLES, max(1, count // clients))):
            with ThreadPoolExecutor(clients) as pool:
                list(pool.map(lambda shape: shape(app), chunk))
            _rest(app)
            for process, taken in zip(processes, samples, strict=True):
                taken.append(Holdings.of(process))
            print(f"  requests: {samples[0][-1]}, {samples[1][-1]}", file=sys.stderr, flush=True)
        assert [engine.pid for engine in app.engines()] == [processes[1].pid], "the engine is another"
        if arguments.restless:
            print(f"  the KV cache changed its size {num_said(home / 'logs')} times", file=sys.stderr, flush=True)
    return [Series("application, requests", tuple(samples[0])), Series("engine, requests", tuple(samples[1]))]


Shape = Callable[[Serving], None]


def _shape(pick: random.Random, number: int) -> Shape:
    """One request of the mixture: three of five are good ones that are read to the end."""
    question = f"{pick.choice(SUGGESTED_QUESTIONS)} ({number})"
    text = " ".join([question] * pick.choice([1, 1, 2, 5, 20]))
    most = pick.choice([1, 5, 20, 40])
    chat = {"messages": [{"role": "user", "content": text}], "max_tokens": most}
    plain = {"prompt": text, "max_tokens": most}
    kind = pick.random()
    if kind < 0.15:
        return _ask("chat/completions", chat)
    if kind < 0.3:
        return _stream("chat/completions", {**chat, "temperature": 0.0})
    if kind < 0.4:
        return _ask("completions", {**plain, "n": 2, "logprobs": 3, "stop": ["."]})
    if kind < 0.5:
        return _stream("completions", {**plain, "seed": number})
    if kind < 0.6:
        form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}}
        return _ask("chat/completions", {**chat, "response_format": form})
    if kind < 0.75:
        return _stream("completions", {**plain, "max_tokens": 200}, chunks=pick.choice([1, 3, 10]))
    if kind < 0.85:
        return lambda app: app.abandon("/v1/completions", {**plain, "max_tokens": 200})
    if kind < 0.9:
        return _ask("completions", {**plain, "prompt": text * 400}, is_good=False)
    if kind < 0.95:
        return _ask("chat/completions", {"messages": "none"}, is_good=False)
    return _broken


def _ask(path: str, body: Mapping[str, Any], is_good: bool = True) -> Shape:
    def ask(app: Serving) -> None:
        response = httpx.post(f"{app.url}/v1/{path}", json=body, timeout=120.0)
        assert response.status_code // 100 == (2 if is_good else 4), response.text[:300]

    return ask


def _stream(path: str, body: Mapping[str, Any], chunks: int | None = None) -> Shape:
    """chunks: leave after so many."""

    def stream(app: Serving) -> None:
        with httpx.stream("POST", f"{app.url}/v1/{path}", json={**body, "stream": True}, timeout=120.0) as response:
            assert response.status_code == 200
            for number, _ in enumerate(response.iter_lines()):
                if number == chunks:
                    return

    return stream


def _broken(app: Serving) -> None:
    headers = {"content-type": "application/json"}
    response = httpx.post(f"{app.url}/v1/completions", content=b'{"prompt": "', headers=headers, timeout=120.0)
    assert response.status_code // 100 == 4, response.text[:300]


def _rest(app: Serving) -> None:
    """Until the connections are closed and nothing is computed: the processor time stands still."""
    family = [psutil.Process(app.process.pid), *app.engines()]
    until = time.monotonic() + REST_SECONDS
    before = -1.0
    while time.monotonic() < until:
        spent = sum(process.cpu_times().user for process in family)
        if spent - before < 0.05:
            return
        before = spent
        time.sleep(0.3)


# --- loads


def soak_loads(logs: Path, model: Path, count: int) -> list[Series]:
    ours: list[Holdings] = []
    theirs: list[Holdings] = []
    supervisor = Supervisor(logs)
    for number in range(count):
        handle = supervisor.load("soak", model, EngineOptions(context=512, prompt_cache_ram=0))
        handle.wait_ready(SECONDS)
        answer = Answer()
        handle.submit(Generate(f"Hello {number}", sampling=GREEDY, max_tokens=3), answer)
        answer.wait()
        theirs.append(Holdings.of(psutil.Process(handle.pid)))
        supervisor.unload("soak")
        time.sleep(0.05)  # a thread that was joined may take a moment to leave the system
        ours.append(Holdings.of(psutil.Process()))
        if number % max(1, count // NUM_SAMPLES) == 0:
            print(f"  loads: {ours[-1]}, {theirs[-1]}", file=sys.stderr, flush=True)
    supervisor.close()
    return [Series("application, loads", tuple(ours)), Series("engine, loads", tuple(theirs))] if count else []


# --- what is told


def _table(series: Sequence[Series], faults: Sequence[str], arguments: argparse.Namespace, model: str) -> str:
    lines = [
        "# Soak",
        "",
        f"`python -m tests.bench.soak` on {model}: {arguments.requests} requests from {arguments.clients} clients, "
        f"{arguments.loads} loads, {date.today()}. Medians of the first and of the last third, after a warm-up.",
        "",
        "| process | memory, MiB | change | lowest, highest | files | threads |",
        "|---|---|---|---|---|---|",
    ]
    for one in series:
        first, last = one.ends("rss")
        sizes = [holdings.rss / 2**20 for holdings in one.settled]
        files, threads = one.ends("files"), one.ends("threads")
        lines.append(
            f"| {one.name} | {first / 2**20:.1f} → {last / 2**20:.1f} | {100 * (last / first - 1):+.1f} % "
            f"| {min(sizes):.1f}, {max(sizes):.1f} | {files[0]:g} → {files[1]:g} | {threads[0]:g} → {threads[1]:g} |"
        )
    lines += ["", *([f"- {fault}" for fault in faults] or ["Flat."])]
    return "\n".join(lines)


def _save(series: Sequence[Series], faults: Sequence[str], arguments: argparse.Namespace, table: str) -> None:
    report = {
        "requests": arguments.requests,
        "loads": arguments.loads,
        "seed": arguments.seed,
        "on": str(date.today()),
        "faults": list(faults),
        "series": {one.name: [asdict(holdings) for holdings in one.samples] for one in series},
    }
    (RESULTS / "soak.json").write_text(json.dumps(report) + "\n", "utf-8")
    (RESULTS / "soak.md").write_text(table + "\n", "utf-8")


def _guide(folder: Path) -> Path:
    convert_checkpoint(GUIDE_DIR, folder / "guide.gguf", "f16", logs=folder)
    return folder / "guide.gguf"


def _chunks(items: Sequence[Shape], count: int) -> Iterator[Sequence[Shape]]:
    size = max(1, len(items) // count)
    return (items[first : first + size] for first in range(0, len(items), size))


if __name__ == "__main__":
    sys.exit(main())
