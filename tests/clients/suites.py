"""Other people's own test suites, run against the port: which of their tests are left out, and why."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree.ElementTree import parse

from tests.bench.servers import Program, Server, Setting, running, slipstream

SETTINGS = "answer_any_name = true\n"  # suites name models that nobody has


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one test."""

    name: str
    is_passed: bool
    is_skipped: bool


@contextmanager
def served(setting: Setting, flags: Sequence[str] = (), installs: str | None = None) -> Iterator[Server]:
    """A port of its own that answers under any name. installs: one of our own models, by its word, before that."""
    with TemporaryDirectory(prefix="slipstream-suite-") as folder:
        home = Path(folder)
        (home / "config").mkdir()
        (home / "config" / "settings.toml").write_text(SETTINGS, "utf-8")
        if installs:
            environment = {**os.environ, "SLIPSTREAM_HOME": str(home)}
            subprocess.run([sys.executable, "-m", "app", "install", installs], env=environment, check=True)
        program = slipstream()
        command = program.command
        flagged = Program(program.name, lambda s, port: [*command(s, port), *flags], program.environment)
        with running(flagged, setting, home, pause=False) as server:
            yield server


def run_pytest(
    python: str, folder: Path, tests: Sequence[str], environment: Mapping[str, str], patience: float
) -> list[Outcome]:
    """In the suite's folder, with its own settings."""
    with TemporaryDirectory(prefix="slipstream-suite-") as work:
        report = Path(work) / "report.xml"
        command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *tests]
        subprocess.run(command, cwd=folder, env={**os.environ, **environment}, timeout=patience, check=False)
        return list(_outcomes(report))


def _outcomes(report: Path) -> Iterator[Outcome]:
    for case in parse(report).iter("testcase"):
        kinds = {child.tag for child in case}
        name = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"
        yield Outcome(name, not kinds & {"failure", "error", "skipped"}, "skipped" in kinds)


def summary(title: str, outcomes: Sequence[Outcome], left_out: Mapping[str, str]) -> tuple[int, int]:
    """How many passed, and of how many that are not left out. Prints it as a step, too, for the table of clients.

    left_out: patterns of names, and reasons.
    """
    reasons = {o.name: why for o in outcomes for pattern, why in left_out.items() if re.search(pattern, o.name)}
    counted = [o for o in outcomes if o.name not in reasons and not o.is_skipped]
    passed = [o for o in counted if o.is_passed]
    for outcome in counted:
        if not outcome.is_passed:
            print(f"FAILED {outcome.name}")
    sentence = f"{len(passed)} of {len(counted)} tests"
    if reasons:
        parts = (f"{num_tests} because {why}" for why, num_tests in Counter(reasons.values()).most_common())
        sentence += f", {len(reasons)} left out ({'; '.join(parts)})"
    print(json.dumps({"step": title, "passed": len(passed) == len(counted) > 0, "sentence": sentence}), flush=True)
    print(f"{title}: {sentence}", file=sys.stderr)
    return len(passed), len(counted)
