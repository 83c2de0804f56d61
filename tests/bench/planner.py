"""The planner beside what llama.cpp says that it allocates, and Ollama's formula beside both.

`python -m tests.bench.planner [--work FOLDER] [NAME …]` writes results/planner.{json,md}. Published shapes without
weights (tests/planner/shapes.py) are asked of llama.cpp with `no_alloc`; SmolLM2 and Gemma 3, where `make real` has
brought them, are loaded.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from time import process_time
from typing import Any

from app.jobs.child import run_in_child
from app.planner.machine import Gpu, Machine
from app.planner.memory import Spread, Sums
from app.planner.model import Model
from app.planner.planner import plan
from app.planner.sizing import Sizing, size
from backends.formats.gguf import read_header
from backends.measurement import Buffers, ContextWish
from backends.protocol import DraftMode, EngineOptions, FlashAttention, KVLayout, KVType
from tests.bench.run import machine
from tests.planner.shapes import all_shapes
from tests.real import things

RESULTS = Path(__file__).parent / "results"
GIB, MIB = 1 << 30, 1 << 20
NOBODY = Machine(1 << 50, 1 << 50)
CONTEXTS = (4096, 32_768)
KINDS = ((KVType.F16, KVType.F16), (KVType.Q8_0, KVType.Q8_0), (KVType.Q8_0, KVType.Q4_0))
PARALLEL = (1, 4)
ROWS = (128, 512)
DRAFTS = (("llama-3.3-70b", "llama-3.2-1b"), ("qwen2.5-7b", "qwen3-0.6b"), ("gemma-3-27b", "gemma-3-4b"))


@dataclass(frozen=True)
class Row:
    """Bytes as they were planned, as llama.cpp has them, and as Ollama's formula has them."""

    shape: str
    case: str
    planned: int
    logged: int
    ollama: int
    weights: int  # in all three

    @property
    def error(self) -> float:
        return self.planned / self.logged - 1

    @property
    def ollama_error(self) -> float:
        return self.ollama / self.logged - 1

    @property
    def error_beside_weights(self) -> float:
        """Of what the context takes: the weights are the file's, and no art."""
        return (self.planned - self.weights) / (self.logged - self.weights) - 1

    @property
    def ollama_error_beside_weights(self) -> float:
        return (self.ollama - self.weights) / (self.logged - self.weights) - 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="slipstream-planner-") as folder:
        work = arguments.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        rows = [*measured(work, arguments.names)]
        times = plan_times(work)
    for row in rows:
        print(f"{row.shape:18} {row.case:44} {row.error:+8.2%} {row.ollama_error:+8.2%}")
    if not arguments.names:
        write(rows, times)
    return 0


def measured(work: Path, names: list[str]) -> Iterator[Row]:
    for shape in all_shapes():
        if not names or shape.name in names:
            yield from kept(work / f"{shape.name}.json", partial(of_shape, shape.name, shape.write(work), work))
    for target, draft in DRAFTS:
        if not names:
            yield drafting(target, draft, work)
    if not names:
        yield from of_real(work)


def kept(file: Path, measure: Callable[[], Iterator[Row]]) -> list[Row]:
    """What an earlier run has measured in the same folder is not measured again."""
    if not file.exists():
        file.write_text(json.dumps([asdict(row) for row in measure()]), "utf-8")
    return [Row(**row) for row in json.loads(file.read_text("utf-8"))]


def cases(model: Model) -> Iterator[tuple[str, EngineOptions, int | None]]:
    """Context, type, answers side by side and micro-batch; and each of the other choices once."""
    trained = model.context or CONTEXTS[-1]
    for context, kinds, parallel, rows in product(CONTEXTS, KINDS, PARALLEL, ROWS):
        if kinds != KINDS[0] and rows == ROWS[0]:
            continue
        yield from _case(min(context, trained), kinds, parallel, rows, KVLayout.STREAMS)
    yield from _case(min(8192, trained), KINDS[0], 4, 512, KVLayout.UNIFIED)
    yield from _case(min(8192, trained), KINDS[0], 16, 512, KVLayout.STREAMS)
    yield from _case(min(8192, trained), KINDS[0], 4, 512, KVLayout.STREAMS, FlashAttention.OFF)


def _case(
    context: int, kinds: tuple[KVType, KVType], parallel: int, rows: int, layout: KVLayout,
    flash: FlashAttention = FlashAttention.ON,
) -> Iterator[tuple[str, EngineOptions, int | None]]:  # fmt: skip
    options = EngineOptions(
        context=context,
        parallel=parallel,
        kv_type_k=kinds[0],
        kv_type_v=kinds[1],
        kv_layout=layout,
        flash_attention=flash,
        draft=DraftMode.AUTO,
    )
    name = f"{context} {kinds[0]}/{kinds[1]} parallel {parallel} rows {rows}"
    name += " one pool" if layout is KVLayout.UNIFIED else ""
    yield name + (" no flash" if flash is FlashAttention.OFF else ""), options, rows


