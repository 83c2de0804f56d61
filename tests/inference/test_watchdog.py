"""When an engine counts as silent, told with a clock of its own."""

from dataclasses import dataclass, field

import pytest

from app.inference import watchdog
from app.inference.watchdog import Patience, Vitals, Watchdog

PATIENCE = Patience()


@dataclass
class Engine:
    vitals: Vitals | None
    name: str = "engine"
    pid: int | None = None
    silences: list[float | None] = field(default_factory=list)
    restarts: list[str] = field(default_factory=list)

    def note_silence(self, seconds: float | None) -> None:
        self.silences.append(seconds)

    def restart(self, cause: str) -> None:
        self.restarts.append(cause)


class World:
    """One engine, its watchdog, and the time."""

    def __init__(self, is_attended: bool = False):
        self.now = 100.0
        vitals = Vitals(self.now)
        vitals.hear(0.0, self.now)
        self.vitals = vitals
        self.engine = Engine(vitals)
        self.watchdog = Watchdog(lambda: [self.engine], lambda: is_attended, PATIENCE, lambda: self.now)

    def pass_(self, seconds: float, tick: float = 1.0, pulse: bool = False) -> None:
        for _ in range(round(seconds / tick)):
            self.now += tick
            if pulse:
                self.vitals.hear(0.0, self.now)
            self.watchdog.look()


def test_it_is_silent_after_ten_seconds_and_started_anew_after_thirty() -> None:
    world = World()
    world.pass_(9)
    assert set(world.engine.silences) == {None}
    world.pass_(20)
    assert world.engine.silences[-1] == 29
    assert not world.engine.restarts
    world.pass_(1)
    assert world.engine.restarts == ["it had not answered for 30 s and was ended"]


def test_with_a_person_there_it_is_only_said() -> None:
    world = World(is_attended=True)
    world.pass_(300)
    assert world.engine.silences[-1] == 300
    assert not world.engine.restarts


def test_a_machine_that_slept_or_a_watchdog_that_was_held_up_proves_nothing() -> None:
    world = World()
    world.pass_(8)
    world.pass_(3600, tick=3600)
    assert set(world.engine.silences) == {None}
    world.pass_(9)
    assert set(world.engine.silences) == {None}
    world.pass_(400, tick=4)
    assert not world.engine.restarts, "who looks so seldom has not heard enough"


def test_late_pulses_are_pulses() -> None:
    world = World()
    for _ in range(50):
        world.pass_(8, tick=2)
        world.pass_(1, pulse=True)
    assert set(world.engine.silences) == {None}


def test_a_long_step_is_said_and_never_ends_the_engine() -> None:
    world = World()
    for seconds in range(100):
        world.now += 1
        world.vitals.hear(float(seconds), world.now)
        world.watchdog.look()
    assert world.engine.silences[59:] == [None, *map(float, range(60, 100))]
    assert not world.engine.restarts


def test_a_process_that_has_to_import_first_gets_more_time() -> None:
    world = World()
    world.engine.vitals = Vitals(world.now)
    world.pass_(89)
    assert set(world.engine.silences) == {None}
    world.pass_(1)
    assert world.engine.restarts


def test_what_a_debugger_holds_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "_is_traced", lambda _: True)
    world = World()
    world.pass_(100)
    assert world.engine.silences[-1] == 100
    assert not world.engine.restarts


def test_nothing_is_expected_of_an_engine_that_is_down() -> None:
    world = World()
    world.engine.vitals = None
    world.pass_(100)
    assert not world.engine.silences
