"""What `slipstream serve` says on stderr of engines that die, fail and come back."""

from pathlib import Path

from app.cli.engine_news import EngineNews
from app.inference.engine_handle import MAX_RESTARTS
from app.inference.supervisor import EngineState, Supervisor
from backends.protocol import EngineOptions
from tests.inference.conftest import SECONDS, ask


def test_each_death_and_the_last_one_is_a_sentence(tmp_path: Path) -> None:
    said: list[str] = []
    supervisor = Supervisor(tmp_path / "logs")
    handle = supervisor.load("model", Path("fake"), EngineOptions(), backend="fake")
    handle.wait_ready(SECONDS)
    supervisor.subscribe(EngineNews(said.append).hear)
    try:
        for _ in range(MAX_RESTARTS):
            handle.wait_ready(SECONDS)
            ask(handle, "!kill").wait()
        assert handle.snapshot.state is EngineState.FAILED
        supervisor.revive(handle).wait_ready(SECONDS)
    finally:
        supervisor.close()
    deaths = [sentence for sentence in said if "The engine stopped: it was killed" in sentence]
    assert len(deaths) == MAX_RESTARTS
    assert deaths[0].startswith("“model” is started again. ")
    assert deaths[-1].startswith("“model” is not running any more. ")
    assert said.count("“model” is loaded") == MAX_RESTARTS


def test_a_silent_engine_that_is_ended_is_a_sentence(tmp_path: Path) -> None:
    said: list[str] = []
    supervisor = Supervisor(tmp_path / "logs")
    handle = supervisor.load("model", Path("fake"), EngineOptions(), backend="fake")
    handle.wait_ready(SECONDS)
    supervisor.subscribe(EngineNews(said.append).hear)
    try:
        ask(handle, "hello").wait()
        pid = handle.pid
        handle.restart("it had not answered for 30 s and was ended")  # as the watchdog does
        while handle.pid == pid or handle.snapshot.state is not EngineState.READY:
            handle.wait_ready(SECONDS)
    finally:
        supervisor.close()
    assert any("had not answered for 30 s" in sentence for sentence in said)
