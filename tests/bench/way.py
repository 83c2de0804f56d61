"""What a token costs on its way from the step to the reader: `python -m tests.bench.way`. Linux.

The steps are the fake backend's, which sleep for as long as real ones would compute: so the processor time of both
processes is that of everything but the decode, whoever else is on the machine. Written into results/engine_misses.md.
"""

import asyncio
import multiprocessing
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psutil

from app.inference.supervisor import Supervisor
from app.server.server import Server
from backends.protocol import DraftMode, EngineOptions
from tests.bench import misses
from tests.bench.client import completion
from tests.bench.neighbours import listen
from tests.bench.step_costs import Accounts, accounts
from tests.server.conftest import Directory

SECTION = "What a token costs on its way"
COMMAND = "    .venv/bin/python -m tests.bench.way"
KINDS = ((1, 4), (1, 10), (1, 20), (8, 20), (8, 40))  # answers, and ms of a step
SECONDS, PAUSE, MAX_TOKENS = 4.0, 1.0, 8000
SAID = 3500  # letters of the question, which the answer repeats
STEPPING, OTHERS, APPLICATION = "the thread that steps", "the engine's others", "the application"


def measured(num_streams: int, milliseconds: int) -> dict[str, float]:
    """Microseconds and turns, for each token."""
    with TemporaryDirectory(prefix="slipstream-bench-") as folder:
        supervisor = Supervisor(Path(folder))
        options = EngineOptions(parallel=num_streams, context=8192, draft=DraftMode.OFF)
        handle = supervisor.load("fake", Path(f"{milliseconds}ms"), options, backend="fake")
        server = Server(Directory(supervisor))
        port = httpx.URL(server.start(port=0)).port
        handle.wait_ready(60.0)
        num_heard = multiprocessing.get_context("spawn").Value("L", 0)
        client = multiprocessing.get_context("spawn").Process(target=_listen_all, args=(port, num_streams, num_heard))
        client.start()
        try:
            assert handle.pid
            processes = [psutil.Process(handle.pid), psutil.Process()]
            while num_heard.value < 10 * num_streams:
                time.sleep(0.01)
            time.sleep(PAUSE)
            before, begin = accounts(processes), num_heard.value
            time.sleep(SECONDS)
            after, num_tokens = accounts(processes), num_heard.value - begin
        finally:
            client.terminate()
            client.join()
            server.stop()
            supervisor.close()
    return {part: value / num_tokens for part, value in _parts(processes[0].pid, before, after).items()}


def _parts(engine: int, before: Accounts, after: Accounts) -> dict[str, float]:
    found: Counter[str] = Counter()
    for (process, thread), account in after.items():
        spent = account - before[process, thread] if (process, thread) in before else account
        part = APPLICATION if process != engine else STEPPING if thread == process else OTHERS
        found[f"{part}, µs"] += round(1e6 * spent.computed)
        found[f"{part}, turns"] += spent.turns
    return dict(found)


class _Heard(list[float]):
    def __init__(self, counter: Any):
        self._counter = counter

    def append(self, _moment: float) -> None:
        self._counter.value += 1


def _listen_all(port: int, num_streams: int, counter: Any) -> None:
    async def all_of_them() -> None:
        bodies = (completion(f"user: {chr(97 + number) * SAID}\n", MAX_TOKENS) for number in range(num_streams))
        await asyncio.gather(*(listen(port, body, _Heard(counter)) for body in bodies))

    asyncio.run(all_of_them())


def section() -> list[str]:
    parts = [f"{part}, {unit}" for part in (STEPPING, OTHERS, APPLICATION) for unit in ("µs", "turns")]
    lines = [
        COMMAND,
        "",
        "For each token: µs of processor time, and how often a thread was put on a core. The steps sleep.",
    ]
    lines += ["", f"| answers | step, ms | {' | '.join(parts)} |", f"|---|---|{'---|' * len(parts)}"]
    for num_streams, milliseconds in KINDS:
        found = measured(num_streams, milliseconds)
        shown = (f"{found[part]:,.0f}" if part.endswith("µs") else f"{found[part]:.2f}" for part in parts)
        lines.append(f"| {num_streams} | {milliseconds} | {' | '.join(shown)} |")
        sys.stdout.write(f"{lines[-1]}\n")
        sys.stdout.flush()
    return lines


if __name__ == "__main__":
    misses.keep(SECTION, section())
