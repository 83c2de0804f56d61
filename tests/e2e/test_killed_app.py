"""The application killed at random moments: it always comes back, with its chats, and leaves no process behind."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.inference.conftest import is_alive
from tests.patience import until

ROOT = Path(__file__).parents[2]
LOOK_EVERY = 2
LIMIT = 400.0

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows has no SIGKILL")


@pytest.mark.parametrize("num_kills", [2, pytest.param(20, marks=pytest.mark.real)])  # `make real` takes its time
def test_killed_at_random_moments_it_comes_back_with_its_chats(num_kills: int, tmp_path: Path) -> None:
    home, pick, num_chats = tmp_path / "home", random.Random(num_kills), 0
    for moment in range(num_kills):
        engine = _kill_while_busy(home, pick.random() * 0.6)
        _assert_gone(engine, moment)
        if moment % LOOK_EVERY != LOOK_EVERY - 1:
            continue
        seen = _look(home)
        assert not seen["notices"], seen["notices"]
        questions = [turn for turn in seen["turns"] if turn["role"] == "user"]
        assert len(questions) >= num_chats + LOOK_EVERY, "a chat is lost"
        num_chats = len(questions)
        for turn in seen["turns"]:
            assert turn["role"] == "user" or _sentences().startswith(turn["text"])


def _kill_while_busy(home: Path, seconds: float) -> int:
    """Start the window, wait until it answers, kill it a moment later; the pid of the engine it had."""
    with subprocess.Popen(_command(home), env=_environment(), cwd=ROOT, stdout=subprocess.PIPE, text=True) as window:
        assert window.stdout is not None
        engine = int(window.stdout.readline())
        time.sleep(seconds)
        window.kill()
    return engine


def _assert_gone(engine: int, moment: int) -> None:
    until(lambda: not is_alive(engine), f"the engine's end (moment {moment})")


def _look(home: Path) -> dict[str, Any]:
    done = subprocess.run(
        [*_command(home), "--look"],
        env=_environment(),
        cwd=ROOT,
        timeout=LIMIT,
        capture_output=True,
        text=True,
        check=True,
    )
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


def _command(home: Path) -> list[str]:
    return [sys.executable, "-m", "tests.e2e.busy_window", str(home)]


def _environment() -> dict[str, str]:
    return {**os.environ, "QT_QPA_PLATFORM": "offscreen", "PYTHONPATH": str(ROOT)}


def _sentences() -> str:
    from backends.fake.loader import answer_to

    return answer_to("long 4").decode()
