"""The engine beside llama-server, all of it in one run: `python -m tests.bench.engine_table --peers PEERS --work WORK`.

SmolLM2, one pair of each unless `--pairs` says more, and a pair of llama-server and itself, which shows what equal is.
About 20 minutes on two cores, on a machine that does nothing else; `--parts` takes some of them, and the others stay as
they were measured before. Writes results/engine_table.{json,md}. The cold start is a bench of its own (`cold_start`).
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from backends.protocol import SamplingParams
from tests.bench import busy, cases, footprint
from tests.bench.models import SMALL, random_llama
from tests.bench.overhead import engine_time
from tests.bench.pairs import Measure, compare
from tests.bench.run import machine
from tests.bench.servers import Program, Setting, llama_server, slipstream
from tests.real import things

RESULTS = Path(__file__).parent / "results"
CONTEXT = 4608  # 4,096 tokens of prompt, and room
SECONDS = 6.0  # of one figure beside busy programs
PEER, AGAIN = "llama-server", "llama-server again"
Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Bench:
    work: Path
    build: Path
    pairs: int

    @property
    def setting(self) -> Setting:
        return Setting(things.smollm2(), CONTEXT)

    @property
    def peer(self) -> Program:
        return llama_server(self.build)

    def rows(self, ours: Measure, theirs: Measure) -> Rows:
        """Of the pairs, each with the spread of two equal sides."""
        equal = {row["figure"]: row["ratio"] for row in compare((PEER, theirs), (AGAIN, theirs), 1).rows()}
        rows = compare(("slipstream", ours), (PEER, theirs), self.pairs).rows()
        return [{**row, "equal": equal[row["figure"]]} for row in rows]

    def case(self, case: cases.Case) -> Rows:
        us, them, setting = slipstream(), self.peer, self.setting
        ours = replace(setting, extra=busy.NO_DRAFT)
        return self.rows(lambda: case(us, ours), lambda: case(them, setting))


def neighbours(bench: Bench, counts: tuple[int, ...]) -> Rows:
    """Answers while so many other programs spin."""
    measured = busy.Bench(counts, (1, 8), SECONDS)
    setting = replace(bench.setting, context=busy.CONTEXT)
    us, ours = slipstream(), replace(setting, extra=busy.NO_DRAFT)
    return bench.rows(lambda: measured.measure(us, ours), lambda: measured.measure(bench.peer, setting))


def between(_bench: Bench) -> Rows:
    """The engine's own time; nothing to compare with."""
    rows = []
    for num_streams in (1, 8):
        for sampling in (None, SamplingParams(seed=1)):
            found = engine_time(things.smollm2(), num_streams, sampling)
            kind = "sampled" if sampling else "greedy"
            for part in ("p50", "p99"):
                rows.append({"figure": f"{found['figure']}, {kind}, {part}", "slipstream": found[part]})
    return rows


def memory(bench: Bench) -> Rows:
    rows: Rows = []
    defaults = footprint.Defaults(bench.build)
    models = {"SmolLM2": things.smollm2(), SMALL.name: random_llama(SMALL, bench.work), "Gemma 3": things.gemma()}
    for name, model in models.items():
        setting = Setting(model, footprint.CONTEXT)
        ours, theirs = (partial(footprint.measure, program, setting) for program in (defaults.ours, defaults.theirs))
        for row in compare(("slipstream", ours), (PEER, theirs), bench.pairs).rows():
            rows.append({**row, "figure": f"{name}, {row['figure']}"})
    return rows


PARTS: dict[str, Callable[[Bench], Rows]] = {
    "idle": partial(neighbours, counts=(0,)),
    "busy": partial(neighbours, counts=(1, 2, 4)),
    "between": between,
    "prefill": lambda bench: bench.case(cases.decode_and_prefill),
    "warm": lambda bench: bench.case(cases.warm_prompts),
    "newcomer": lambda bench: bench.case(cases.prompt_beside_streams(4096)),
    "memory": memory,
}


