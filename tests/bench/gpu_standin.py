"""What the GPU's tests show on the device at hand, the planner beside what llama.cpp allocates there, and what experts
in RAM gain over layers in RAM.

`python -m tests.bench.gpu_standin [--work FOLDER]` writes results/gpu_standin.{json,md}. The device is the software one
of `make gpu-test`, or that of the build that LLAMA_CPP_LIB_PATH chooses.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

from app.jobs.child import run_in_child
from app.planner.machine import RAM, Gpu, Machine
from app.planner.memory import Spread, Take
from app.planner.model import Model
from app.planner.planner import Planner
from backends.formats.gguf import read_header
from backends.protocol import DraftMode, EngineOptions, Keep, KVType
from backends.with_build import LIBRARIES
from tests.bench.models import Shape as LlamaShape
from tests.bench.models import random_llama
from tests.bench.planner import _wish
from tests.bench.run import machine
from tests.gpu import stand_in, weights
from tests.real import things

RESULTS = Path(__file__).parent / "results"
ROOT = Path(__file__).parents[2]
MIB, GIB = 1 << 20, 1 << 30
CHILD = "tests.bench.gpu_child"
PLENTY = 64 * GIB
VOCABULARY = LlamaShape("words", 256, 512, 2, 4, 2, 2048, is_tied=False)
DENSE = weights.Shape(layers=6, width=1024, wide=2816, heads=16, kv_heads=4)
MIXTURE = weights.Shape(layers=6, width=768, wide=1024, heads=12, kv_heads=4, num_experts=8, num_used=2)
LARGE_MIXTURE = weights.Shape(layers=8, width=1024, wide=2048, heads=8, num_experts=16, num_used=2)  # 1.6 GiB
CARD_OF_MIXTURE = 512 * MIB
KINDS = ((KVType.F16, KVType.F16), (KVType.Q8_0, KVType.Q8_0))
NUM_PAIRS = 3
LINE = re.compile(r"^(\S+) (PASSED|FAILED|SKIPPED|ERROR)(?: \((.*)\))?", re.MULTILINE)


@dataclass(frozen=True)
class Row:
    """Bytes of one device: planned, as llama.cpp's log has them, and as much less is free there; None for RAM."""

    model: str
    case: str
    device: str
    planned: int
    logged: int
    taken: int | None

    @property
    def error(self) -> float:
        return self.planned / self.logged - 1 if self.logged else 0.0


@dataclass(frozen=True)
class Race:
    """Tokens a second, measured and as they were estimated."""

    where: str
    rates: list[float]
    estimate: float
    gpu_bytes: int

    @property
    def median(self) -> float:
        return statistics.median(self.rates)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path)
    parser.add_argument("--no-tests", action="store_true", help="leave the tests' own table as it is")
    parser.add_argument("--no-races", action="store_true", help="leave the races as they are")
    arguments = parser.parse_args()
    if LIBRARIES not in os.environ:
        os.environ.update(stand_in.environment())
    before = _known()
    with tempfile.TemporaryDirectory(prefix="slipstream-gpu-") as folder:
        work = arguments.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        os.environ[stand_in.CARD] = str(work / "card")
        like = random_llama(VOCABULARY, work, "F16")
        device = run_in_child(f"{CHILD}:device", log_path=work / "log")
        rows = [*measured(work, like)]
        races = [Race(**each) for each in before["races"]] if arguments.no_races else race(work, like)
        tests = before["tests"] if arguments.no_tests else tested()
    document = {
        "machine": machine(),
        "device": device,
        "tests": tests,
        "rows": [asdict(row) for row in rows],
        "races": [asdict(each) for each in races],
    }
    (RESULTS / "gpu_standin.json").write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    text = table(device, tests, rows, races)
    (RESULTS / "gpu_standin.md").write_text(text, "utf-8")
    print(text)
    return 0


def _known() -> dict[str, Any]:
    path = RESULTS / "gpu_standin.json"
    return json.loads(path.read_text("utf-8")) if path.exists() else {"tests": [], "races": []}


