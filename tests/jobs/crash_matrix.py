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
from itertools import pairwise
from pathlib import Path

import psutil

from app.library.store import ModelStore
from tests.hub.double import HubDouble
from tests.jobs.installing import REPO, all_files, checkpoint_repo
from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]
NAME = f"{REPO}:Q4_K_M"
MODEL = "models/org/tiny/tiny-Q4_K_M.gguf"
STEPS = ("download", "convert", "quantize", "card", "add")
# everything that an install may leave when it is done
LOGS = {"logs/convert.log", "logs/quantize.log", "logs/verify.log"}
LEFT = {MODEL, "models/org/tiny/manifest.json"} | LOGS
BYTES_PER_SECOND = 12_000_000
LIMIT = 400.0


@dataclass(frozen=True, slots=True)
class Moment:
    """part: how much of the step's usual time passes after its first news; of the whole install's, without a step."""

    step: int | None
    part: float


@dataclass(frozen=True, slots=True)
class Usual:
    """An install that nobody disturbs. seconds: from each step's first news to the next one's."""

    sha256: str
    seconds: tuple[float, ...]
    start_seconds: float

    def in_half_the_time(self) -> "Usual":
        """For who was measured on a machine that was slower than it is now."""
        return Usual(self.sha256, tuple(each / 2 for each in self.seconds), self.start_seconds / 2)


@dataclass(frozen=True, slots=True)
class Kill:
    """num_done: steps that install.json calls done. left: files in the install's folder."""

    moment: Moment
    num_done: int
    left: tuple[str, ...]


def moments(pick: random.Random) -> list[Moment]:
    """One wherever the clock wants it, mostly early, and one kill in each step in their order."""
    by_step = [Moment(step, pick.random()) for step in range(len(STEPS))]
    return [Moment(None, pick.random() ** 2), *by_step]


@contextmanager
def hub(folder: Path, **changes: int) -> Iterator[HubDouble]:
    with HubDouble([checkpoint_repo(folder, **changes)]) as double:
        yield double


def undisturbed(home: Path, double: HubDouble) -> Usual:
    times = [time.monotonic()]
    with _slow(double), _started(home, double) as process:
        for step in range(len(STEPS)):
            assert _follow(process, step) is not None, f"no news of {STEPS[step]}"
            times.append(time.monotonic())
        process.communicate(timeout=LIMIT)
        times.append(time.monotonic())
    assert process.returncode == 0
    gaps = [after - before for before, after in pairwise(times)]
    return Usual(digest(home / MODEL), tuple(gaps[1:]), gaps[0])


def kill_and_finish(home: Path, double: HubDouble, plan: Sequence[Moment], usual: Usual) -> list[Kill]:
    """Kills the application once for each moment, then lets it finish. Asserts that all is as if nothing had been.

    When a kill comes too late there is nothing left to be killed: the rest of the plan is left out.
    """
    kills = []
    for moment in plan:
        kill = _kill(home, double, moment, usual)
        _check_library(home, usual.sha256)
        if kill is None:
            break
        kills.append(kill)
    with _started(home, double) as process:
        output, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, output[-2000:]
    assert "notice:" not in output, output
    assert digest(home / MODEL) == usual.sha256, "another file than the undisturbed one"
    assert all_files(home) == LEFT, all_files(home) ^ LEFT
    assert list((home / "models" / ".installs").iterdir()) == []
    (entry,) = ModelStore(home / "models").models()
    assert (entry.problem, entry.sha256) == (None, usual.sha256)
    return kills


def _kill(home: Path, double: HubDouble, moment: Moment, usual: Usual) -> Kill | None:
    """None when the application had finished before."""
    with _slow(double), _started(home, double) as process:
        if moment.step is None:
            time.sleep(usual.start_seconds + moment.part * sum(usual.seconds))
        elif (at_work := _follow(process, moment.step)) is not None:
            time.sleep(moment.part * usual.seconds[at_work])
        children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.kill()
        process.communicate(timeout=LIMIT)
    _, alive = psutil.wait_procs(children, PATIENCE)
    assert not alive, "a child outlived its application"
    if process.returncode == 0:
        return None
    return Kill(moment, _step_on_disk(home), tuple(sorted(_unfinished(home))))


def _follow(process: subprocess.Popen[str], step: int) -> int | None:
    """Reads until the step or a later one is at work, and says which; None when the application ended before."""
    assert process.stdout is not None
    for line in process.stdout:
        kind, _, rest = line.partition(" ")
        if kind == "step" and " running " in rest and int(rest.split()[0]) >= step and rest.split(maxsplit=3)[3:]:
            return int(rest.split()[0])
    return None


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


@contextmanager
def _started(home: Path, double: HubDouble) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.jobs.crash_app", str(home), double.endpoint, NAME]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def _slow(double: HubDouble) -> Iterator[None]:
    """A line on which a download takes long enough to be hit."""
    throttle = double.fail(on="/cdn/*", bytes_per_second=BYTES_PER_SECOND)
    try:
        yield
    finally:
        double.faults.remove(throttle)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
