"""Beside other programs: `python -m tests.bench.busy --peers PEERS --work WORK`.

Tokens per second of 1 and 8 answers on an idle machine and beside 1, 2 and 4 programs that spin, ours against
llama-server, both started anew for each measurement, in turns; first llama-server against itself. Without --peers the
other side is our own engine with libgomp's own spinning, as it was before it followed the machine. Results are kept in
results/busy.json; results/busy.md is drawn from them.
"""

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench.cases import prompt
from tests.bench.models import SMALL, random_llama
from tests.bench.neighbours import neighbours, tokens_per_second
from tests.bench.pairs import Figures, compare
from tests.bench.run import machine
from tests.bench.servers import Program, Setting, llama_server, running, slipstream
from tests.real import things

RESULTS = Path(__file__).parent / "results"
CONTEXT, MAX_TOKENS, PROMPT = 2048, 1900, 32
PAUSE = 1.0  # between two figures: what was called off comes to its end
NO_DRAFT = ("--draft", "off", "--prompt-cache-disk", "0")
AS_BEFORE = {"GOMP_SPINCOUNT": "300000"}  # libgomp's default; set by a person, so the engine follows nothing
IDLE_GOAL, BUSY_GOAL, NUM_BUSY = 0.98, 8.0, 2


@dataclass(frozen=True, slots=True)
class Bench:
    """What is measured of each server."""

    counts: tuple[int, ...]  # of neighbours
    streams: tuple[int, ...]
    seconds: float  # a figure

    def measure(self, program: Program, setting: Setting) -> Figures:
        figures = {}
        for num_streams in self.streams:
            with running(program, replace(setting, parallel=num_streams)) as server:
                for count in self.counts:
                    prompts = [prompt(PROMPT) for _ in range(num_streams)]
                    with neighbours(count):
                        speed = tokens_per_second(server.port, prompts, MAX_TOKENS, self.seconds)
                    figures[_figure(num_streams, count)] = speed
                    time.sleep(PAUSE)
        return figures


def _figure(num_streams: int, count: int) -> str:
    return f"{num_streams} stream{'s' if num_streams > 1 else ''}, {count} neighbour{'' if count == 1 else 's'}"


def main() -> int:
    options = _options()
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):  # as the tests set them; they would rule both sides
        os.environ.pop(name, None)
    options.work.mkdir(parents=True, exist_ok=True)
    for name in options.models:
        model = things.smollm2() if name == "SmolLM2" else random_llama(SMALL, options.work)
        _keep(name, _compared(Setting(model, CONTEXT), options))
    return 0


def _compared(setting: Setting, options: argparse.Namespace) -> dict[str, Any]:
    bench = Bench(tuple(options.neighbours), tuple(options.streams), options.seconds)
    us, ours = slipstream(), replace(setting, extra=NO_DRAFT)
    if options.peers:
        peer, theirs = llama_server(options.peers / "build"), setting
    else:
        peer, theirs = replace(us, name="as before", environment={**us.environment, **AS_BEFORE}), ours

    def measure_peer() -> Figures:
        return bench.measure(peer, theirs)

    same = compare((peer.name, measure_peer), (f"{peer.name} again", measure_peer), options.same)
    measured = compare((us.name, lambda: bench.measure(us, ours)), (peer.name, measure_peer), options.pairs)
    return {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "load": round(os.getloadavg()[0], 1),
        "same": same.rows() if options.same else [],
        "rows": measured.rows(),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, help="where tests/bench/peers.py has built them")
    parser.add_argument("--work", type=Path, required=True, help="a folder for models; kept")
    parser.add_argument("--models", nargs="*", choices=("SmolLM2", SMALL.name), default=("SmolLM2", SMALL.name))
    parser.add_argument("--neighbours", nargs="*", type=int, default=(0, 1, 2, 4))
    parser.add_argument("--streams", nargs="*", type=int, default=(1, 8))
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--same", type=int, default=2, help="pairs of the peer against itself")
    parser.add_argument("--seconds", type=float, default=6.0)
    return parser.parse_args()


def _keep(name: str, figures: dict[str, Any]) -> None:
    path = RESULTS / "busy.json"
    known = json.loads(path.read_text("utf-8")) if path.exists() else {}
    known[name] = figures
    path.write_text(json.dumps(known, indent=1) + "\n", "utf-8")
    (RESULTS / "busy.md").write_text(_page(known), "utf-8")


def _page(known: dict[str, Any]) -> str:
    lines = [
        "# Beside other programs",
        "",
        "    .venv/bin/python -m tests.bench.busy --peers PEERS --work WORK",
        "",
        "Tokens per second of all answers together, from the first token on, while so many other programs spin. Drafts "
        "are off. A ratio is the median over pairs (lowest to highest).",
    ]
    for model, figures in known.items():
        where = figures["machine"]
        lines += [
            "",
            f"## {model}",
            "",
            f"{figures['measured']}, {where['processor']}, {where['cores']} cores, load {figures['load']}",
            "",
        ]
        lines += _table(figures["rows"], goal=True)
        if figures["same"]:
            lines += ["", "What two equal sides differ by:", "", *_table(figures["same"], goal=False)]
    return "\n".join(lines) + "\n"


def _table(rows: list[dict[str, Any]], goal: bool) -> list[str]:
    if not rows:
        return []
    a, b = [key for key in rows[0] if key not in ("figure", "ratio", "lowest", "highest", "pairs")]
    lines = [f"| | {a} | {b} | ratio | {'wanted |' if goal else ''}", f"|---|---|---|---|{'---|' if goal else ''}"]
    for row in rows:
        spread = f"**{row['ratio']:.2f}** ({row['lowest']:.2f}-{row['highest']:.2f}, {row['pairs']} pairs)"
        wanted = f" {_wanted(row)} |" if goal else ""
        lines.append(f"| {row['figure']} | {row[a]:.1f} | {row[b]:.1f} | {spread} |{wanted}")
    return lines


def _wanted(row: dict[str, Any]) -> str:
    goal = BUSY_GOAL if row["figure"].endswith(f"{NUM_BUSY} neighbours") else IDLE_GOAL
    return f"≥ {goal:g}: {'reached' if row['ratio'] >= goal else 'missed'}"


if __name__ == "__main__":
    sys.exit(main())
