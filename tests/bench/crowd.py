"""64 clients of three dialects for five minutes, of whom a third leave, while models are unloaded and loaded again: no
wrong answer, nothing that grows, no process left behind.

As tests/server/test_crowd.py, but the application is a process of its own, so that what it holds is not mixed with
what 64 clients hold. Its memory is read with no model loaded and no request in flight, and trimmed: what the C library
keeps for later is given back first. The first part warms up.

    .venv/bin/python -m tests.bench.crowd [--seconds 300] [--parts 6] [--dry]
"""

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil

from app.inference.supervisor import Supervisor
from app.server import Server
from backends.fake.loader import answer_to
from tests.bench.memory import give_back
from tests.server.conftest import SECONDS
from tests.server.crowd import Holdings
from tests.server.test_crowd import Crowd, Shelf, Went, settled

RESULTS = Path(__file__).parent / "results"
MAX_GROWTH = 2 << 20  # bytes, from the second part to the last


@dataclass(frozen=True)
class Application:
    """In another process: what the crowd does to it beside asking."""

    orders: Connection
    address: str

    def ask(self, order: str, *details: Any) -> Any:
        self.orders.send((order, details))
        return self.orders.recv()

    def note_processes(self) -> None:
        self.ask("note")

    @property
    def supervisor(self) -> Any:
        return SimpleNamespace(unload=partial(self.ask, "unload"))


@contextmanager
def opened() -> Iterator[Application]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=be_the_application, args=(theirs,))
    process.start()
    try:
        yield Application(ours, ours.recv())
    finally:
        ours.send(("leave", ()))
        process.join()


def be_the_application(orders: Connection) -> None:
    with tempfile.TemporaryDirectory() as logs:
        supervisor = Supervisor(Path(logs))
        shelf = Shelf(supervisor)
        server = Server(shelf, load_seconds=SECONDS)
        orders.send(server.start(port=0))
        port: Any = SimpleNamespace(server=server)
        while True:
            order, details = orders.recv()
            match order:
                case "note":
                    orders.send(shelf.note_processes())
                case "unload":
                    orders.send(supervisor.unload(*details))
                case "settle":
                    settled(port, shelf, psutil.Process())
                    give_back()
                    orders.send((Holdings.of(psutil.Process()), shelf.pids))
                case _:
                    server.stop()
                    supervisor.close()
                    return


@dataclass(frozen=True)
class Found:
    """samples: after each part. num_left: engines that live on when the application has ended."""

    tally: dict[str, int]
    samples: list[Holdings]
    num_engines: int
    num_left: int

    def faults(self) -> Iterator[str]:
        _, first, *_, last = self.samples
        if last.rss - first.rss > MAX_GROWTH:
            yield f"memory grew by {(last.rss - first.rss) / 2**20:.1f} MiB"
        for what in ("num_threads", "num_files"):
            if getattr(first, what) != getattr(last, what):
                yield f"{what} went from {getattr(first, what)} to {getattr(last, what)}"
        if self.num_left:
            yield f"{self.num_left} engines are left behind"


def stay(seconds: float, num_parts: int) -> Found:
    """Raises what a client met: a wrong answer among it."""
    samples, pids = [], set()
    with opened() as application:
        port: Any = SimpleNamespace(
            client=SimpleNamespace(base_url=application.address), server=SimpleNamespace(address=application.address)
        )
        crowd = Crowd(port, application, lambda question: answer_to(question).decode())  # type: ignore[arg-type]
        for _ in range(num_parts):
            end = time.monotonic() + seconds / num_parts
            crowd.stay(lambda _, end=end: time.monotonic() > end)  # type: ignore[misc]
            holdings, pids = application.ask("settle")
            samples.append(holdings)
            print(f"  {holdings}, {dict(crowd.tally)}", file=sys.stderr, flush=True)
    left = [pid for pid in pids if psutil.pid_exists(pid)]
    return Found({went.name.lower(): crowd.tally[went] for went in Went}, samples, len(pids), len(left))


def page(found: Found, seconds: float) -> str:
    tally = found.tally
    rows = "".join(
        f"| {number} | {each.rss / 2**20:.1f} | {each.num_threads} | {each.num_files} |\n"
        for number, each in enumerate(found.samples, 1)
    )
    faults = "\n".join(f"- {fault}" for fault in found.faults()) or "Flat: no wrong answer, nothing left behind."
    return f"""# A crowd

    .venv/bin/python -m tests.bench.crowd{"" if seconds == 300 else f" --seconds {seconds:g}"}

64 clients of three dialects for {seconds:g} s, {date.today()}: {sum(tally.values()):,} visits. Of these
{tally["left"]:,} left, {tally["right"]:,} got the right answer, {tally["refused"]:,} were refused while their model was
unloaded or loaded, and {tally["called_off"]:,} streams were called off with it, as told. {found.num_engines} engines
were loaded. After each part, with no model loaded, the application held:

| part | memory, MiB | threads | files |
|---|---|---|---|
{rows}
{faults}
"""


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--parts", type=int, default=6)
    parser.add_argument("--dry", action="store_true", help="keep no results")
    arguments = parser.parse_args(argv)
    found = stay(arguments.seconds, arguments.parts)
    told = page(found, arguments.seconds)
    print(told)
    if not arguments.dry:
        (RESULTS / "crowd.md").write_text(told, "utf-8")
        (RESULTS / "crowd.json").write_text(json.dumps({**asdict(found), "on": str(date.today())}) + "\n", "utf-8")
    return 1 if list(found.faults()) else 0


if __name__ == "__main__":
    sys.exit(main())
