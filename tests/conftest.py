"""Every test leaves nothing behind: no thread, no child process, no file outside its own folder."""

import gc
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from hypothesis import HealthCheck, settings

from tests.real import things

os.environ.setdefault("GOMP_SPINCOUNT", "0")  # engines of several test processes share the cores: none may spin

PATIENCE = 30.0  # seconds that threads and children may take to leave after a test, on a busy machine, too
# the same examples in each run, and none that a slow machine could refuse
settings.register_profile(
    "repeatable", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeatable")
LASTING = ("resource_tracker", "forkserver")  # of multiprocessing itself, ended with the session


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPSTREAM_HOME", str(tmp_path / "Slipstream home é"))
    for name in ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "OLLAMA_MODELS"):  # no models of this machine
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("app.library.places.LINUX_SERVICE", tmp_path / "no service")
    monkeypatch.setattr("app.library.places.home", lambda: tmp_path / "home")


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """A real model: SmolLM2-135M-Instruct, Q4_1. Not to be written to."""
    try:
        return things.smollm2()
    except things.Unreachable as fault:
        pytest.fail(str(fault))


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    threads, children = set(threading.enumerate()), set(_children())
    yield
    deadline = time.monotonic() + PATIENCE
    while (left := _left(threads, children)) and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.02)
    assert not left, f"left behind: {left}"


def _left(threads: set[threading.Thread], children: set[int]) -> list[str]:
    """A module's engine may keep a child that a test made it start."""
    new_threads = [thread.name for thread in threading.enumerate() if thread not in threads]
    return new_threads + [
        f"process {pid}" for pid, parent in _children().items() if pid not in children and parent not in children
    ]


def _children() -> dict[int, int]:
    """The parent of each."""
    parents = {}
    for child in psutil.Process().children(recursive=True):
        try:
            if not any(name in " ".join(child.cmdline()) for name in LASTING):
                parents[child.pid] = child.ppid()
        except psutil.Error:  # it has just gone
            continue
    return parents
