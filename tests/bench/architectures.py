"""Our converter beside transformers' logits and llama.cpp's converter, for every architecture. No speed test.

`python -m tests.bench.architectures --peers PEERS [NAME …]` writes results/architectures.{json,md}.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from app.jobs.child import run_in_child
from backends.convert.converter import convert
from tests.convert import families
from tests.convert.families import FAMILIES

RESULTS = Path(__file__).parent / "results"
VERSION = "llama_cpp_python-0.3.36"
WHY = {  # a key's name, or its start: why the two files may differ in it
    "general.": "names, licence and tags of a model card, which a temporary folder does not have",
    "tokenizer.ggml.add_": "we say what the tokenizer does; it writes the key only where a file holds it",
    "tokenizer.ggml.to": "transformers loads Gemma's tokenizer as a class of its own, which renames tokens of ours",
    "llama.context_length": "we cap the context at a window that llama.cpp's graph does not have",
    "phi3.context_length": "we cap the context at a window that llama.cpp's graph does not have",
    "deepseek2.expert_gating_func": "transformers 5 leaves out the key that it reads; without it V3 would run as V2",
    "gemma4.final_logit_softcapping": "we write the 0 of a checkpoint without it, where llama.cpp would take 30",
    "gemma3.attention.sliding_window_pattern": "we say which layers have a window where it is not five of six",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, required=True)
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    chosen = {name: f for name, f in FAMILIES.items() if not arguments.names or name in arguments.names}
    with tempfile.TemporaryDirectory(prefix="slipstream-architectures-") as folder:
        rows = measure(Path(folder), arguments.peers / VERSION / "vendor" / "llama.cpp", chosen)
    for row in rows:
        print(line(row))
    if not arguments.names:
        write(rows)
    return 0


def measure(folder: Path, sources: Path, chosen: dict[str, families.Family]) -> list[dict[str, Any]]:
    wanted = {}
    for number, (name, family) in enumerate(chosen.items()):
        wanted[name] = families.save(family, folder / str(number))
        convert(lambda _: None, folder / str(number), folder / f"{number}.ours.gguf", "f32")
    ours = [folder / f"{number}.ours.gguf" for number in range(len(chosen))]
    pairs = [str(path) for n in range(len(chosen)) for path in (folder / str(n), folder / f"{n}.theirs.gguf")]
    command = [sys.executable, "-m", "tests.bench.upstream", str(sources), "f32", *pairs]
    subprocess.run(command, check=True, capture_output=True)
    logits = run_in_child("tests.convert.native:all_logits", log_path=folder / "log", paths=ours, ids=families.ids())
    rows = []
    for number, (name, got) in enumerate(zip(chosen, logits, strict=True)):
        theirs = folder / f"{number}.theirs.gguf"
        row = {
            "architecture": name,
            "max |Δ|": float(np.abs(got - wanted[name]).max()),
            "argmax %": float((got.argmax(-1) == wanted[name].argmax(-1)).mean() * 100),
        }
        rows.append(row | (compare(ours[number], theirs) if theirs.exists() else refused(theirs)))
    return rows


def refused(theirs: Path) -> dict[str, Any]:
    fault = theirs.with_name(theirs.name + ".fault")
    return {"refused": fault.read_text(encoding="utf-8") if fault.exists() else "no file"}


def compare(ours: Path, theirs: Path) -> dict[str, Any]:
    """Every tensor by name, shape, type and bytes; every key by value."""
    a, b = gguf.GGUFReader(ours), gguf.GGUFReader(theirs)
    left, right = ({t.name: t for t in reader.tensors} for reader in (a, b))
    equal = [name for name in left if name in right and is_equal(left[name], right[name])]
    keys, other_keys = (
        {k: f.contents() for k, f in reader.fields.items() if not k.startswith("GGUF.")} for reader in (a, b)
    )
    return {
        "tensors": len(right),
        "tensors equal": len(equal),
        "tensors that differ": sorted((left.keys() | right.keys()) - set(equal)),
        "keys": len(other_keys),
        "keys equal": sum(keys.get(key) == value for key, value in other_keys.items()),
        "keys that differ": dict(differences(keys, other_keys)),
    }


def is_equal(a: Any, b: Any) -> bool:
    same_form = list(a.shape) == list(b.shape) and a.tensor_type == b.tensor_type
    return same_form and a.data.tobytes() == b.data.tobytes()


def differences(ours: dict[str, Any], theirs: dict[str, Any]) -> Iterator[tuple[str, list[str]]]:
    for key in sorted(ours.keys() | theirs.keys()):
        if ours.get(key) != theirs.get(key):
            yield key, [str(values.get(key, "absent"))[:80] for values in (ours, theirs)]


def line(row: dict[str, Any]) -> str:
    logits = f"| {row['architecture']} | {row['max |Δ|']:.1e} | {row['argmax %']:.1f} |"
    if "refused" in row:
        return f"{logits} refused: {row['refused']} | |"
    keys = [key for key in row["keys that differ"] if not key.startswith("general.")]
    tensors = ", ".join(row["tensors that differ"])
    return (
        f"{logits} {row['tensors equal']} of {row['tensors']} {tensors} "
        f"| {row['keys equal']} of {row['keys']}{': ' if keys else ''}{', '.join(f'`{key}`' for key in keys)} |"
    )


def write(rows: list[dict[str, Any]]) -> None:
    (RESULTS / "architectures.json").write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n", "utf-8")
    differing = {key for row in rows for key in row.get("keys that differ", {})}
    reasons = [f"- `{start}…`: {why}" for start, why in WHY.items() if any(key.startswith(start) for key in differing)]
    text = [
        "# Architectures",
        "",
        f"Tiny random checkpoints saved by transformers, converted by us to F32, run by llama.cpp on "
        f"{families.NUM_TOKENS} tokens: the largest difference between any two logits, and how often the likeliest "
        "token is the same. Beside it every tensor and key against llama.cpp's own converter "
        "(`python -m tests.bench.architectures`; `tests/bench/upstream.py` says what it is told of the tokenizer).",
        "",
        "| checkpoint | max \\|Δ\\| | argmax % | tensors equal | keys equal; which differ (beside `general.*`) |",
        "|---|---|---|---|---|",
        *map(line, rows),
        "",
        "Why keys differ:",
        "",
        *reasons,
        "",
        "Why tensors differ: `ssm_a` is minus an exponential, whose last bit numpy and torch round differently.",
        "",
    ]
    (RESULTS / "architectures.md").write_text("\n".join(text), "utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