def tested() -> list[list[str]]:
    """Name, outcome, and why it was skipped, of each test on the device."""
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "tests/gpu", "-p", "no:xdist", "-vv", "-rs"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    print(done.stdout)
    return [[*found] for found in LINE.findall(done.stdout)]


def measured(work: Path, like: Path) -> Iterator[Row]:
    models = {
        "dense, random": weights.write(work / "dense.gguf", DENSE, like),
        "mixture, random": weights.write(work / "mixture.gguf", MIXTURE, like),
        "SmolLM2-135M": things.home() / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf",
    }
    for name, path in models.items():
        if path.exists():
            yield from of_model(name, path, work)


def of_model(name: str, path: Path, work: Path) -> Iterator[Row]:
    model = Model.of(read_header(path))
    on = Machine(PLENTY, PLENTY, (Gpu(_device_name(work), PLENTY, PLENTY),))
    plans = []
    for (kinds, context), (case, spread) in product(product(KINDS, (1024, 4096)), spreads(model)):
        options = EngineOptions(
            context=context, parallel=2, kv_type_k=kinds[0], kv_type_v=kinds[1], draft=DraftMode.OFF, prompt_cache_ram=0
        )
        plan = Planner(model, on, options).fitting(spread)
        plans.append((f"{case}, {context} {kinds[0]}/{kinds[1]}", plan))
    wishes = [(replace(plan.options, placement=plan.placement), _wish(plan.sizing)) for _, plan in plans]
    told = run_in_child(f"{CHILD}:load_each", log_path=work / "log", model=path, wishes=wishes)
    for (case, plan), (logged, taken) in zip(plans, told, strict=True):
        for room in plan.rooms:
            device = room.take.device
            planned = _buffers(room.take)
            found = sum(size for (name_, kind), size in logged.items() if name_ == device and kind != "output")
            if planned or found:
                yield Row(name, case, device, planned, found, None if device == RAM else taken)


