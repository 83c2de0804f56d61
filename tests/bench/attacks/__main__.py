"""Runs the attacks and keeps the counts: `python -m tests.bench.attacks [area …] [--only WORD] [--dry]`.

A run of some areas leaves the others' results as they were. The exit code is 1 when anything did not hold.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from datetime import date
from importlib import import_module
from pathlib import Path
from typing import Any

from tests.bench.attacks.case import Case

RESULTS = Path(__file__).parent.parent / "results" / "attacks.json"
FOLDER = Path(__file__).parent
LENGTH = 300  # characters of a fault


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("areas", nargs="*", help=f"all by default: {', '.join(areas())}")
    parser.add_argument("--only", default="", help="cases whose name contains this; keeps no results")
    parser.add_argument("--dry", action="store_true", help="keep no results")
    arguments = parser.parse_args(argv)
    results = {area: run(area, arguments.only) for area in arguments.areas or areas()}
    if not arguments.dry and not arguments.only:
        save(results)
    return 1 if any(result["faults"] for result in results.values()) else 0


def areas() -> list[str]:
    """The files beside this one that hold cases."""
    files = [path for path in FOLDER.glob("*.py") if not path.stem.startswith("_")]
    return sorted(path.stem for path in files if "\ndef cases(" in path.read_text("utf-8"))


def run(area: str, only: str) -> dict[str, Any]:
    began, faults, count = time.monotonic(), {}, 0
    measured: dict[str, float] = {}
    for case in import_module(f"tests.bench.attacks.{area}").cases():
        if only not in case.name:
            continue
        count += 1
        if fault := _attack(case):
            faults[case.name] = fault
            print(f"  {area}: {case.name}: {fault}", file=sys.stderr, flush=True)
        if case.seconds:
            measured[case.name] = round(max(case.seconds), 2)
            print(f"    {area}: {case.name}: {measured[case.name]:.2f} s", flush=True)
    seconds = time.monotonic() - began
    print(f"{area}: {count - len(faults)} of {count} held, {seconds:.0f} s", flush=True)
    held = count - len(faults)
    result = {"cases": count, "held": held, "faults": faults, "seconds": round(seconds, 1), "on": str(date.today())}
    return result | ({"measured": measured} if measured else {})


def _attack(case: Case) -> str | None:
    try:
        return case.attack()
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:LENGTH]


def save(results: dict[str, dict[str, Any]]) -> None:
    kept = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    kept.update(results)
    RESULTS.write_text(json.dumps(kept, indent=2, sort_keys=True, ensure_ascii=False) + "\n", "utf-8")
    lines = [
        "# Attacks",
        "",
        "`python -m tests.bench.attacks`",
        "",
        "| area | held | seconds | on |",
        "|---|---|---|---|",
    ]
    for area, row in sorted(kept.items()):
        lines.append(f"| {area} | {row['held']} of {row['cases']} | {row['seconds']:.0f} | {row['on']} |")
    for area, row in sorted(kept.items()):
        if measured := row.get("measured"):
            lines += ["", f"## {area.capitalize()}", "", *_summary(area), "", "| case | seconds |", "|---|---|"]
            lines += [f"| {name} | {seconds:.2f} |" for name, seconds in measured.items()]
    RESULTS.with_suffix(".md").write_text("\n".join([*lines, ""]), "utf-8")


def _summary(area: str) -> list[str]:
    """What its seconds are, in its own words."""
    return (import_module(f"tests.bench.attacks.{area}").__doc__ or "").strip().splitlines()


if __name__ == "__main__":
    sys.exit(main())
