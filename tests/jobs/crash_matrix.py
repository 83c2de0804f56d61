"""Kills an application that installs a model, at moments of its progress or of the clock, and looks at what is left."""

import hashlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from app.library.store import ModelStore
from tests.hub.double import HubDouble
from tests.jobs.installing import REPO, all_files, checkpoint_repo

ROOT = Path(__file__).parents[2]
NAME = f"{REPO}:Q4_K_M"
MODEL = "models/org/tiny/tiny-Q4_K_M.gguf"
STEPS = ("download", "convert", "quantize", "card", "add")
# everything that an install may leave when it is done
LEFT = {MODEL, "models/org/tiny/manifest.json", "logs/convert.log", "logs/quantize.log"}
ORPHAN_SECONDS = 5.0
LIMIT = 120.0


@dataclass(frozen=True, slots=True)
class Moment:
    """`delay` seconds after the first news of a step (an index), or with `by_clock` after the start of the process."""

    step: int
    delay: float
    by_clock: bool = False


@dataclass(frozen=True, slots=True)
class Kill:
    """step: in which it happened, None when the application had finished. left: files in its folder, in words."""

    moment: Moment
    step: int | None
    left: tuple[str, ...]


def moments(pick: random.Random) -> list[Moment]:
    """One kill in each step, in their order, and one wherever the clock wants it."""
    longest = (0.5, 1.6, 1.6, 0.05, 0.02)  # seconds from a step's first news to its end, a child's start included
    by_step = [Moment(step, pick.random() * seconds) for step, seconds in enumerate(longest)]
    by_step.insert(pick.randrange(len(by_step)), Moment(0, 0.5 + 3.0 * pick.random(), by_clock=True))
    return by_step


@contextmanager
def hub(folder: Path, **changes: int) -> Iterator[HubDouble]:
    with HubDouble([checkpoint_repo(folder, **changes)]) as double:
        yield double


def undisturbed(home: Path, double: HubDouble) -> str:
    """The sha256 of the file that an install makes when nobody kills it."""
    process = _start(home, double)
    output, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, output[-2000:]
    return digest(home / MODEL)


def kill_and_finish(home: Path, double: HubDouble, plan: Sequence[Moment], wanted: str) -> list[Kill]:
    """Kills the application once for each moment, then lets it finish. Asserts that all is as if nothing had been."""
    kills = []
    for moment in plan:
        kills.append(_kill(home, double, moment))
        _check_library(home, wanted)
    process = _start(home, double)
    output, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, output[-2000:]
    assert "notice:" not in output, output
    assert digest(home / MODEL) == wanted, "another file than the undisturbed one"
    assert all_files(home) == LEFT, all_files(home) ^ LEFT
    assert list((home / "models" / ".installs").iterdir()) == []
    (entry,) = ModelStore(home / "models").models()
    assert (entry.problem, entry.sha256) == (None, wanted)
    return kills


def _kill(home: Path, double: HubDouble, moment: Moment) -> Kill:
    throttle = double.fail(on="/cdn/*", bytes_per_second=12_000_000)
    process = _start(home, double)
    try:
        if moment.by_clock:
            time.sleep(moment.delay)
        elif _follow(process, moment.step):
            time.sleep(moment.delay)
        children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.kill()
    finally:
        output, _ = process.communicate(timeout=LIMIT)
        double.faults.remove(throttle)
    _, alive = psutil.wait_procs(children, ORPHAN_SECONDS)
    assert not alive, "a child outlived its application"
    return Kill(moment, None if process.returncode == 0 else _step_on_disk(home), tuple(sorted(_unfinished(home))))


def _follow(process: subprocess.Popen[str], step: int) -> bool:
    """Reads until the step is at work; False when the application ended before."""
    assert process.stdout is not None
    for line in process.stdout:
        kind, _, rest = line.partition(" ")
        if kind == "step" and " running " in rest and int(rest.split()[0]) >= step and rest.split(maxsplit=3)[3:]:
            return True
    return False


def _step_on_disk(home: Path) -> int:
    """How many steps install.json says are done; as many as there are once the folder is gone or being deleted."""
    from app.jobs.install_record import FILE_NAME, read_record

    records = list((home / "models" / ".installs").glob(f"*/{FILE_NAME}"))
    if not records:
        return len(STEPS) if (home / MODEL).exists() else 0
    return len(read_record(records[0].parent).done)


def _unfinished(home: Path) -> set[str]:
    root = home / "models" / ".installs"
    return {path.name for path in root.rglob("*") if path.is_file()} if root.is_dir() else set()


def _check_library(home: Path, wanted: str) -> None:
    """After a kill a model of the library is the whole one, or there is none."""
    for entry in ModelStore(home / "models").models():
        assert digest(entry.path) == wanted, f"{entry.path} is not what it should be"


def _start(home: Path, double: HubDouble) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.jobs.crash_app", str(home), double.endpoint, NAME]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
