"""Where a token's processor time goes: `python -m tests.bench.step_costs --peers PEERS`, on Linux.

While 1 and 8 answers stream, the kernel's account of each thread (/proc/PID/task/TID/schedstat): how long it computed,
how long it waited for a core, and how often it was put on one. Ours is the engine's process, the application's and the
others below it; the threads of an engine's process that compute are its first one and OpenMP's. Written into
results/engine_misses.md, between what else was found.
"""

import argparse
import asyncio
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from tests.bench import busy, misses
from tests.bench.cases import prompt
from tests.bench.client import completion
from tests.bench.neighbours import listen, until_all_have_begun
from tests.bench.servers import THREADS, Program, Server, Setting, llama_server, running, slipstream
from tests.real import things

SECTION = "Where a token's processor time goes"
COMMAND = "    .venv/bin/python -m tests.bench.step_costs --peers PEERS"
PROMPT, MAX_TOKENS, PAUSE = 32, 1900, 1.0
CLIENT = "the client"


@dataclass(frozen=True, slots=True)
class Account:
    """Of one thread, or of several together. Seconds; turns: how often it was put on a core."""

    computed: float = 0.0
    waited: float = 0.0
    turns: int = 0

    def __add__(self, other: "Account") -> "Account":
        return Account(self.computed + other.computed, self.waited + other.waited, self.turns + other.turns)

    def __sub__(self, other: "Account") -> "Account":
        return Account(self.computed - other.computed, self.waited - other.waited, self.turns - other.turns)


Accounts = dict[tuple[int, int], Account]  # by process and thread


def accounts(processes: list[psutil.Process]) -> Accounts:
    found: Accounts = {}
    for process in processes:
        for task in Path(f"/proc/{process.pid}/task").glob("*"):
            with suppress(OSError):  # it has ended
                computed, waited, turns = map(int, (task / "schedstat").read_text().split())
                found[process.pid, int(task.name)] = Account(1e-9 * computed, 1e-9 * waited, turns)
    return found


def measured(server: Server, num_streams: int, seconds: float) -> dict[str, Any]:
    """Tokens a second, and what each part of a server has taken for a token."""

    async def watch() -> tuple[int, float, Accounts]:
        arrivals: list[list[float]] = [[] for _ in range(num_streams)]
        bodies = [completion(prompt(PROMPT), MAX_TOKENS) for _ in arrivals]
        streams = [asyncio.create_task(listen(server.port, *pair)) for pair in zip(bodies, arrivals, strict=True)]
        try:
            await until_all_have_begun(streams, arrivals)
            await asyncio.sleep(PAUSE)
            family = [psutil.Process(), server.process, *server.process.children(recursive=True)]
            before, num_before, begin = accounts(family), sum(map(len, arrivals)), time.perf_counter()
            await asyncio.sleep(seconds)
            after, num_tokens, passed = accounts(family), sum(map(len, arrivals)), time.perf_counter() - begin
        finally:
            for stream in streams:
                stream.cancel()
            await asyncio.gather(*streams, return_exceptions=True)
        spent = {thread: account - before.get(thread, Account()) for thread, account in after.items()}
        return num_tokens - num_before, passed, spent

    num_tokens, passed, spent = asyncio.run(watch())
    parts: defaultdict[str, Account] = defaultdict(Account)
    for part, account in _parts(server.process.pid, spent):
        parts[part] += account
    return {
        "tok/s": num_tokens / passed,
        "parts": {
            part: {
                "cpu µs": 1e6 * account.computed / num_tokens,
                "waited µs": 1e6 * account.waited / num_tokens,
                "turns": account.turns / num_tokens,
            }
            for part, account in parts.items()
        },
    }


def _parts(server: int, spent: Accounts) -> Iterator[tuple[str, Account]]:
    """Who computes is who has computed most, as many threads as there are; all of one process."""
    by_time = sorted((key for key in spent if key[0] != psutil.Process().pid), key=lambda key: -spent[key].computed)
    computing = by_time[:THREADS]
    for key, account in spent.items():
        if key[0] == psutil.Process().pid:
            yield CLIENT, account
        elif key in computing:
            yield "threads that compute", account
        elif key[0] == computing[0][0]:
            yield "other threads beside them", account
        else:
            yield "application" if key[0] == server else "others", account


def compared(peers: Path, seconds: float, pairs: int) -> list[tuple[str, int, dict[str, Any]]]:
    setting = Setting(things.smollm2(), busy.CONTEXT)
    sides: list[tuple[Program, Setting]] = [
        (slipstream(), replace(setting, extra=busy.NO_DRAFT)),
        (llama_server(peers / "build"), setting),
    ]
    found = []
    for pair in range(pairs):
        for program, chosen in sides if pair % 2 == 0 else reversed(sides):
            for num_streams in (1, 8):
                with running(program, replace(chosen, parallel=num_streams)) as server:
                    found.append((program.name, num_streams, measured(server, num_streams, seconds)))
                sys.stdout.write(f"{found[-1]}\n")
                sys.stdout.flush()
    return found


def section(found: list[tuple[str, int, dict[str, Any]]]) -> list[str]:
    lines = [
        COMMAND,
        "",
        f"SmolLM2, {THREADS} threads each. For each token: µs of processor time, µs in line for a core,",
    ]
    lines += ["and how often a thread was put on one. A line for each run."]
    for num_streams in sorted({row[1] for row in found}):
        lines += ["", f"### {num_streams} stream{'s' if num_streams > 1 else ''}", ""]
        lines += ["| | tok/s | part | cpu µs | in line µs | turns |", "|---|---|---|---|---|---|"]
        for name, _, row in sorted((row for row in found if row[1] == num_streams), key=lambda row: row[0]):
            for part, own in row["parts"].items():
                shown = f"{own['cpu µs']:,.0f} | {own['waited µs']:,.0f} | {own['turns']:.2f}"
                lines.append(f"| {name} | {row['tok/s']:.1f} | {part} | {shown} |")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, required=True, help="where tests/bench/peers.py has built them")
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--pairs", type=int, default=2)
    options = parser.parse_args()
    misses.keep(SECTION, section(compared(options.peers, options.seconds, options.pairs)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
