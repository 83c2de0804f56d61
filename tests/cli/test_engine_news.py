"""What `slipstream serve` says on stderr of engines that die, fail and come back."""

from dataclasses import replace
from pathlib import Path

import pytest

from app.cli.engine_news import EngineNews
from app.inference.restarts import MAX_RESTARTS
from app.inference.supervisor import EngineState, Supervisor
from backends.protocol import Cells, EngineOptions, Processor
from tests.inference.conftest import SECONDS, ask
from tests.telemetry.snapshots import STATS, snapshot


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


class Machine:
    """What an engine tells while other programs come and go, by a clock of its own."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self._now = 0.0
        self._news = EngineNews(self.said.append, lambda: self._now)

    def be(self, seconds: float, **changes: object) -> None:
        """It is so for a while, of which the engine tells four times a second."""
        stats = replace(STATS, **({"processor": Processor(2, 2)} | changes))  # type: ignore[arg-type]
        for _ in range(int(4 * seconds)):
            self._now += 0.25
            self._news.hear(snapshot(stats))

    def die(self) -> None:
        self._news.hear(snapshot(None))


BUSY = {"processor": Processor(1, 2, is_crowded=True)}
SHORT = {"cells": Cells(500, 512, 4096, is_short=True)}


@pytest.mark.parametrize(
    ("trouble", "begins", "ends"),
    [
        (BUSY, str(BUSY["processor"]), "The processor is no longer busy with other programs."),
        (SHORT, str(SHORT["cells"]), "The KV cache is no longer short of memory."),
    ],
)
def test_what_is_in_an_engines_way_is_a_line_when_it_begins_and_one_when_it_ends(
    trouble: dict[str, object], begins: str, ends: str
) -> None:
    machine = Machine()
    machine.be(5)
    assert not machine.said
    machine.be(60, **trouble)
    assert machine.said == [f"“M”: {begins}"]
    machine.be(5)
    machine.be(5, **trouble)
    assert len(machine.said) == 1, "it was away for a moment"
    machine.be(60)
    assert machine.said[1:] == [f"“M”: {ends}"]
    machine.be(5, **trouble)
    assert machine.said[2:] == [f"“M”: {begins}"]


def test_the_troubles_of_an_engine_that_dies_end_with_it() -> None:
    machine = Machine()
    machine.be(5, **BUSY)
    machine.die()
    machine.be(60)
    assert len(machine.said) == 1
