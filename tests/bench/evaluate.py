"""Our evaluation beside llama-perplexity's on the same files: the same values, and the time of both.

`python -m tests.bench.evaluate --peers FOLDER [--pairs 3] [--text FILE] [--only NAME]` writes
results/evaluate.{json,md}.
"""

import argparse
import json
import re
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from app.guide import GUIDE_DIR
from app.jobs.convert import convert_checkpoint, quantize_file
from app.lab.evaluate import evaluate
from app.lab.settings import Settings
from app.lab.text import SHIPPED, read_text
from backends.measurement import Evaluation
from tests.bench import models
from tests.bench.pairs import Comparison, compare

RESULTS = Path(__file__).parent / "results"
WORK = Path(tempfile.gettempdir()) / "bench-work"
NUMBER = r"\s*:\s*(-?[0-9.]+)"
# of the reference's own pass: what the comparison calls PPL(base) is of clipped probabilities (16 below the likeliest)
BASE_LINE = r"Final estimate: PPL = ([0-9.]+)"
THEIR_LINES = {
    "perplexity": rf"Mean PPL\(Q\)\s*{NUMBER}",
    "mean KLD": rf"Mean\s+KLD{NUMBER}",
    "99 % KLD": rf"99\.0%\s+KLD{NUMBER}",
    "maximum KLD": rf"Maximum KLD{NUMBER}",
    "same top": rf"Same top p{NUMBER}",
}


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    model: Path
    against: Path
    context: int = 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, required=True, help="where tests.bench.peers has built llama-perplexity")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--text", type=Path, default=SHIPPED)
    parser.add_argument("--threads", type=int, default=psutil.cpu_count(logical=False) or 1)
    parser.add_argument("--only", help="cases whose name contains this")
    arguments = parser.parse_args()
    file = RESULTS / "evaluate.json"
    known = {row["case"]: row for row in json.loads(file.read_text("utf-8"))} if file.exists() else {}
    known |= {case.name: _measure(case, arguments) for case in _cases(arguments.only or "")}
    rows = list(known.values())
    file.write_text(json.dumps(rows, indent=2) + "\n", "utf-8")
    (RESULTS / "evaluate.md").write_text(_table(rows), "utf-8")
    print(_table(rows))


def _cases(only: str) -> list[Case]:
    """Made when they are wanted."""
    WORK.mkdir(exist_ok=True)
    makers: dict[str, Callable[[str], Case]] = {
        "guide Q4_K_M against F16": lambda name: Case(name, _guide("Q4_K_M"), _guide("F16")),
        "guide Q8_0 against F16": lambda name: Case(name, _guide("Q8_0"), _guide("F16")),
        "random 110M Q4_K_M against F16": lambda name: _random(name, models.SMALL),
        "random 0.5B Q4_K_M against F16": lambda name: _random(name, models.LARGE),
    }
    return [make(name) for name, make in makers.items() if only in name]


def _guide(type_: str) -> Path:
    target, full = WORK / f"guide-{type_}.gguf", WORK / "guide-F16.gguf"
    if not full.exists():
        convert_checkpoint(GUIDE_DIR, full, "f16", logs=WORK)
    if not target.exists():
        quantize_file(full, target, type_, logs=WORK)
    return target


def _random(name: str, shape: models.Shape) -> Case:
    return Case(name, models.random_llama(shape, WORK), WORK / f"{shape.name}-F16.gguf")


def _measure(case: Case, arguments: argparse.Namespace) -> dict[str, Any]:
    print(f"{case.name} …", flush=True)
    ours: list[Evaluation] = []
    theirs: list[dict[str, float]] = []
    with tempfile.TemporaryDirectory(dir=WORK) as name:
        folder = Path(name)
        text = folder / "text.txt"
        text.write_text(read_text(arguments.text), "utf-8")
        comparison = compare(
            ("ours", lambda: _ours(case, text, folder, arguments.threads, ours)),
            ("llama-perplexity", lambda: _theirs(case, text, folder, arguments, theirs)),
            arguments.pairs,
        )
    conditions = {"threads": arguments.threads, "pairs": arguments.pairs, "load": round(psutil.getloadavg()[0], 1)}
    return _row(case, ours[-1], theirs[-1], comparison) | conditions