def spreads(model: Model) -> Iterator[tuple[str, Spread]]:
    """All of it on the device; half of the layers; experts or feed-forward matrices of half of them in RAM."""
    layers = len(model.layers)
    yield "whole", Spread((layers + 1,))
    yield "half of the layers", Spread((layers // 2,))
    keeps = Keep.EXPERTS if model.has_experts else Keep.FEED_FORWARD
    yield f"{keeps} of half of them in RAM", Spread((layers + 1,), keeps, layers // 2)


def _buffers(take: Take) -> int:
    """Without logits and the process, which are no buffers of a device."""
    return take.weights + take.cache + take.states + take.compute


def _device_name(work: Path) -> str:
    found: dict[str, Any] = run_in_child(f"{CHILD}:device", log_path=work / "log")
    return str(found["name"])


def race(work: Path, like: Path) -> list[Race]:
    """Of a mixture that is too large for the device: as it is planned, with as many whole layers as fit, and in RAM."""
    if not stand_in.is_used():
        return []
    path = weights.write(work / "large.gguf", LARGE_MIXTURE, like)
    model, name = Model.of(read_header(path)), _device_name(work)
    options = EngineOptions(context=1024, parallel=1, draft=DraftMode.OFF, prompt_cache_ram=0)
    rates = run_in_child("backends.llama.rates:measure", log_path=work / "log")
    on = Machine(
        PLENTY, PLENTY, (Gpu(name, CARD_OF_MIXTURE, CARD_OF_MIXTURE, rates.gpu),), rates.by_type, rates.layer_seconds
    )
    planner = Planner(model, on, options)
    planned = planner.plan()
    assert planned.spread.keeps is Keep.EXPERTS
    by_layers = next(
        found
        for count in range(len(model.layers), -1, -1)
        if (found := planner.fitting(Spread((count,)))).rooms[1].is_enough
    )
    ways = {
        f"experts of {planned.spread.kept} of {len(model.layers)} layers in RAM (as planned)": planned,
        f"{len(model.layers) + 1 - by_layers.spread.gpu_layers} of {len(model.layers) + 1} layers in RAM": by_layers,
        "all of it in RAM": planner.fitting(Spread((0,))),
    }
    os.environ[stand_in.CARD_BYTES] = str(CARD_OF_MIXTURE)
    measured_rates: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(NUM_PAIRS):
        for way, plan in ways.items():
            wish = (replace(plan.options, placement=plan.placement), _wish(plan.sizing))
            measured_rates[way].append(
                run_in_child(f"{CHILD}:tokens_per_second", log_path=work / "log", model=path, wished=wish)
            )
    del os.environ[stand_in.CARD_BYTES]
    return [Race(way, measured_rates[way], plan.speed.tokens, plan.rooms[1].take.total) for way, plan in ways.items()]


def table(device: dict[str, Any], tests: list[list[str]], rows: list[Row], races: list[Race]) -> str:
    lines = [
        "# The GPU's path on a stand-in",
        "",
        f"{device['name']} ({device['description']}), {device['total'] / GIB:.1f} GiB, {device['driver']}. Written by "
        "`python -m tests.bench.gpu_standin`. The software device computes on the processor: no speed of it says "
        "anything of a GPU's.",
        "",
        "## Tests (`make gpu-test`)",
        "",
        *_outcomes(tests),
        "",
        "## Planner beside llama.cpp's own log",
        "",
        "Weights, KV cache and compute buffers of each device, planned from the header, beside what llama.cpp logs "
        "when it really loads the model there; for the device also how much less of it is free afterwards.",
        "",
        "| model | device | rows | median error | largest | furthest below | free memory gone, over logged |",
        "|---|---|---|---|---|---|---|",
        *(_line(model, device, rows) for model, device in dict.fromkeys((row.model, row.device) for row in rows)),
        "",
        f"All {len(rows)} rows: median {statistics.median(abs(row.error) for row in rows):.3%}, largest "
        f"{max(abs(row.error) for row in rows):.2%}, furthest below {min(row.error for row in rows):+.2%} "
        "(wanted: ≤ 2 %, ≤ 6 %, not under −3 %).",
        "",
    ]
    if races:
        lines += [
            "## A mixture of experts that is too large for the device",
            "",
            f"{LARGE_MIXTURE.layers} layers of {LARGE_MIXTURE.num_experts} experts, of which a token uses "
            f"{LARGE_MIXTURE.num_used}; F16, random weights; a device of {CARD_OF_MIXTURE // MIB} MiB. One answer, "
            f"{NUM_PAIRS} rounds in turn. Estimated by the rates measured here for processor and device.",
            "",
            "| where | on the device | tokens/s, median | all rounds | estimated |",
            "|---|---|---|---|---|",
            *map(_race, races),
            "",
        ]
    return "\n".join(lines)


def _outcomes(tests: list[list[str]]) -> Iterator[str]:
    counts = {
        outcome: sum(test[1] == outcome for test in tests) for outcome in ("PASSED", "FAILED", "ERROR", "SKIPPED")
    }
    if not tests:
        yield "Not run by this command yet."
        return
    yield ", ".join(f"{count} {outcome.lower()}" for outcome, count in counts.items() if count or outcome == "PASSED")
    yield ""
    for name, outcome, why in tests:
        yield f"- {outcome.lower()}: `{name.partition('::')[2]}`{f', because {why}' if why else ''}"


def _line(model: str, device: str, rows: list[Row]) -> str:
    own = [row for row in rows if (row.model, row.device) == (model, device)]
    errors = [row.error for row in own]
    gone = [row.taken / row.logged for row in own if row.taken and row.logged]
    seen = f"{min(gone):.3f} to {max(gone):.3f}" if gone else ""
    return (
        f"| {model} | {device} | {len(own)} | {statistics.median(map(abs, errors)):.3%} | {max(map(abs, errors)):.2%} "
        f"| {min(errors):+.2%} | {seen} |"
    )


def _race(each: Race) -> str:
    rounds = ", ".join(f"{rate:.2f}" for rate in each.rates)
    return f"| {each.where} | {each.gpu_bytes / MIB:.0f} MiB | {each.median:.2f} | {rounds} | {each.estimate:.2f} |"


if __name__ == "__main__":
    raise SystemExit(main())