def of_shape(name: str, path: Path, work: Path) -> Iterator[Row]:
    model = Model.of(read_header(path))
    found = [(case, options, size(model, options, 0, on_gpu=False, rows=rows)) for case, options, rows in cases(model)]
    weights, logged = run_in_child(
        "tests.bench.planner_child:measure",
        log_path=work / "log",
        model=path,
        wishes=[(options, _wish(sizing)) for _, options, sizing in found],
    )
    for (case, _, sizing), buffers in zip(found, logged, strict=True):
        if isinstance(buffers, str):
            print(f"{name} {case}: {buffers}")
            continue
        yield Row(
            name,
            case,
            _planned(model, sizing) - _doubled(model),
            weights + _context_bytes(buffers),
            weights + ollama(model, sizing),
            weights,
        )


def of_real(work: Path) -> Iterator[Row]:
    for name, file_name in (
        ("SmolLM2-135M", "SmolLM2-135M-Instruct.Q4_1.gguf"),
        ("Gemma-3-270m", "gemma-3-270m-q4_k_m.gguf"),
    ):
        file = things.home() / "models" / file_name
        if not file.exists():
            continue
        model = Model.of(read_header(file))
        for context, kinds in product((4096, 8192), (KINDS[0], KINDS[1])):
            for case, options, rows in _case(context, kinds, 4, 512, KVLayout.STREAMS):
                sizing = size(model, options, 0, on_gpu=False, rows=rows)
                weights, buffers = run_in_child(
                    "tests.bench.planner_child:load",
                    log_path=work / "log",
                    model=file,
                    wished=(options, _wish(sizing)),
                )
                logged = weights + _context_bytes(buffers)
                yield Row(
                    f"{name} (loaded)", case, _planned(model, sizing), logged, weights + ollama(model, sizing), weights
                )


def drafting(target: str, draft: str, work: Path) -> Row:
    """Both together, each with a context of its own."""
    paths = {shape.name: shape.write(work) for shape in all_shapes() if shape.name in (target, draft)}
    models = {name: Model.of(read_header(path)) for name, path in paths.items()}
    options = EngineOptions(context=8192, parallel=4, kv_layout=KVLayout.STREAMS, draft_model=Path("draft.gguf"))
    found = plan(models[target], NOBODY, options, models[draft])
    plain = replace(options, kv_type_k=KVType.F16, kv_type_v=KVType.F16)
    sizings = (found.sizing, size(models[draft], plain, 0, on_gpu=False, like=found.layout))
    weights, logged, by_ollama = 0, 0, 0
    for name, sizing in zip((target, draft), sizings, strict=True):
        model_bytes, (buffers,) = run_in_child(
            "tests.bench.planner_child:measure",
            log_path=work / "log",
            model=paths[name],
            wishes=[(plain, _wish(sizing))],
        )
        weights += model_bytes
        logged += model_bytes + _context_bytes(buffers)
        by_ollama += model_bytes + ollama(models[name], sizing)
    take = found.rooms[0].take
    extra = take.other + sizings[1].output_bytes(models[draft]) + _doubled(models[target]) + _doubled(models[draft])
    extra -= sum(_first_logits(models[name], each) for name, each in zip((target, draft), sizings, strict=True))
    return Row(
        f"{target} + {draft}", "8192 f16/f16 parallel 4 rows 512", take.total - extra, logged, by_ollama, weights
    )


def _wish(sizing: Sizing) -> ContextWish:
    batch = sizing.batch
    return ContextWish(
        sizing.cells, sizing.layout.num_slots, batch.is_unified, batch.tokens, batch.flash_attention, batch.snapshots
    )  # fmt: skip


def _planned(model: Model, sizing: Sizing) -> int:
    """With logits for one row of each sequence: more are allocated when a step wants them."""
    (take,) = Sums(model, sizing, NOBODY).takes(Spread())
    return take.total - take.other + _first_logits(model, sizing)


def _first_logits(model: Model, sizing: Sizing) -> int:
    return model.num_vocabulary * 4 * sizing.batch.slots


def _doubled(model: Model) -> int:
    """What `no_alloc` does not tell of: weights that the CPU lays out anew beside those that it looks up."""
    return model.tied_bytes if model.is_tied_and_packed else 0


def _context_bytes(buffers: Buffers) -> int:
    return sum(buffers.compute.values()) + buffers.cache + buffers.states + buffers.output