def _ours(case: Case, text: Path, folder: Path, threads: int, results: list[Evaluation]) -> dict[str, float]:
    """The reference's pass and the candidate's, from nothing; and the candidate's alone, the reference known."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        settings = Settings(text=text, context=case.context, threads=threads)
        begin = time.perf_counter()
        result = evaluate(case.model, case.against, logs=WORK, cache=Path(name), settings=settings)
        both = time.perf_counter() - begin
        results.append(result)
        size = sum(file.stat().st_size for file in Path(name).rglob("*.reference"))
        begin = time.perf_counter()
        evaluate(case.model, case.against, logs=WORK, cache=Path(name), settings=settings)
    return {"both": both, "candidate": time.perf_counter() - begin, "megabytes": size / 1e6}


def _theirs(
    case: Case, text: Path, folder: Path, arguments: argparse.Namespace, results: list[dict[str, float]]
) -> dict[str, float]:
    base = folder / "base.kld"
    fixed = ["-f", str(text), "-c", str(case.context), "-t", str(arguments.threads), "--kl-divergence-base", str(base)]
    program = str(arguments.peers / "build" / "bin" / "llama-perplexity")
    begin = time.perf_counter()
    base_said = _run(program, "-m", str(case.against), *fixed)
    middle = time.perf_counter()
    said = _run(program, "-m", str(case.model), "--kl-divergence", *fixed)
    end = time.perf_counter()
    size = base.stat().st_size
    base.unlink()
    found = {name: float(_found(pattern, said)[1]) for name, pattern in THEIR_LINES.items()}
    results.append({**found, "reference perplexity": float(_found(BASE_LINE, base_said)[1])})
    return {"both": end - begin, "candidate": end - middle, "megabytes": size / 1e6}


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=True)
    return done.stdout + done.stderr


def _found(pattern: str, text: str) -> re.Match[str]:
    found = re.search(pattern, text)
    if found is None:
        raise SystemExit(f"llama-perplexity did not say {pattern}:\n{text[-2000:]}")
    return found


def _row(case: Case, ours: Evaluation, theirs: dict[str, float], times: Comparison) -> dict[str, Any]:
    assert ours.kld
    values = {
        "perplexity": ours.perplexity,
        "reference perplexity": ours.reference_perplexity,
        "mean KLD": ours.kld.mean,
        "99 % KLD": ours.kld.p99,
        "maximum KLD": ours.kld.maximum,
        "same top": 100 * ours.kld.same_top,
    }
    return {
        "case": case.name,
        "positions": ours.num_tokens,
        "values": {name: {"ours": value, "theirs": theirs[name]} for name, value in values.items()},
        "approximation": ours.kld.approximation,
        "times": times.rows(),
        "evaluation": asdict(ours),
    }


def _table(rows: list[dict[str, Any]]) -> str:
    lines = ["# Evaluation beside llama-perplexity", "", "Made by `python -m tests.bench.evaluate`.", ""]
    for row in rows:
        lines += [f"## {row['case']}, {row['positions']:,} positions", ""]
        lines += ["| value | ours | llama-perplexity | difference |", "|---|---|---|---|"]
        for name, value in row["values"].items():
            ratio = value["ours"] / value["theirs"] - 1 if value["theirs"] else 0.0
            lines.append(f"| {name} | {value['ours']:.6g} | {value['theirs']:.6g} | {ratio:+.2%} |")
        lines += [
            "",
            "| seconds (megabytes) | ours | llama-perplexity | ratio | lowest | highest |",
            "|---|---|---|---|---|---|",
        ]
        for time_ in row["times"]:
            lines.append(
                f"| {time_['figure']} | {time_['ours']:.2f} | {time_['llama-perplexity']:.2f} | {time_['ratio']:.3f} | "
                f"{time_['lowest']:.3f} | {time_['highest']:.3f} |"
            )
        times = f"{row['threads']} threads, {row['pairs']} pairs, load average {row['load']} at the end"
        lines += ["", f"Times: {times}. Worth reading only from an idle machine.", ""]
        lines += [f"What the sampled part may have changed of the mean KLD: ± {row['approximation']:.2g}.", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
