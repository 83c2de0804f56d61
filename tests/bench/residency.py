"""Ten models, memory for three, eight clients that ask at random: all answered right, the memory kept, nothing left.

The application is a process of its own, with the real engine and tiny models of random weights, each of which says
something else. What each should say is asked first, one after the other, and what an unload gives back is measured on
the way. Memory is what the system says of the engines' processes, looked at all the time: with what they share of the
libraries, which each of them counts.

    .venv/bin/python -m tests.bench.residency [--first 200] [--rounds 20] [--requests 16] [--dry]
"""

import argparse
import json
import multiprocessing
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import date
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import httpx
import psutil

from app.library.entry import ModelEntry
from app.paths import Paths
from app.residency.room import RAM
from app.residency.wish import planned
from app.services import Services
from app.settings import Settings
from app.settings_file import save_settings
from backends.protocol import DraftMode
from tests.bench.memory import give_back
from tests.llama.tiny_models import write_plain
from tests.server.crowd import Holdings

RESULTS = Path(__file__).parent / "results"
NUM_MODELS, ROOM, NUM_CLIENTS = 10, 3, 8
NUM_QUESTIONS, NUM_TOKENS = 3, 24
MARGIN = 1.05  # of the memory that models may have: as far as a plan may be wrong
BACK = 0.98  # of what a load has taken, after its unload
MAX_GROWTH = 4 << 20  # bytes of the application, from the second round to the last
TICK_SECONDS = 0.02
RETRY_SECONDS = 5.0  # as the port's Retry-After says
SECONDS = 600.0


@dataclass(frozen=True)
class Application:
    """In another process."""

    orders: Connection
    address: str
    names: list[str]
    limit: int  # bytes
    pid: int

    def ask(self, order: str) -> Any:
        self.orders.send(order)
        return self.orders.recv()


@contextmanager
def opened(folder: Path) -> Iterator[Application]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=be_the_application, args=(theirs, folder))
    process.start()
    try:
        yield Application(ours, *ours.recv(), process.pid or 0)
    finally:
        ours.send("leave")
        process.join()


def be_the_application(orders: Connection, folder: Path) -> None:
    paths = Paths.below(folder)
    paths.ensure()
    for number in range(NUM_MODELS):
        write_plain(paths.models / f"model-{number}.gguf", 100 + 10 * number)
    settings = Settings(parallel=4, context=1024, prompt_cache_ram=0, draft=DraftMode.OFF, serve=False)
    save_settings(paths.settings_file, settings)
    services = Services(paths)
    entries = [entry for entry in services.library.look().entries if entry.is_offered]
    costs = [planned_bytes(services, entry) for entry in entries]
    limit = ROOM * max(costs) + min(costs) // 2
    services.change_settings(lambda each: Settings(**{**vars(each), "model_memory": limit}))
    url = services.start_server(port=_free_port())
    orders.send((url, [entry.id for entry in entries], limit))
    app = psutil.Process()
    while True:
        match orders.recv():
            case "loaded":
                orders.send([(each.snapshot.name, each.snapshot.state.value) for each in services.residency.loaded()])
            case "memory":
                orders.send(sum(each.memory_info().rss for each in (app, *app.children(recursive=True))))
            case "settle":
                for handle in services.supervisor.engines():
                    services.unload_model(handle.name)
                give_back()
                orders.send(Holdings.of(app))
            case _:
                services.close()
                return


def planned_bytes(services: Services, entry: ModelEntry) -> int:
    """Bytes of RAM, with all that the context may grow to."""
    plenty = {RAM: 1 << 40}
    wish = services.residency._costs.wish(entry.path, services.options_for(entry))
    share = planned(lambda: wish.within(plenty, plenty))
    assert share
    return share.bytes[RAM]


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Engines:
    """What the system says of the application's engines, as long as it is looked at."""

    application: int
    most: int = 0  # bytes of all of them together
    most_num: int = 0
    pids: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Engines":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(TICK_SECONDS):
            sizes = []
            with suppress(psutil.Error):
                for child in psutil.Process(self.application).children(recursive=True):
                    with suppress(psutil.Error):
                        if child.status() != psutil.STATUS_ZOMBIE and "spawn_main" in " ".join(child.cmdline()):
                            sizes.append(child.memory_info().rss)
                            self.pids.add(child.pid)
            self.most, self.most_num = max(self.most, sum(sizes)), max(self.most_num, len(sizes))


