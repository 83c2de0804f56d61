"""What an answer takes in memory, beside llama-server: `python -m tests.bench.footprint --peers PEERS --work WORK`.

Each server is started at its defaults (llama-server with -np 4 -c 8192, the same context that ours may grow to), asked
one short question, and later a chat of about 6,000 tokens. What is told are the resident pages of all its processes,
those of a file counted once. So the model's weights count on both sides, whoever else has mapped them.
Of ours the engine's process is told as well. Writes results/footprint.{json,md}.
"""

import argparse
import json
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from tests.bench.cases import prompt
from tests.bench.client import ask, completion
from tests.bench.models import SMALL, random_llama
from tests.bench.pairs import Figures, compare
from tests.bench.run import machine
from tests.bench.servers import Program, Server, Setting, llama_server, running, slipstream
from tests.real import things

RESULTS = Path(__file__).parent / "results"
CONTEXT, PARALLEL = 8192, 4
FIRST, LONG, MAX_TOKENS = 24, 6000, 32
KIB = 1 << 10
SETTLE = 1.0  # seconds after an answer: buffers of the request are gone
FIRST_GOAL, LONG_GOAL = 0.5, 0.8
ENGINE = "engine alone"


@dataclass(frozen=True, slots=True)
class Defaults:
    """A server with as few flags as it starts with."""

    build: Path

    @property
    def ours(self) -> Program:
        def command(setting: Setting, port: int) -> list[str]:
            options = ("--model", str(setting.model), "--port", str(port), "--context", str(setting.context))
            return [sys.executable, "-m", "app", "serve", *options]

        return Program("slipstream", command, slipstream().environment)

    @property
    def theirs(self) -> Program:
        def command(setting: Setting, port: int) -> list[str]:
            server, size = str(self.build / "bin" / "llama-server"), str(setting.context)
            options = (
                "-np",
                str(PARALLEL),
                "-c",
                size,
                "--kv-unified",
            )  # in parts of 2,048 the long chat would not fit
            return [server, "-m", str(setting.model), "--port", str(port), *options]

        return Program(llama_server(self.build).name, command)


def measure(program: Program, setting: Setting) -> Figures:
    """MiB after the first answer and after the long one."""
    with running(program, setting) as server:
        ask(server.port, completion(prompt(FIRST), MAX_TOKENS))
        time.sleep(SETTLE)
        first, first_engine = _memory(server)
        ask(server.port, completion(prompt(LONG), MAX_TOKENS))
        time.sleep(SETTLE)
        long, long_engine = _memory(server)
    return {
        "MiB after the first answer": first,
        "MiB after a chat of 6k": long,
        f"MiB after the first answer, {ENGINE}": first_engine,
        f"MiB after a chat of 6k, {ENGINE}": long_engine,
    }


def _memory(server: Server) -> tuple[float, float]:
    """Of the family, and of its largest process."""
    family = [_Pages.of(process.pid) for process in (server.process, *server.process.children(recursive=True))]
    files = {file for pages in family for file in pages.files}
    of_files = sum(max(pages.files.get(file, 0) for pages in family) for file in files)
    return (sum(pages.own for pages in family) + of_files) / KIB, max(pages.all for pages in family) / KIB


@dataclass(frozen=True, slots=True)
class _Pages:
    """Resident ones of a process, KiB, as /proc/PID/smaps says."""

    own: int  # of no file; what a fork shares counted in parts
    files: dict[str, int]

    @property
    def all(self) -> int:
        return self.own + sum(self.files.values())

    @classmethod
    def of(cls, pid: int) -> "_Pages":
        own, files, file = 0, dict[str, int](), ""
        for line in Path(f"/proc/{pid}/smaps").read_text("utf-8").splitlines():
            words = line.split(maxsplit=5)
            if "-" in words[0]:  # a mapping's head: addresses, rights, offset, device, inode, name
                file = words[5] if words[4] != "0" else ""
            elif words[0] == "Rss:" and file:
                files[file] = files.get(file, 0) + int(words[1])
            elif words[0] == "Pss:" and not file:
                own += int(words[1])
        return cls(own, files)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, required=True, help="where tests/bench/peers.py has built them")
    parser.add_argument("--work", type=Path, required=True, help="a folder for models; kept")
    parser.add_argument("--pairs", type=int, default=2)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    models = {
        "SmolLM2": things.smollm2(),
        SMALL.name: random_llama(SMALL, options.work),
        "Gemma 3 270M": things.gemma(),
    }
    defaults = Defaults(options.peers / "build")
    known: dict[str, Any] = {}
    for name, model in models.items():
        setting = Setting(model, CONTEXT)
        sides = [(program.name, partial(measure, program, setting)) for program in (defaults.ours, defaults.theirs)]
        rows = compare(*sides, options.pairs).rows()
        known[name] = {"measured": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine(), "rows": rows}
        sys.stdout.write(f"{name}: {json.dumps(rows)}\n")
        sys.stdout.flush()
    (RESULTS / "footprint.json").write_text(json.dumps(known, indent=1) + "\n", "utf-8")
    (RESULTS / "footprint.md").write_text(_page(known), "utf-8")
    return 0


def _page(known: dict[str, Any]) -> str:
    lines = [
        "# Memory beside llama-server",
        "",
        "    .venv/bin/python -m tests.bench.footprint --peers PEERS --work WORK",
        "",
        f"Resident memory of all processes, pages of a file counted once, MiB. llama-server with `-np {PARALLEL} -c "
        f"{CONTEXT} -kvu`, ours with `--context {CONTEXT}` and its defaults, its port and sandbox included.",
    ]
    for model, figures in known.items():
        where = figures["machine"]
        lines += ["", f"## {model}", "", f"{figures['measured']}, {where['processor']}, {where['cores']} cores", ""]
        lines += ["| | slipstream | llama-server | ratio | wanted |", "|---|---|---|---|---|"]
        for row in figures["rows"]:
            wanted = ""
            if ENGINE not in row["figure"]:
                goal = FIRST_GOAL if "first" in row["figure"] else LONG_GOAL
                wanted = f"≤ {goal}: {'reached' if row['ratio'] <= goal else 'missed'}"
            lines.append(
                f"| {row['figure']} | {row['slipstream']:.0f} | {row['llama-server']:.0f} | **{row['ratio']:.2f}** "
                f"({row['lowest']:.2f}-{row['highest']:.2f}, {row['pairs']} pairs) | {wanted} |"
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
