"""Engines that are measured, and what counts as another program meanwhile."""

import threading
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import pytest

from app.bench import engines as module
from app.bench.engines import Engines
from app.inference.engine_handle import EngineHandle
from app.inference.supervisor import Supervisor
from backends.protocol import EngineOptions


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    supervisor = Supervisor(tmp_path / "logs")
    yield supervisor
    supervisor.close()


def test_an_engine_that_waits_while_another_is_measured_is_no_other_program(
    supervisor: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted_as_others: list[set[int]] = []

    class Listening(module.FamilyTime):
        def __init__(self, strangers: Callable[[], Collection[int]]) -> None:
            super().__init__(strangers)
            self._strangers = strangers

        def __call__(self) -> float:
            counted_as_others.append(set(self._strangers()))
            return super().__call__()

    def load(options: EngineOptions) -> EngineHandle:
        return supervisor.load(f"bench-{len(supervisor.engines())}", tmp_path / "model", options, backend="fake")

    monkeypatch.setattr(module, "FamilyTime", Listening)
    stranger = load(EngineOptions())
    stranger.wait_ready()
    engines = Engines(load, lambda handle: supervisor.unload(handle.name), threading.Event(), supervisor.pids)
    with engines.started(EngineOptions()), engines.started(EngineOptions()):
        assert len(supervisor.pids()) == 3
    assert len(engines.others) == 2
    assert set(map(frozenset, counted_as_others)) == {frozenset({stranger.pid})}