@dataclass
class Found:
    """tally: of requests. seconds: of each that was answered. samples: the application after each round, with no
    model loaded."""

    limit: int
    back: list[float] = field(default_factory=list)  # of the bytes that each load has taken, after its unload
    tally: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    samples: list[Holdings] = field(default_factory=list)
    num_loads: int = 0
    num_told_to_wait: int = 0  # 503 with Retry-After, upon which the client came back
    most_bytes: int = 0
    most_engines: int = 0
    num_left: int = 0
    took: float = 0.0

    def faults(self) -> Iterator[str]:
        if wrong := sum(self.tally.values()) - self.tally["right"]:
            yield f"{wrong} requests were not answered right: {dict(self.tally)}"
        if self.most_bytes > MARGIN * self.limit:
            yield f"the engines held {_mib(self.most_bytes)}, and {_mib(self.limit)} were allowed"
        if len(self.samples) > 2:
            _, first, *_, last = self.samples
            if last.rss - first.rss > MAX_GROWTH:
                yield f"memory grew by {_mib(last.rss - first.rss)}"
            if last.counts != first.counts:
                yield f"threads and files went from {first.counts} to {last.counts}"
        if min(self.back) < BACK:
            yield f"an unload gave {min(self.back):.1%} back"
        if self.num_left:
            yield f"{self.num_left} engines are left behind"


def question(number: int) -> dict[str, Any]:
    text = f"Question {number}: what is there to be said about {'it ' * (number + 1)}?"
    return {"messages": [{"role": "user", "content": text}], "max_tokens": NUM_TOKENS, "temperature": 0, "seed": 1}


def ask(client: httpx.Client, model: str, number: int) -> tuple[int, str]:
    answer = client.post("/v1/chat/completions", json={"model": model, **question(number)})
    if answer.status_code != 200:
        return answer.status_code, answer.text
    told = answer.json()
    return 200, f"{told['model']}: {told['choices'][0]['message']['content']}"


def one_round(
    application: Application, expected: dict[tuple[str, int], str], num: int, seed: int, found: Found
) -> None:
    def visit(client_number: int) -> list[tuple[str, float]]:
        pick, seen = random.Random(1000 * seed + client_number), []
        with httpx.Client(base_url=application.address, timeout=SECONDS, verify=False) as client:
            for _ in range(num // NUM_CLIENTS):
                model, which = pick.choice(application.names), pick.randrange(NUM_QUESTIONS)
                begun = time.perf_counter()
                status, text = ask(client, model, which)
                while status == 503 and time.perf_counter() - begun < SECONDS:
                    found.num_told_to_wait += 1
                    time.sleep(RETRY_SECONDS)
                    status, text = ask(client, model, which)
                is_right = status == 200 and text == expected[model, which]
                went = "right" if is_right else "wrong" if status == 200 else str(status)
                if not is_right:
                    print(f"  {model}, {which}: {text!r:.300}, not {expected[model, which]!r:.100}", file=sys.stderr)
                seen.append((went, time.perf_counter() - begun))
        return seen

    with ThreadPoolExecutor(NUM_CLIENTS) as pool:
        for went, seconds in (each for seen in pool.map(visit, range(NUM_CLIENTS)) for each in seen):
            found.tally[went] += 1
            found.seconds.append(seconds)


def alone(application: Application, found: Found) -> dict[tuple[str, int], str]:
    """What each model says when it has the machine to itself. Twice: the first load of all leaves what all share."""
    expected: dict[tuple[str, int], str] = {}
    with httpx.Client(base_url=application.address, timeout=SECONDS) as client:
        for turn, model in enumerate((application.names[0], *application.names)):
            application.ask("settle")
            before = application.ask("memory")
            expected |= {(model, which): ask(client, model, which)[1] for which in range(NUM_QUESTIONS)}
            during = application.ask("memory")
            application.ask("settle")
            if turn:
                found.back.append((during - application.ask("memory")) / (during - before))
    assert len(set(expected.values())) == len(expected), "each says something else"
    return expected


def stay(num_first: int, num_rounds: int, num_requests: int) -> Found:
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder)) as application:
        found = Found(application.limit)
        expected = alone(application, found)
        begun = time.perf_counter()
        with Engines(application.pid) as engines:
            for number, num in enumerate([num_first, *[num_requests] * num_rounds]):
                one_round(application, expected, num, number, found)
                found.samples.append(application.ask("settle"))
                print(f"  round {number}: {dict(found.tally)}, {found.samples[-1]}", file=sys.stderr, flush=True)
        found.took = time.perf_counter() - begun
        found.num_loads, found.most_bytes, found.most_engines = len(engines.pids), engines.most, engines.most_num
    found.num_left = sum(psutil.pid_exists(pid) for pid in engines.pids)
    return found


