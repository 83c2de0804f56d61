"""Puts a bug into a copy of the code, and runs tests there: they must notice it.

A test module that uses this has its fixtures: `suite` is its own, `sound` and `runs` are these.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIMIT = 300  # a bug may let a test wait for its own limit
PYTEST_INI = "[pytest]\npythonpath = .\naddopts = -q --import-mode=importlib\ntimeout = 60\nmarkers = real\n"

Run = subprocess.CompletedProcess[str]
Runs = dict[str, "Future[Run]"]
Bugs = Mapping[str, tuple[str, str, str]]  # by name: file in backends, what stands there, the bug


@dataclass(frozen=True)
class Suite:
    """Some bugs, and the tests that must notice each."""

    bugs: Bugs
    parts: tuple[str, ...]  # folders that are copied
    tests: tuple[str, ...]  # as pytest takes them
    variables: Mapping[str, str] = field(default_factory=dict)

    def copy(self, folder: Path) -> Path:
        """With what has been compiled of it, and without the tests of broken code, which would never end."""
        for part in self.parts:
            shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("test_mutants*"))
        (folder / "pytest.ini").write_text(PYTEST_INI)
        return folder

    def run(self, folder: Path) -> Run:
        # the other plugins take longer to import than most bugs to be found
        command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", "-p", "pytest_timeout", *self.tests]
        environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **self.variables}
        return subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, timeout=LIMIT, check=False
        )

    def run_with(self, bug: str, sound: Path, folder: Path) -> Run:
        name, right, wrong = self.bugs[bug]
        shutil.copytree(sound, folder, dirs_exist_ok=True)
        source = folder / "backends" / name
        text = source.read_text("utf-8")
        assert right in text, "the code has changed: bring this mutant up to date"
        source.write_text(text.replace(right, wrong, 1), "utf-8")
        return self.run(folder)


@pytest.fixture(scope="module", name="sound")
def sound_fixture(tmp_path_factory: pytest.TempPathFactory, suite: Suite) -> Path:
    """A copy without a bug."""
    return suite.copy(tmp_path_factory.mktemp("sound"))


@pytest.fixture(scope="module", name="runs")
def runs_fixture(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, suite: Suite, sound: Path
) -> Runs:
    """Of its bugs that this session asks for: one on each core."""
    parameters = [getattr(item, "callspec", None) for item in request.session.items]
    wanted = {spec.params["bug"] for spec in parameters if spec and "bug" in spec.params} & set(suite.bugs)
    folders = {bug: tmp_path_factory.mktemp("mutant") for bug in sorted(wanted)}
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # all have ended behind it: no thread stays for the tests to see
        return {bug: pool.submit(suite.run_with, bug, sound, folder) for bug, folder in folders.items()}


def sample(bugs: Bugs, one_in: int) -> list[object]:
    """All of them; by default one in so many is tried, all in `make real`: each takes three to twenty seconds."""
    return [bug if at % one_in == 0 else pytest.param(bug, marks=pytest.mark.real) for at, bug in enumerate(bugs)]
