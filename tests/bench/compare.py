"""The table of peers: `python -m tests.bench.compare --build PEERS [GROUP …]`.

Each group is measured side by side in one run and kept in results/peers.json; results/peers.md is drawn from all of
them. `tests/bench/peers.py` builds the peers. Groups: see GROUPS below. A machine that is to measure must be idle.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench import cases
from tests.bench.models import GROWTH, LARGE, SHORT, SMALL, guide, guide_draft, random_llama, tokenizer
from tests.bench.overhead import engine_time
from tests.bench.pairs import Comparison, Measure, compare
from tests.bench.quality import kv_cache
from tests.bench.run import machine
from tests.bench.servers import Program, Setting, llama_cpp_server, llama_server, slipstream
from tests.bench.table import PAIR_KEYS, write_table
from tests.bench.workloads import WORKLOADS
from tests.real import things

RESULTS = Path(__file__).parent / "results"
CONTEXT = 4608  # 4,096 tokens of prompt, and room
NO_DRAFT = ("--draft", "off", "--prompt-cache-disk", "0")
Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Bench:
    """Where things lie, and how many pairs."""

    work: Path
    peers: Path
    pairs: int

    @property
    def small(self) -> Setting:
        return Setting(random_llama(SMALL, self.work), CONTEXT)

    @property
    def llama_server(self) -> Program:
        return llama_server(self.peers / "build")

    def against(
        self, case: cases.Case, ours: Setting, theirs: Setting, program: Program | None = None, pairs: int | None = None
    ) -> Rows:
        peer = program or self.llama_server
        us = slipstream()
        return _rows(
            compare(
                (us.name, lambda: case(us, replace(ours, extra=(*NO_DRAFT, *ours.extra)))),
                (peer.name, lambda: case(peer, theirs)),
                pairs or self.pairs,
            )
        )


def same(bench: Bench) -> Rows:
    """A/A: the peer against itself."""
    peer, setting = bench.llama_server, bench.small

    def measure() -> dict[str, float]:
        return {**cases.decode_and_prefill(peer, setting), **cases.eight_streams(peer, setting)}

    return _rows(compare(("llama-server", measure), ("llama-server again", measure), bench.pairs))


def one_stream(bench: Bench) -> Rows:
    return bench.against(cases.decode_and_prefill, bench.small, bench.small)


def one_stream_flash(bench: Bench) -> Rows:
    """Flash attention on both sides: the same kernels."""
    setting = replace(bench.small, flash="on")
    return bench.against(cases.decode_and_prefill, setting, setting)


def one_stream_large(bench: Bench) -> Rows:
    setting = Setting(random_llama(LARGE, bench.work), CONTEXT)
    return bench.against(cases.decode_and_prefill, setting, setting, pairs=2)


def one_stream_short(bench: Bench) -> Rows:
    """A vocabulary of 8,192: less of a step is the output layer, more of it what every layer costs."""
    setting = Setting(random_llama(SHORT, bench.work), CONTEXT)
    return bench.against(cases.decode_and_prefill, setting, setting)


def streams_short(bench: Bench) -> Rows:
    setting = Setting(random_llama(SHORT, bench.work), 512)
    return bench.against(cases.eight_streams, setting, setting)


def deep(bench: Bench) -> Rows:
    return bench.against(cases.deep_decode, bench.small, bench.small)


def streams(bench: Bench) -> Rows:
    setting = replace(bench.small, context=1024)
    return bench.against(cases.eight_streams, setting, setting)


def streams_serial(bench: Bench) -> Rows:
    spell = tokenizer(bench.work).decode
    setting = replace(bench.small, context=1024)
    peer = llama_cpp_server(bench.peers / "venv" / "bin" / "python")
    return bench.against(cases.eight_texts(spell), setting, setting, peer, 3)


def cold(bench: Bench) -> Rows:
    return bench.against(cases.cold_clients, bench.small, bench.small, pairs=2)


def warm(bench: Bench) -> Rows:
    setting = Setting(things.smollm2(), CONTEXT)
    return bench.against(cases.warm_prompts, setting, setting, pairs=min(2, bench.pairs))


def stall(bench: Bench) -> Rows:
    return bench.against(cases.prompt_beside_streams(4096), bench.small, bench.small, pairs=2)


def stall_short(bench: Bench) -> Rows:
    """3k, with the small vocabulary."""
    setting = Setting(random_llama(SHORT, bench.work), CONTEXT)
    return bench.against(cases.prompt_beside_streams(3072), setting, setting, pairs=2)


def newcomers(bench: Bench) -> Rows:
    return bench.against(cases.prompts_beside_prompts, bench.small, bench.small, pairs=2)


def restart(bench: Bench) -> Rows:
    setting = replace(bench.small, extra=("--draft", "off"))
    runs = [cases.restart(slipstream(), setting) for _ in range(bench.pairs)]
    return [_own("after a restart", "from disk ms", "cold ms", [(r["from disk ms"], r["cold ms"]) for r in runs])]


def drafting(bench: Bench) -> Rows:
    """The guide, nine times as deep, against itself without guesses."""
    model, draft = guide(bench.work, growth=GROWTH), guide_draft(bench.work)
    rows = []
    for workload in WORKLOADS:
        case = cases.drafting(workload)
        plain = Setting(model, 2048, extra=("--draft", "off"))
        for name, setting in {
            "lookup": Setting(model, 2048, extra=("--draft", "lookup")),
            "lookup and draft model": Setting(model, 2048, draft_model=draft),
        }.items():
            drafted, off = (slipstream(name), setting), (slipstream("without"), plain)
            measured = compare(
                (name, _measure(case, *drafted)), ("without guesses", _measure(case, *off)), min(2, bench.pairs)
            )
            rows += _rows(measured)
    return rows


SWEEP: dict[str, tuple[str, ...]] = {
    "no draft": (),
    "draft 6": ("--spec-draft-n-max", "6"),
    "draft 12": ("--spec-draft-n-max", "12"),
    "ngram-simple": ("--spec-type", "ngram-simple", "--spec-ngram-simple-size-n", "4"),
}


def drafting_peer(bench: Bench) -> Rows:
    """The same chats on llama-server: with its defaults and the draft model, then with the best of a sweep by hand."""
    model, draft = guide(bench.work, growth=GROWTH), guide_draft(bench.work)
    ours = Setting(model, 2048, draft_model=draft)
    rows = []
    for workload in WORKLOADS:
        case = cases.drafting(workload)
        swept = {}
        for name, extra in SWEEP.items():
            with_draft = draft if name.startswith("draft") else None
            setting = Setting(model, 2048, draft_model=with_draft, extra=extra)
            swept[name] = (next(iter(case(bench.llama_server, setting).values())), setting)
        best = max(swept, key=lambda name: swept[name][0])
        settings = {
            "defaults": ("its defaults", Setting(model, 2048, draft_model=draft)),
            "by hand": (best, swept[best][1]),
        }
        for kind, (name, setting) in settings.items():
            us, peer = (slipstream(), ours), (llama_server(bench.peers / "build", f"llama-server, {name}"), setting)
            (row,) = _rows(compare(("slipstream", _measure(case, *us)), (peer[0].name, _measure(case, *peer)), 2))
            rows.append({**row, "figure": f"{workload}, {kind}"})
    return [*(_suite(rows, kind) for kind in ("defaults", "by hand")), *rows]


def overhead(bench: Bench) -> Rows:
    return [engine_time(bench.small.model, num_streams) for num_streams in (1, 8)]


def kv(bench: Bench) -> Rows:
    rows = kv_cache(guide(bench.work, type="F16"))
    for name, base in (("f16 with flash attention", "on"), ("f16, its default", "auto")):
        case, us = cases.deep_decode, slipstream()
        quantized = replace(bench.small, kv_type="q8_0", extra=NO_DRAFT)
        plain = replace(bench.small, flash=base, extra=NO_DRAFT)
        rows += _rows(compare(("q8_0", _measure(case, us, quantized)), (name, _measure(case, us, plain)), 2))
    return rows


GROUPS: dict[str, Callable[[Bench], Rows]] = {
    "same": same,
    "one-stream": one_stream,
    "one-stream-flash": one_stream_flash,
    "one-stream-short": one_stream_short,
    "one-stream-0.5b": one_stream_large,
    "deep": deep,
    "streams": streams,
    "streams-short": streams_short,
    "streams-serial": streams_serial,
    "cold-clients": cold,
    "warm": warm,
    "stall": stall,
    "stall-short": stall_short,
    "newcomers": newcomers,
    "restart": restart,
    "drafting": drafting,
    "drafting-peer": drafting_peer,
    "overhead": overhead,
    "kv": kv,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("groups", nargs="*", choices=[*GROUPS, []], help="all, if none is named")
    parser.add_argument("--peers", type=Path, required=True, help="where tests/bench/peers.py has built them")
    parser.add_argument("--work", type=Path, required=True, help="a folder for models; kept")
    parser.add_argument("--pairs", type=int, default=3)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    bench = Bench(options.work, options.peers, options.pairs)
    for name in options.groups or GROUPS:
        begin = datetime.now(UTC)
        rows = GROUPS[name](bench)
        _keep(name, {"measured": begin.isoformat(timespec="seconds"), "machine": machine(), "rows": rows})
        for row in rows:
            sys.stdout.write(f"{name}: {json.dumps(row)}\n")
        sys.stdout.flush()
    return 0


def _measure(case: cases.Case, program: Program, setting: Setting) -> Measure:
    return lambda: case(program, setting)


def _rows(comparison: Comparison) -> Rows:
    return comparison.rows()


def _own(name: str, a: str, b: str, pairs: list[tuple[float, float]]) -> dict[str, Any]:
    ratios = [x / y for x, y in pairs]
    return {
        "figure": name,
        a: statistics.median(x for x, _ in pairs),
        b: statistics.median(y for _, y in pairs),
        "ratio": statistics.median(ratios),
        "lowest": min(ratios),
        "highest": max(ratios),
        "pairs": len(pairs),
    }


def _suite(rows: Rows, kind: str) -> dict[str, Any]:
    """The geometric mean over all workloads."""
    of_kind = [row for row in rows if row["figure"].endswith(f", {kind}")]
    speeds: dict[str, list[float]] = {"slipstream": [], "llama-server": []}
    for row in of_kind:
        ours, theirs = (value for key, value in row.items() if key not in (*PAIR_KEYS, "figure"))
        speeds["slipstream"].append(ours)
        speeds["llama-server"].append(theirs)
    return {
        "figure": f"suite, {kind}",
        **{name: statistics.geometric_mean(values) for name, values in speeds.items()},
        **{key: statistics.geometric_mean(row[key] for row in of_kind) for key in ("ratio", "lowest", "highest")},
        "pairs": min(row["pairs"] for row in of_kind),
    }


def _keep(name: str, figures: dict[str, Any]) -> None:
    path = RESULTS / "peers.json"
    known = json.loads(path.read_text("utf-8")) if path.exists() else {}
    known[name] = figures
    path.write_text(json.dumps({group: known[group] for group in GROUPS if group in known}, indent=1) + "\n", "utf-8")
    write_table(known, RESULTS / "peers.md")


if __name__ == "__main__":
    sys.exit(main())
