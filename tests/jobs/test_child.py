"""A worker child always ends in one of four ways: a result, a refusal, a death with a sentence, a cancel."""

import signal
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.errors import Cancelled, ConversionError, EngineError
from app.jobs.child import run_in_child
from backends.child import Progress
from tests.jobs import children
from tests.patience import PATIENCE, until


def run(name: str, tmp_path: Path, **arguments: Any) -> Any:
    return run_in_child(f"tests.jobs.children:{name}", log_path=tmp_path / "lögs 1" / "child.log", **arguments)


def test_it_returns_the_result_and_reports_progress(tmp_path: Path) -> None:
    heard: list[Progress] = []
    assert run("add", tmp_path, left=2, right=3, on_progress=heard.append) == 5
    assert heard == [Progress(0.5, "adding")]


def test_all_output_goes_to_the_log(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("chatter", tmp_path) == "1"
    log = (tmp_path / "lögs 1" / "child.log").read_text()
    assert sorted(log.splitlines()) == ["an error", "from Python", "from native code"]
    assert capfd.readouterr() == ("", "")


def test_a_refusal_is_the_error_that_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"^The file has a hole\.$"):
        run("refuse", tmp_path, error=ConversionError)


DEATHS = {
    "killed": ("die", {"number": 9}, "killed from outside"),
    "aborted": ("die", {"number": 6}, "native library stopped itself"),
    "segfault": ("touch_nothing", {}, "memory that is not its own"),
    "left": ("leave", {"code": 3}, "ended by itself with code 3"),
    "defect": ("fail", {}, "ZeroDivisionError: a defect"),
    "result that cannot travel": ("unpicklable", {}, "pickle"),
}


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize("case", DEATHS)
def test_a_death_is_one_sentence_with_the_cause(case: str, tmp_path: Path) -> None:
    name, arguments, cause = DEATHS[case]
    with pytest.raises(EngineError, match=cause) as death:
        run(name, tmp_path, **arguments)
    assert death.value.crash is not None
    assert "\n" not in str(death.value)
    if case in ("killed", "aborted"):
        assert "last words" in "\n".join(death.value.crash.log)


def test_cancel_ends_a_child_that_ignores_sigterm(tmp_path: Path) -> None:
    cancelled, pid_file = threading.Event(), tmp_path / "pid"
    with pytest.raises(Cancelled):
        run("sleep", tmp_path, pid_file=pid_file, on_progress=lambda _: cancelled.set(), cancelled=cancelled)
    assert not psutil.pid_exists(int(pid_file.read_text()))


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_no_child_survives_a_killed_application(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    application = children.start_application(pid_file, tmp_path / "log")
    pid = _wait_for_pid(pid_file)
    assert psutil.Process(pid).is_running()

    application.kill()
    application.join()
    until(lambda: not _is_alive(pid))
    assert application.exitcode == -signal.SIGKILL


def _wait_for_pid(pid_file: Path) -> int:
    until(lambda: pid_file.exists() and pid_file.read_text(), "the child")
    return int(pid_file.read_text())


def _is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="Windows cannot stop a process")
@pytest.mark.parametrize("target", ["stops_itself", "stops_in_a_message"])
def test_a_child_that_is_stopped_is_cancelled_like_any_other(tmp_path: Path, target: str) -> None:
    cancelled = threading.Event()
    ends: list[BaseException] = []

    def run() -> None:
        try:
            run_in_child(f"tests.inference.hangs:{target}", log_path=tmp_path / "child.log", cancelled=cancelled)
        except Cancelled as end:
            ends.append(end)

    caller = threading.Thread(target=run, daemon=True)
    caller.start()
    wait_until_stopped()
    cancelled.set()
    caller.join(PATIENCE)
    assert not caller.is_alive()
    assert ends


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="Windows cannot stop a process")
def test_a_child_that_is_stopped_ends_with_its_time(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"“stops itself” took longer than 2 s"):
        run_in_child("tests.inference.hangs:stops_itself", log_path=tmp_path / "child.log", limit=2.0)


def wait_until_stopped() -> None:
    until(lambda: any(child.status() == psutil.STATUS_STOPPED for child in psutil.Process().children()))
