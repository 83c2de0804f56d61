"""Our converter beside llama.cpp's own on real vocabularies with hardly any weights: what the tokenizer costs.

`python -m tests.bench.convert_vocabularies [--pairs 5] [--names qwen3 llama3_1] [--work WORK]` writes
results/convert_vocabularies.{json,md}. Ours is the child that the application starts and the second one that tries the
new file out, text by text; llama.cpp's converter is the script as it is, which tries nothing. A machine that is to
measure must be idle; the CPU seconds are the steadier figure where it is not.
"""

import argparse
import json
import os
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from tests.bench.convert import UNITS, ours, run_theirs
from tests.bench.pairs import compare
from tests.bench.run import machine
from tests.real import things, vocabulary_checkpoints

RESULTS = Path(__file__).parent / "results"
TYPE = "bf16"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--names", nargs="*", default=["qwen3", "llama3_1"], choices=things.TOKENIZERS)
    parser.add_argument("--work", type=Path)
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    before = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="slipstream-vocabularies-", dir=arguments.work) as folder:
        for name in arguments.names:
            checkpoint = vocabulary_checkpoints.write(name, Path(folder) / name / name)
            rows += measure(checkpoint, arguments.pairs)
    figures = {"machine": machine(), "load": [before, os.getloadavg()[0]], "rows": rows}
    (RESULTS / "convert_vocabularies.json").write_text(
        json.dumps(figures, indent=1, ensure_ascii=False) + "\n", "utf-8"
    )
    (RESULTS / "convert_vocabularies.md").write_text(table(figures), "utf-8")
    print(table(figures))
    return 0


def measure(checkpoint: Path, num_pairs: int) -> list[dict[str, Any]]:
    mine, other = partial(ours, checkpoint, TYPE), partial(theirs, checkpoint)
    mine(), other()  # what the system reads from the disk the first time is nobody's
    comparisons = [
        compare(("ours", mine), ("ours again", mine), num_pairs),
        compare(("ours", mine), ("llama.cpp", other), num_pairs),
    ]
    return [{"case": checkpoint.name, "beside": c.b, **row} for c in comparisons for row in c.rows()]


def theirs(checkpoint: Path) -> dict[str, float]:
    target = checkpoint.with_name("model.gguf")
    script = things.sdist() / "convert_hf_to_gguf.py"
    inner = [sys.executable, str(script), str(checkpoint), "--outfile", str(target), "--outtype", TYPE]
    return run_theirs(inner, target)


def table(figures: dict[str, Any]) -> str:
    lines = [
        "# Convert: real vocabularies",
        "",
        "Checkpoints of one layer and 64 dimensions with published tokenizers. Medians over pairs taken in turn; a "
        "ratio below 1 is less time or memory for us. Ours includes the trial of the new file: some 900 texts compared "
        "with the original tokenizer and a forward pass. “ours again” shows what equal is.",
        "",
        "| vocabulary | beside | figure | ours | other | ratio | lowest | highest | pairs |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in figures["rows"]:
        values = (row["ours"], row[row["beside"]], row["ratio"], row["lowest"], row["highest"])
        shown = " | ".join(f"{value:.2f}" for value in values)
        lines.append(f"| {row['case']} | {row['beside']} | {UNITS[row['figure']]} | {shown} | {row['pairs']} |")
    load = figures["load"]
    return "\n".join([*lines, "", f"Load of the machine, before and at the end: {load[0]:.1f} and {load[1]:.1f}.", ""])


if __name__ == "__main__":
    raise SystemExit(main())