def page(found: Found, num_first: int, num_rounds: int, num_requests: int) -> str:
    total, (_, first, *_, last) = sum(found.tally.values()), [*found.samples, *found.samples[-1:] * 3]
    faults = "\n".join(f"- {fault}" for fault in found.faults()) or "All answered right, nothing left behind."
    cuts = quantiles(found.seconds, n=20)
    return f"""# Many models

    .venv/bin/python -m tests.bench.residency --first {num_first} --rounds {num_rounds} --requests {num_requests}

{NUM_MODELS} tiny Llamas, memory for {ROOM} of them ({_mib(found.limit)} by their plans), {NUM_CLIENTS} clients that
each ask a random model a random question, one after the other: {num_first} requests, then {num_rounds} rounds of
{num_requests}, after each of which all is unloaded; {date.today()}.

| | |
|---|---|
| requests | {total:,} |
| answered right | {found.tally["right"]:,} |
| told to come back, because no place was free for two minutes | {found.num_told_to_wait:,} |
| answered in | {median(found.seconds):.2f} s (median), {cuts[-1]:.2f} s (95 %), {max(found.seconds):.2f} s (longest) |
| loads | {found.num_loads:,} in {found.took:,.0f} s |
| engines at one time, at most | {found.most_engines} |
| their memory, at most | {_mib(found.most_bytes)} of {_mib(found.limit)} |
| engines left behind | {found.num_left} |
| of what a load took, back after its unload | {median(found.back):.2%} (median), {min(found.back):.2%} (least) |
| application after the first of the rounds, with no model loaded | {_told(first)} |
| application after round {num_rounds} | {_told(last)} |

{faults}

Random requests for ten models are the worst case: nearly each needs a load, and the loads go one after the other where
memory is short. What it takes is mostly the start of an engine's process, of which this machine with
{psutil.cpu_count()} cores makes about {found.num_loads / found.took:.1f} a second.
"""


def _told(holdings: Holdings) -> str:
    return f"{_mib(holdings.rss)}, {holdings.num_threads} threads, {holdings.num_files} files"


def _mib(num_bytes: int) -> str:
    return f"{num_bytes / 2**20:,.1f} MiB"


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, default=200, help="requests before the rounds")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--requests", type=int, default=16, help="in each round")
    parser.add_argument("--dry", action="store_true", help="keep no results")
    arguments = parser.parse_args(argv)
    amounts = arguments.first, arguments.rounds, arguments.requests
    found = stay(*amounts)
    told = page(found, *amounts)
    print(told)
    if not arguments.dry:
        # asdict makes a Counter of pairs of a Counter
        kept = {**asdict(found), "tally": dict(found.tally), "seconds": None, "on": str(date.today())}
        (RESULTS / "residency.md").write_text(told, "utf-8")
        (RESULTS / "residency.json").write_text(json.dumps(kept) + "\n", "utf-8")
    return 1 if list(found.faults()) else 0


if __name__ == "__main__":
    sys.exit(main())
