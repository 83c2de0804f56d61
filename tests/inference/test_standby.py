"""Processes that were started before their models are known: taken once, never missed, never left behind."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import EngineError
from app.inference import engine_process
from app.inference.crash import last_lines
from app.inference.engine_process import EngineProcess
from app.inference.standby import Standby
from app.inference.supervisor import Supervisor
from backends.protocol import EngineOptions
from tests.inference.conftest import SECONDS, ask, is_alive


@pytest.fixture
def standby() -> Iterator[Standby]:
    standby = Standby(backend="fake")
    yield standby
    standby.close()


@pytest.fixture
def supervisor(tmp_path: Path, standby: Standby) -> Iterator[Supervisor]:
    supervisor = Supervisor(tmp_path / "logs", standby=standby)
    yield supervisor
    supervisor.close()


def waiting(standby: Standby) -> list[int]:
    return [process.pid for process in standby._processes if process.pid]


def load(supervisor: Supervisor, name: str, file: str = "fake") -> int | None:
    handle = supervisor.load(name, Path(file), EngineOptions(), backend="fake")
    handle.wait_ready(SECONDS)
    return handle.pid


def test_the_first_engine_is_the_process_that_stood_by_and_the_next_is_another(
    supervisor: Supervisor, standby: Standby
) -> None:
    (pid,) = waiting(standby)
    assert load(supervisor, "first") == pid
    assert load(supervisor, "second") != pid
    assert ask(supervisor.get("first"), "hello").wait().text.startswith("You said")


def test_one_that_has_died_is_passed_over(supervisor: Supervisor, standby: Standby) -> None:
    (pid,) = waiting(standby)
    os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + SECONDS
    while standby._processes[0].is_alive:
        assert time.monotonic() < until
    assert load(supervisor, "first") not in (None, pid)


def test_one_for_another_backend_stays_where_it_is(tmp_path: Path, standby: Standby) -> None:
    assert standby.take("llama", tmp_path / "engine.log") is None
    assert len(waiting(standby)) == 1


def test_when_the_engine_build_changes_others_stand_by(supervisor: Supervisor, standby: Standby) -> None:
    (pid,) = waiting(standby)
    standby.renew()
    assert not is_alive(pid), "it has loaded the libraries of the other build"
    (other,) = waiting(standby)
    assert load(supervisor, "first") == other
    standby.renew()
    assert waiting(standby) == [], "nobody waits any more"


def test_what_nobody_takes_ends_with_the_supervisor(supervisor: Supervisor, standby: Standby) -> None:
    (pid,) = waiting(standby)
    supervisor.close()
    assert not is_alive(pid)
    assert waiting(standby) == []


def test_its_words_go_to_the_log_of_the_model_that_it_loads(
    supervisor: Supervisor, tmp_path: Path, standby: Standby
) -> None:
    log = tmp_path / "logs" / "engine-first.log"
    log.parent.mkdir()
    log.write_text("of the engine before\n")
    (pid,) = waiting(standby)
    with pytest.raises(EngineError, match="stopped itself"):
        load(supervisor, "first", "crash")
    assert supervisor.get("first").pid == pid
    assert log.with_suffix(".previous.log").read_text() == "of the engine before\n"
    assert last_lines(log) != ("of the engine before",)


def test_what_keeps_it_from_importing_is_told_by_its_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_process, "ENTRY", "tests.inference.hangs:cannot_import")
    standby = Standby(backend="fake")
    supervisor = Supervisor(tmp_path / "logs", standby=standby)
    try:
        with pytest.raises(EngineError, match="ended by itself"):
            load(supervisor, "first")
        assert any("NoSuchLibrary" in line for line in last_lines(tmp_path / "logs" / "engine-first.log"))
    finally:
        supervisor.close()


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="signals reach processes otherwise here")
def test_an_interrupt_of_the_terminal_does_not_reach_one_that_has_just_begun(tmp_path: Path) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    process = EngineProcess("fake", tmp_path / "engine.log")
    try:
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
        os.kill(process.pid or 0, signal.SIGINT)
        assert process.connection.poll(SECONDS), "its first pulse"
        assert process.is_alive
    finally:
        process.kill()
        process.end(0.0)
        process.connection.close()
