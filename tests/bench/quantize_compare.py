"""What `python -m tests.bench.quantize` does, in a module that no child imports again with its main one."""

import argparse
import filecmp
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from app.errors import ConversionError
from app.jobs.convert import make_imatrix, plan_quantization, quantize_file
from backends.formats.quantizations import QUANTIZATIONS
from backends.llama.quantization.importance_reader import read_importance
from tests.bench.models import sources
from tests.bench.quantize_speed import speed
from tests.bench.quantize_table import draw
from tests.convert.sources import write_experts, write_llama, write_odd

RESULTS = Path(__file__).parent / "results"
OVERRIDES = ((r"attn_v\.weight$", "Q8_0"), ("blk.0.ffn_down", "F16"), ("ffn_(gate|up)", "IQ4_NL"))
RULED = ("Q4_K_M", "Q2_K", "IQ3_S", "Q8_0")  # types that the rules for tensors are tried with
MODELS = {"llama": write_llama, "odd": write_odd, "experts": write_experts}
VARIANTS = ("plain", "imatrix", "rules")
CHUNK = 256  # tokens; the context of the tiny models
TEXT_BYTES = 60_000


def main(description: str | None) -> int:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, required=True, help="folder with build/bin")
    parser.add_argument("--work", type=Path, help="a folder that is kept (a new one)")
    parser.add_argument("--types", nargs="*", default=list(QUANTIZATIONS))
    parser.add_argument("--models", nargs="*", default=list(MODELS), choices=MODELS)
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS), choices=VARIANTS)
    parser.add_argument("--speed", action="store_true", help="measure the time instead")
    parser.add_argument("--megabytes", type=int, default=1000, help="of the model that is timed")
    parser.add_argument("--pairs", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = arguments.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        tools = arguments.peers / "build" / "bin"
        if arguments.speed:
            found = {"speed": speed(tools, work, arguments.megabytes, arguments.pairs)}
        else:
            found = {"matrices": [], "files": []}
            for model in arguments.models:
                source = MODELS[model](work)
                matrix, row = compare_matrices(tools, work, source)
                found["matrices"].append(row)
                found["files"] += compare_files(tools, work, source, matrix, arguments.types, arguments.variants)
    path = RESULTS / "quantize.json"
    report = _merged(json.loads(path.read_text("utf-8")) if path.exists() else {}, found)
    path.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    (RESULTS / "quantize.md").write_text(draw(report), "utf-8")
    return 0 if all(row["is equal"] for row in report.get("files", ())) else 1


def compare_matrices(tools: Path, work: Path, source: Path) -> tuple[Path, dict[str, Any]]:
    """The peer's matrix, and how far ours is from it. One thread each, the same chunks of the same text."""
    text = work / "text.txt"
    text.write_bytes(sources()[0].encode()[:TEXT_BYTES])
    peers, ours = work / f"{source.stem}.imatrix.gguf", work / f"{source.stem}.ours.imatrix.gguf"
    options = ["-c", CHUNK, "-b", CHUNK, "-t", 1, "--no-ppl"]
    begin = time.perf_counter()
    _run(tools / "llama-imatrix", "-m", source.name, "-f", text.name, "-o", peers.name, *options, cwd=source.parent)
    peer_seconds = time.perf_counter() - begin
    result = make_imatrix(source, ours, text, threads=1, logs=work)
    a, b = read_importance(ours), read_importance(peers)
    assert list(a.values) == list(b.values), "other tensors"
    furthest = max(float(np.max(np.abs(a.values[n] / b.values[n] - 1))) for n in a.values)
    row = {
        "model": source.stem,
        "tensors": len(a.values),
        "chunks": result.num_chunks,
        "same layout": peers.stat().st_size == ours.stat().st_size and a.num_chunks == b.num_chunks,
        "furthest": furthest,
        "seconds": result.seconds,
        "seconds of llama-imatrix": peer_seconds,
    }
    print(json.dumps(row), flush=True)
    return peers, row


def compare_files(
    tools: Path, work: Path, source: Path, matrix: Path, types: list[str], variants: list[str]
) -> list[dict[str, Any]]:
    rows = []
    for type_ in types:
        for variant in variants:
            if variant == "rules" and type_ not in RULED:
                continue
            row = {"model": source.stem, "type": type_, "with": variant} | _compare(
                tools,
                work,
                source,
                type_,
                matrix if variant == "imatrix" else None,
                OVERRIDES if variant == "rules" else (),
            )
            rows.append(row)
            print(json.dumps(row), file=sys.stdout if row["is equal"] else sys.stderr, flush=True)
    return rows


def _compare(
    tools: Path, work: Path, source: Path, type_: str, matrix: Path | None, overrides: tuple[tuple[str, str], ...]
) -> dict[str, Any]:
    ours, peers = work / "ours.gguf", work / "peers.gguf"
    rules = [word for pattern, to in overrides for word in ("--tensor-type", f"{pattern}={to}")]
    with_matrix = ["--imatrix", matrix.name] if matrix else []
    threads = os.cpu_count() or 1
    begin = time.perf_counter()
    is_written = _run(
        tools / "llama-quantize", *with_matrix, *rules, source.name, peers, type_, threads, cwd=source.parent
    )
    peer_seconds = time.perf_counter() - begin
    try:
        plan = plan_quantization(source, type_, imatrix=matrix, overrides=overrides, logs=work)
        result = quantize_file(source, ours, type_, imatrix=matrix, overrides=overrides, logs=work)
    except ConversionError as refusal:
        return {"is equal": not is_written, "refused": str(refusal)}
    return {
        "is equal": is_written and filecmp.cmp(ours, peers, shallow=False),
        "bytes": result.bytes,
        "predicted": plan.bytes - result.bytes,
        "bits per weight": plan.bits_per_weight,
        "fallbacks": len(plan.fallbacks),
        "seconds": result.seconds,
        "seconds of llama-quantize": peer_seconds,
    }


def _merged(report: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    """New rows replace those of the same file, so that types can be tried in pieces."""
    rows = {(row["model"], row["type"], row["with"]): row for row in report.get("files", ())}
    rows |= {(row["model"], row["type"], row["with"]): row for row in found.get("files", ())}
    order = list(QUANTIZATIONS)
    files = sorted(rows.values(), key=lambda row: (row["model"], order.index(row["type"]), row["with"]))
    matrices = {row["model"]: row for row in (*report.get("matrices", ()), *found.get("matrices", ()))}
    return report | found | {"files": files, "matrices": list(matrices.values())}


def _run(*words: object, cwd: Path) -> bool:
    """Whether it ended well. File names are relative: they are written into the files."""
    done = subprocess.run([str(word) for word in words], cwd=cwd, capture_output=True, check=False)
    return done.returncode == 0
