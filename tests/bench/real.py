"""`make real`: the tests on real models, tokenizers and templates, the long ones, and a table of what was run.

Writes tests/bench/results/real.md; the exit code is pytest's.
"""

import platform
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from datetime import date
from pathlib import Path

from llama_cpp import __version__ as version

ROOT = Path(__file__).parents[2]
TABLE = Path(__file__).parent / "results" / "real.md"
KINDS = ("failure", "error", "skipped")
CHOICE = ("-m", "real", "tests")  # the others of tests/real, on SmolLM2, belong to `make test`
PYTEST = (sys.executable, "-m", "pytest", "-n", "3", "--dist", "loadfile", *CHOICE)


def main(arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        code = subprocess.run([*PYTEST, f"--junitxml={report}", *arguments], cwd=ROOT, check=False).returncode
        if report.exists() and not arguments:
            TABLE.write_text(_table(report))
            print(TABLE.relative_to(ROOT))
    return code


def _table(report: Path) -> str:
    modules: dict[str, Counter[str]] = {}
    seconds: Counter[str] = Counter()
    for case in ElementTree.parse(report).iter("testcase"):
        module = case.get("classname", "").removesuffix(".").replace(".", "/") + ".py"
        outcome = next((kind for kind in KINDS if case.find(kind) is not None), "passed")
        modules.setdefault(module, Counter())[outcome] += 1
        seconds[module] += float(case.get("time", 0))  # type: ignore[assignment]
    rows = [_row(module, each, seconds[module]) for module, each in sorted(modules.items())]
    head = (
        "# Tests on real things",
        "",
        f"`make real`, {date.today():%Y-%m-%d}, {platform.machine()}, Python {platform.python_version()}, "
        f"llama-cpp-python {version}.",
        "SmolLM2-135M-Instruct, Gemma 3 270M, MiniLM, seven real tokenizers, 70 templates, 19 vocabularies.",
        "",
        "| tests | passed | failed | skipped | seconds |",
        "|---|---|---|---|---|",
    )
    return "\n".join((*head, *rows, ""))


def _row(module: str, outcomes: Counter[str], seconds: float) -> str:
    failed = outcomes["failure"] + outcomes["error"]
    return f"| {module} | {outcomes['passed']} | {failed} | {outcomes['skipped']} | {seconds:.0f} |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