def ollama(model: Model, sizing: Sizing) -> int:
    """PredictServerVRAM without the file: 2 x layers x fewest key heads x (width / heads) x context x 2 bytes."""
    heads = max((layer.heads for layer in model.layers), default=0) or 1
    kv_heads = min((layer.kv_heads for layer in model.layers if layer.kv_heads), default=0)
    return 2 * len(model.layers) * kv_heads * (model.width // heads) * sizing.cells * 2


def plan_times(work: Path) -> dict[str, float]:
    """Milliseconds of a whole plan of each shape, nothing known before: on no GPU, on one, on two."""
    machines = (
        Machine(64 * GIB, 64 * GIB),
        Machine(64 * GIB, 64 * GIB, (Gpu("CUDA0", 8 * GIB, 8 * GIB),)),
        Machine(48 * GIB, 48 * GIB, (Gpu("CUDA0", 12 * GIB, 12 * GIB), Gpu("CUDA1", 24 * GIB, 24 * GIB))),
    )
    times = []
    for shape, each in product(all_shapes(), machines):
        header = read_header(shape.write(work))
        seconds = []
        for _ in range(3):
            model = Model.of(header)
            begin = process_time()
            plan(model, each, EngineOptions())
            seconds.append(process_time() - begin)
        times.append(1000 * min(seconds))
    return {"median": statistics.median(times), "most": max(times), "plans": len(times)}


def write(rows: list[Row], times: dict[str, float]) -> None:
    document: dict[str, Any] = {"machine": machine(), "rows": [asdict(row) for row in rows], "plan ms": times}
    (RESULTS / "planner.json").write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    (RESULTS / "planner.md").write_text(table(rows, times), "utf-8")


def table(rows: list[Row], times: dict[str, float]) -> str:
    errors, by_ollama = [abs(row.error) for row in rows], [abs(row.ollama_error) for row in rows]
    beside = [abs(row.error_beside_weights) for row in rows]
    ollama_beside = [abs(row.ollama_error_beside_weights) for row in rows]
    lowest = min(row.error for row in rows)
    ratio = statistics.mean(errors) / statistics.mean(by_ollama)
    names = list(dict.fromkeys(row.shape for row in rows))
    head = [
        "# Planner",
        "",
        "What a model takes as it was planned from its header, beside what llama.cpp says that it allocates: weights, "
        "KV cache, recurrent states, compute buffers and logits (`python -m tests.bench.planner`). Published shapes "
        "without weights are asked with `no_alloc`; those marked “loaded” were loaded. Ollama's formula (file size + "
        "2 × layers × fewest key heads × width / heads × cells × 2 bytes) is given the same cells. All on the CPU; "
        "offload in part has not been measured yet.",
        "",
        f"{len(rows)} rows of {len(names)} models, contexts of {CONTEXTS[0]:,} to {CONTEXTS[-1]:,}, keys and values "
        "f16, q8_0 and q8_0/q4_0, 1 to 16 answers side by side, micro-batches of 128 and 512, streams and one pool, "
        "with and without flash attention, with drafts.",
        "",
        "| error of all bytes | planner | Ollama's formula | wanted |",
        "|---|---|---|---|",
        f"| median | {statistics.median(errors):.3%} | {statistics.median(by_ollama):.2%} | ≤ 2 % |",
        f"| largest | {max(errors):.2%} | {max(by_ollama):.1%} | ≤ 6 % |",
        f"| furthest below | {lowest:+.2%} | {min(row.ollama_error for row in rows):+.1%} | not under −3 % |",
        f"| mean, over Ollama's | {ratio:.4f} | 1 | ≤ 0.25 |",
        f"| median beside the weights | {statistics.median(beside):.3%} | {statistics.median(ollama_beside):.1%} | |",
        f"| largest beside the weights | {max(beside):.2%} | {max(ollama_beside):.0%} | |",
        "",
        f"A plan takes {times['median']:.1f} ms in the median and {times['most']:.1f} ms at most ({times['plans']:.0f} "
        "plans: each shape on no GPU, one and two; wanted: 20 ms).",
        "",
        "| model | rows | median | largest | furthest below | largest beside the weights | Ollama's formula, median |",
        "|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *(_line(name, [row for row in rows if row.shape == name]) for name in names), ""])


def _line(name: str, rows: list[Row]) -> str:
    errors = [row.error for row in rows]
    beside = max(abs(row.error_beside_weights) for row in rows)
    return (
        f"| {name} | {len(rows)} | {statistics.median(map(abs, errors)):.3%} | {max(map(abs, errors)):.2%} "
        f"| {min(errors):+.2%} | {beside:.2%} | {statistics.median(abs(row.ollama_error) for row in rows):.1%} |"
    )


if __name__ == "__main__":
    raise SystemExit(main())
