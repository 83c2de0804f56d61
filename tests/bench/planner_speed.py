"""The speed that the planner says beside the one that is measured: single tokens behind 512 others, on the CPU.

`python -m tests.bench.planner_speed [--work FOLDER] [NAME …]` writes results/planner_speed.{json,md}. Published shapes
have weights of nothing (how long a product takes does not depend on what is multiplied), SmolLM2 and Gemma 3 their own.
Each is measured in several windows, and the quietest counts; how busy the machine was stands beside it. First the
machine's rates are measured, as `slipstream plan` does it once.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from app.inference.build import build_key
from app.inference.machine_rates import MachineRates
from app.jobs.child import run_in_child
from app.planner.machine import Machine
from app.planner.model import Model
from app.planner.planner import plan
from app.planner.speed import estimate
from backends.formats.gguf import read_header
from backends.measurement import ContextWish, Rates
from backends.protocol import EngineOptions, KVLayout, KVType
from tests.bench.run import machine
from tests.planner.shapes import all_shapes
from tests.real import things

RESULTS = Path(__file__).parent / "results"
GIB = 1 << 30
DEPTH = 512
WANTED = 0.25
SHAPES = ("llama-3.2-1b", "qwen3-0.6b", "gemma-3-4b", "lfm2-1.2b", "phi-3-mini", "mamba-2.8b", "llama-2-7b")
REAL = {"SmolLM2-135M": "SmolLM2-135M-Instruct.Q4_1.gguf", "Gemma-3-270m": "gemma-3-270m-q4_k_m.gguf"}
CASES = {
    "f16, streams": EngineOptions(context=4096, parallel=1, kv_layout=KVLayout.STREAMS),
    "q8_0, streams": EngineOptions(
        context=4096, parallel=1, kv_layout=KVLayout.STREAMS, kv_type_k=KVType.Q8_0, kv_type_v=KVType.Q8_0
    ),
    "f16, one pool of 8192": EngineOptions(context=8192, parallel=4, kv_layout=KVLayout.UNIFIED),
}


@dataclass(frozen=True)
class Row:
    """Tokens a second. others: cores that other programs used in the window that counts."""

    model: str
    case: str
    estimated: float
    measured: float
    others: float

    @property
    def error(self) -> float:
        return self.estimated / self.measured - 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="slipstream-planner-speed-") as folder:
        work = arguments.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        rates = MachineRates(Path(folder) / "cache", work, lambda: None).measured(build_key())
        rows = []
        for row in measured(work, rates, arguments.names):
            speeds = f"{row.estimated:9.2f} {row.measured:9.2f} {row.error:+8.1%}"
            print(f"{row.model:18} {row.case:24} {speeds} {row.others:5.2f}", flush=True)
            rows.append(row)
    if rows and not arguments.names:
        write(rows, rates)
    errors = [abs(row.error) for row in rows]
    print(f"median {statistics.median(errors):.1%}, largest {max(errors):.1%}; rates beside {rates.others:.2f} cores")
    return 0


def measured(work: Path, rates: Rates, names: list[str]) -> Iterator[Row]:
    files = {name: things.home() / "models" / file for name, file in REAL.items()}
    shapes = {shape.name: shape for shape in all_shapes()}
    for name in (*REAL, *SHAPES):
        if names and name not in names:
            continue
        file = files[name] if name in REAL else shapes[name].write(work)
        if file.exists() and file.stat().st_size < psutil.virtual_memory().available // 2:
            yield from of_model(name, file, rates, work)
        if name in SHAPES and file.exists():
            file.unlink()  # a hole on the disk, and gigabytes in the page cache


def of_model(name: str, file: Path, rates: Rates, work: Path) -> Iterator[Row]:
    model = Model.of(read_header(file))
    here = Machine(
        1 << 50, 1 << 50, (), rates.by_type, rates.layer_seconds, attention=rates.attention if rates.is_quiet else {}
    )
    for case, options in CASES.items():
        found = plan(model, here, options)
        sizing, batch = found.sizing, found.sizing.batch
        said = estimate(model, sizing, found.spread, here, depth=DEPTH).tokens
        wish = ContextWish(
            sizing.cells, sizing.layout.num_slots, batch.is_unified, DEPTH, batch.flash_attention, batch.snapshots
        )  # fmt: skip
        seconds, others = run_in_child(
            "tests.bench.planner_child:step_seconds",
            log_path=work / "log",
            model=file,
            wished=(options, wish),
            depth=DEPTH,
            threads=rates.threads,
        )
        yield Row(name, case, said, 1 / seconds, others)


def write(rows: list[Row], rates: Rates) -> None:
    document: dict[str, Any] = {"machine": machine(), "rates": asdict(rates), "rows": [asdict(row) for row in rows]}
    (RESULTS / "planner_speed.json").write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    (RESULTS / "planner_speed.md").write_text(table(rows, rates), "utf-8")


def table(rows: list[Row], rates: Rates) -> str:
    errors = [abs(row.error) for row in rows]
    busy = [row for row in rows if row.others >= Rates.QUIET]
    quiet = "The machine was quiet." if rates.is_quiet and not busy else (
        f"**The machine was busy** (rates beside {rates.others or 0:.2f} cores of others, {len(busy)} of {len(rows)} "
        "rows): measure again before you believe it."
    )  # fmt: skip
    head = [
        "# The planner's speed",
        "",
        "Tokens a second of one answer behind 512 tokens, on the CPU: as the planner says it from the file's header "
        "and this machine's rates, and as it was measured (`python -m tests.bench.planner_speed`). Published shapes "
        "have weights of nothing; mixtures of experts are left out, since nothing chooses the same experts always.",
        "",
        quiet,
        "",
        "| error | | wanted |",
        "|---|---|---|",
        f"| median | {statistics.median(errors):.1%} | |",
        f"| largest | {max(errors):.1%} | ≤ {WANTED:.0%} |",
        "",
        "| model | KV cache | planned | measured | error | cores of others |",
        "|---|---|---|---|---|---|",
    ]
    lines = [
        f"| {row.model} | {row.case} | {row.estimated:.2f} | {row.measured:.2f} | {row.error:+.1%} | {row.others:.2f} |"
        for row in rows
    ]
    return "\n".join([*head, *lines, ""])


if __name__ == "__main__":
    raise SystemExit(main())
