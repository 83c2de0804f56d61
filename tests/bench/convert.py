"""Our converter beside llama.cpp's own, on a checkpoint of about a gigabyte in several shards.

`python -m tests.bench.convert --peers PEERS [--megabytes 1000] [--pairs 4] [--work WORK]` writes
results/convert.{json,md}. Ours is the child that the application starts, its last fsync included; llama.cpp's
writes without one. Both read what the system has cached. A machine that is to measure must be idle.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from tests.bench.pairs import Comparison, Figures, compare
from tests.bench.run import machine
from tests.convert import checkpoints

RESULTS = Path(__file__).parent / "results"
VERSION = "llama_cpp_python-0.3.36"
HIDDEN, WIDE, NUM_SHARDS = 2048, 5632, 4
LAYER_BYTES = 2 * (4 * HIDDEN * HIDDEN + 3 * HIDDEN * WIDE)
CASES = (("BF16", "bf16"), ("BF16", "f16"), ("F16", "f16"), ("F32", "bf16"))
# measured inside of a process of its own, so that the child's peak is not that of an earlier one
OURS = """
import json, resource, sys, time
from pathlib import Path
from app.jobs.convert import convert_checkpoint
from tests.bench.memory import OwnMemory
if __name__ == "__main__":
    source, target, type_ = sys.argv[1:]
    start = time.perf_counter()
    with OwnMemory() as own:
        convert_checkpoint(Path(source), Path(target), type_, logs=Path(target).parent)
    seconds = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu, peak = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak": peak, "own": own.peak}))
"""
THEIRS = """
import json, resource, subprocess, time
from tests.bench.memory import OwnMemory
start = time.perf_counter()
with OwnMemory() as own:
    subprocess.run({inner!r}, check=True)
seconds = time.perf_counter() - start
used = resource.getrusage(resource.RUSAGE_CHILDREN)
cpu, peak = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
print(json.dumps({{"seconds": seconds, "cpu": cpu, "peak": peak, "own": own.peak}}))
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, required=True)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--work", type=Path)
    arguments = parser.parse_args()
    sources = arguments.peers / VERSION / "vendor" / "llama.cpp"
    rows = []
    with tempfile.TemporaryDirectory(prefix="slipstream-convert-", dir=arguments.work) as folder:
        for number, (stored, wanted) in enumerate(CASES):
            checkpoint = Path(folder) / stored
            if not checkpoint.exists():
                write_checkpoint(checkpoint, arguments.megabytes, stored)
            rows += measure(checkpoint, sources, stored, wanted, arguments.pairs, with_noise=number == 0)
    figures = {"machine": machine(), "megabytes": arguments.megabytes, "rows": rows}
    print(table(figures))
    if arguments.megabytes >= 1000:
        (RESULTS / "convert.json").write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", "utf-8")
        (RESULTS / "convert.md").write_text(table(figures), "utf-8")
    return 0


def write_checkpoint(folder: Path, megabytes: int, stored: str) -> None:
    """A Llama of as many layers as fit, its weights one random block over and over."""
    import torch
    from safetensors.torch import save_file

    dtype = {"BF16": torch.bfloat16, "F16": torch.float16, "F32": torch.float32}[stored]
    size = 2 if stored == "F32" else 1
    num_layers = max(1, round(megabytes * 1e6 / LAYER_BYTES / size))
    settings = checkpoints.config(
        hidden_size=HIDDEN, intermediate_size=WIDE, num_hidden_layers=num_layers, num_attention_heads=16,
        num_key_value_heads=16, max_position_embeddings=4096, tie_word_embeddings=True,
    )  # fmt: skip
    tiny = {**settings, "num_hidden_layers": 1}
    block = {name: torch.from_numpy(value).to(dtype) for name, value in checkpoints.weights(tiny).items()}
    folder.mkdir(parents=True)
    weight_map: dict[str, str] = {}
    for shard in range(NUM_SHARDS):
        file = f"model-{shard + 1:05}-of-{NUM_SHARDS:05}.safetensors"
        tensors = {n: t for n, t in block.items() if ".layers." not in n} if shard == 0 else {}
        for layer in range(shard, num_layers, NUM_SHARDS):
            tensors |= {n.replace(".0.", f".{layer}."): t.clone() for n, t in block.items() if ".layers." in n}
        save_file(tensors, folder / file)
        weight_map |= dict.fromkeys(tensors, file)
    checkpoints.write_json(folder / "model.safetensors.index.json", {"weight_map": weight_map})
    checkpoints.write_json(folder / "config.json", settings)
    checkpoints.write_tokenizer(folder)


def measure(
    checkpoint: Path, sources: Path, stored: str, wanted: str, num_pairs: int, with_noise: bool
) -> list[dict[str, Any]]:
    mine = partial(ours, checkpoint, wanted)
    comparisons: list[Comparison] = []
    if with_noise:
        comparisons.append(compare(("ours", mine), ("ours again", mine), num_pairs))
    comparisons.append(compare(("ours", mine), ("llama.cpp", partial(theirs, checkpoint, sources, wanted)), num_pairs))
    return [
        {"case": f"{stored} to {wanted.upper()}", "beside": comparison.b, **row}
        for comparison in comparisons
        for row in comparison.rows()
    ]


def ours(checkpoint: Path, wanted: str) -> Figures:
    script = checkpoint.with_name("ours.py")  # a file, since a child that is spawned imports it
    script.write_text(OURS, encoding="utf-8")
    target = _fresh(checkpoint.with_name("model.gguf"))
    command = [sys.executable, str(script), str(checkpoint), str(target), wanted]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
    figures: Figures = json.loads(done.stdout)
    return figures


def theirs(checkpoint: Path, sources: Path, wanted: str) -> Figures:
    target = checkpoint.with_name("model.gguf")
    inner = [sys.executable, "-m", "tests.bench.upstream", str(sources), wanted, str(checkpoint), str(target)]
    return run_theirs(inner, target)


def run_theirs(inner: list[str], target: Path) -> Figures:
    """Two processes of the same kind, so that the peak is that of one converter."""
    _fresh(target)
    script = THEIRS.format(inner=inner)
    done = subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    if not target.exists():
        raise RuntimeError(f"llama.cpp's converter wrote no {target}")
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def _fresh(target: Path) -> Path:
    target.unlink(missing_ok=True)
    os.sync()  # what the last run left to be written is not this one's work
    return target


def table(figures: dict[str, Any]) -> str:
    lines = [
        "# Convert",
        "",
        f"A random Llama checkpoint of {figures['megabytes']} MB in {NUM_SHARDS} shards. Medians over pairs taken in "
        "turn; a ratio below 1 is less time or memory for us. The pages of a mapped file, which the system drops when "
        "it needs room, count in the peak and not in the own memory: ours maps the new file whole to try it out.",
        "",
        "| case | beside | figure | ours | other | ratio | lowest | highest | pairs |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in figures["rows"]:
        values = (row["ours"], row[row["beside"]], row["ratio"], row["lowest"], row["highest"])
        lines.append(
            f"| {row['case']} | {row['beside']} | {UNITS[row['figure']]} | "
            f"{' | '.join(f'{value:.2f}' for value in values)} | {row['pairs']} |"
        )
    return "\n".join(lines) + "\n"


UNITS = {"seconds": "wall seconds", "cpu": "CPU seconds", "peak": "peak memory, MiB", "own": "own memory, MiB"}


if __name__ == "__main__":
    raise SystemExit(main())