@dataclass(frozen=True, slots=True)
class Goal:
    """Of the figures whose names end so."""

    part: str
    ending: str
    wanted: float
    at_most: bool = False
    key: str = "ratio"

    def holds(self, row: dict[str, Any]) -> bool:
        value: float = row[self.key]
        return value <= self.wanted if self.at_most else value >= self.wanted

    def __str__(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {self.wanted:g}"


GOALS = (
    Goal("idle", "0 neighbours", 0.98),
    Goal("busy", "2 neighbours", 8.0),
    Goal("busy", "", 0.98),
    Goal("between", "1 stream, greedy, p50", 80, True, "slipstream"),
    Goal("between", "1 stream, greedy, p99", 250, True, "slipstream"),
    Goal("between", "8 streams, greedy, p50", 25, True, "slipstream"),
    Goal("prefill", "tok/s", 0.98),
    Goal("warm", "warm ms", 1.05, True),
    Goal("warm", "A-B-A ms", 1.05, True),
    Goal("newcomer", "newcomer's first token ms", 1.25, True),
    Goal("newcomer", "worst stall ms", 0.25, True),
    Goal("memory", "after the first answer", footprint.FIRST_GOAL, True),
    Goal("memory", "after a chat of 6k", footprint.LONG_GOAL, True),
)


def page(known: dict[str, Any]) -> str:
    lines = ["# The engine beside llama-server", ""]
    lines += ["    .venv/bin/python -m tests.bench.engine_table --peers PEERS --work WORK", ""]
    lines += ["SmolLM2 where no other model is named. A ratio is ours over theirs, the median over pairs (lowest to"]
    lines += ["highest); “equal” is llama-server over itself, in the same run. Drafts are off."]
    for part, measured in known.items():
        where = measured["machine"]
        about = f"{measured['measured']}, {where['processor']}, {where['cores']} cores, {measured['seconds']:.0f} s"
        lines += ["", f"## {part}", "", about, "", "| | slipstream | llama-server | ratio | equal | wanted |"]
        lines += ["|---|---|---|---|---|---|", *(_line(part, row) for row in measured["rows"])]
    return "\n".join(lines) + "\n"


def _line(part: str, row: dict[str, Any]) -> str:
    ratio = f"**{row['ratio']:.2f}** ({row['lowest']:.2f}-{row['highest']:.2f})" if "ratio" in row else ""
    peer = f"{row[PEER]:,.4g}" if PEER in row else ""
    equal = f"{row['equal']:.2f}" if "equal" in row else ""
    goal = next((goal for goal in GOALS if goal.part == part and row["figure"].endswith(goal.ending)), None)
    verdict = f"{goal}: {'reached' if goal.holds(row) else 'missed'}" if goal else ""
    return f"| {row['figure']} | {row['slipstream']:,.4g} | {peer} | {ratio} | {equal} | {verdict} |"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, required=True, help="where tests/bench/peers.py has built them")
    parser.add_argument("--work", type=Path, required=True, help="a folder for models; kept")
    parser.add_argument("--pairs", type=int, default=1)
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=tuple(PARTS))
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    bench = Bench(options.work, options.peers / "build", options.pairs)
    path = RESULTS / "engine_table.json"
    known = json.loads(path.read_text("utf-8")) if path.exists() else {}
    for part in options.parts:
        begin, measured = time.monotonic(), datetime.now(UTC).isoformat(timespec="seconds")
        rows = PARTS[part](bench)
        seconds = time.monotonic() - begin
        known[part] = {"measured": measured, "machine": machine(), "seconds": seconds, "rows": rows}
        path.write_text(json.dumps({p: known[p] for p in PARTS if p in known}, indent=1) + "\n", "utf-8")
        text = page({p: known[p] for p in PARTS if p in known})
        (RESULTS / "engine_table.md").write_text(text, "utf-8")
        sys.stdout.write(f"{part}, {seconds:.0f} s: {json.dumps(rows)}\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
