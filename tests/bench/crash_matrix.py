"""Kills an installing application at 50 and more moments: `python -m tests.bench.crash_matrix [--kills 60] [--seed 1]`.

Each kill is a SIGKILL of the application alone, as the system would do it; its children end by themselves. After
the last kill of a round the application finishes, and its home must hold the bytes of an undisturbed one, nothing else.
"""

import argparse
import json
import random
import sys
import tempfile
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.jobs.crash_matrix import STEPS, Kill, Usual, hub, kill_and_finish, moments, undisturbed

RESULTS = Path(__file__).parent / "results"
SIZE = {"num_hidden_layers": 8, "intermediate_size": 1024}  # some 40 MB
MAX_ROUNDS = 100


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    pick = random.Random(arguments.seed)
    rounds: list[list[Kill]] = []
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        with hub(work / "checkpoint", **SIZE) as double:
            usual = undisturbed(work / "undisturbed", double)
            while sum(map(len, rounds)) < arguments.kills and len(rounds) < MAX_ROUNDS:
                rounds.append(kill_and_finish(work / f"round {len(rounds)}", double, moments(pick), usual))
                print(f"round {len(rounds)}: {[WHERE[kill.num_done] for kill in rounds[-1]]}", file=sys.stderr)
    RESULTS.mkdir(exist_ok=True)
    report = {"seed": arguments.seed, "usual": asdict(usual), "rounds": [[asdict(kill) for kill in r] for r in rounds]}
    (RESULTS / "crash_matrix.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    (RESULTS / "crash_matrix.md").write_text(describe(report, usual, rounds), encoding="utf-8")
    return 0


WHERE = (*(f"in {step}" for step in STEPS), "after the last step")


def describe(report: dict[str, Any], usual: Usual, rounds: list[list[Kill]]) -> str:
    kills = [kill for each in rounds for kill in each]
    hit = Counter(WHERE[kill.num_done] for kill in kills)
    lines = [
        "# Crash matrix of Install",
        "",
        f"`python -m tests.bench.crash_matrix --kills {len(kills)} --seed {report['seed']}`",
        "",
        "A checkpoint of some 40 MB is installed as Q4_K_M from the double of the Hub, by a process that is killed",
        f"(SIGKILL) {len(kills)} times in {len(rounds)} rounds, at random moments of its steps and of the clock, and",
        "started anew each time. After every kill no child outlives the application, and a model in the library is",
        f"the whole one or none. At the end of every round the file's sha256 is `{usual.sha256[:16]}…`, that of an",
        "undisturbed install; the library lists exactly it; no other file lies anywhere in the home.",
        "",
        "| killed | times |",
        "|---|---|",
        *(f"| {name} | {hit[name]} |" for name in WHERE if hit[name]),
        f"| **in all** | **{len(kills)}** |",
        "",
        "All rounds ended as they should.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
