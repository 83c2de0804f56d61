"""Every test leaves nothing behind: no thread, no child process, no file outside its own folder."""

import gc
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import keyring
import psutil
import pytest
from hypothesis import HealthCheck, settings

from tests.keyring import Memory
from tests.patience import PATIENCE
from tests.real import things
from tests.tried import tried

# or each of the thousands of processes that tests start would compile all of the application anew
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
os.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.fail.Keyring"  # as on a machine without one
os.environ.setdefault("GOMP_SPINCOUNT", "0")  # engines of several test processes share the cores: none may spin

# the same examples in each run, and none that a slow machine could refuse
settings.register_profile(
    "repeatable", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeatable")

for _part in ("connect", "read", "write", "pool"):  # five seconds otherwise, where a test says nothing
    setattr(httpx._config.DEFAULT_TIMEOUT_CONFIG, _part, PATIENCE)

RARELY = 1.0  # seconds after which what is left of a test may be what a cycle of references holds
LASTING = ("resource_tracker", "forkserver")  # of multiprocessing itself, ended with the session


def pytest_collection_finish() -> None:
    """What all tests' modules hold lasts: no collection of garbage need look through it again."""
    gc.freeze()


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPSTREAM_HOME", str(tmp_path / "Slipstream home é"))
    for name in ("HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "OLLAMA_MODELS"):  # no models of this machine
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("app.library.places.LINUX_SERVICE", tmp_path / "no service")
    monkeypatch.setattr("app.library.places.home", lambda: tmp_path / "home")


@pytest.fixture
def ring(monkeypatch: pytest.MonkeyPatch) -> Iterator[Memory]:
    """The system's keyring, which a test can fill and lock."""
    monkeypatch.delenv("HF_TOKEN", raising=False)
    before, memory = keyring.get_keyring(), Memory()
    keyring.set_keyring(memory)
    yield memory
    keyring.set_keyring(before)


@pytest.fixture
def tried_engine(_own_home: None) -> None:
    """The test's applications know that the installed build works."""
    tried(Path(os.environ["SLIPSTREAM_HOME"]) / "cache")


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
    begin = time.monotonic()
    while (left := _left(threads, children)) and (waited := time.monotonic() - begin) < PATIENCE:
        if waited > RARELY:  # dear, and most of them are on their way out
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
    for child in _processes():
        try:
            if not any(name in " ".join(child.cmdline()) for name in LASTING):
                parents[child.pid] = child.ppid()
        except psutil.Error:  # it has just gone
            continue
    return parents


def _processes() -> list[psutil.Process]:
    """Asked before and after every test; a look at all processes only where there is a child at all."""
    if hasattr(os, "waitid"):
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return []
    return psutil.Process().children(recursive=True)
