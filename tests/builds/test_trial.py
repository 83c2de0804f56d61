"""A build that is new here is measured against the one before, and left when it does worse."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from app.builds import activation, sign, trial
from app.builds.build import Build
from app.builds.builds import Builds
from app.builds.comparison import slower, wrong
from app.builds.shelf import LIBRARIES
from app.errors import EngineError
from backends.build_report import Canary
from tests.builds.test_shelf import put

GOOD = Canary("CPU", tuple(range(32)), tuple(map(float, range(1, 65))), 400.0, 40.0, 100 << 20)
QUICK = replace(GOOD, device="CUDA0", prompt_per_second=9000.0, predicted_per_second=200.0)


@dataclass
class Machine:
    """What each build would measure, by its name; None dies. `measured` are those that were."""

    results: dict[str, list[Canary | None]] = field(default_factory=lambda: {"installed": [GOOD]})
    measured: list[str] = field(default_factory=list)

    def run_in_child(self, _target: str, *, build: str | None, **_: object) -> Canary:
        name = Path(build).parent.name if build else "installed"
        self.measured.append(name)
        results = self.results[name]
        canary = results.pop(0) if len(results) > 1 else results[0]
        if canary is None:
            raise EngineError("The child process for “run” stopped.")
        return canary


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine()
    monkeypatch.setattr(trial, "run_in_child", machine.run_in_child)
    monkeypatch.setattr("app.builds.builds.look", lambda: _no_gpu())
    return machine


def _no_gpu() -> object:
    from app.builds.machine import look
    from tests.builds.machines import Pretended

    return look(Pretended().probes())


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Changes the driver's version."""

    def change(version: str) -> None:
        monkeypatch.setattr(sign, "driver_sign", lambda _probes: version)

    change("580")
    return change


@pytest.fixture
def builds(tmp_path: Path, driver: Callable[[str], None]) -> Builds:  # noqa: ARG001
    return Builds(tmp_path / "builds", tmp_path / "state.json", tmp_path / "logs")


def started(builds: Builds, machine: Machine, *results: Canary | None) -> Build:
    build = put(builds.shelf)
    machine.results[build.name] = list(results)
    builds.start()
    assert builds.active.name == build.name, "the newest is taken up"
    return build


def test_a_better_build_stays_and_is_measured_once(builds: Builds, machine: Machine) -> None:
    build = started(builds, machine, QUICK)
    assert builds.prepare() == ()
    assert builds.prepare() == ()
    assert (builds.active.name, machine.measured) == (build.name, ["cuda-89", "installed"])


def test_one_that_chooses_other_tokens_is_left_with_a_sentence(builds: Builds, machine: Machine) -> None:
    started(builds, machine, replace(QUICK, tokens=tuple(range(1, 33))))
    switched: list[bool] = []
    builds.on_switch(lambda: switched.append(True))
    (note,) = builds.prepare()
    assert "“cuda-89” is not used: it chooses other tokens at 32 of 32 places. “installed” is used instead" in note
    assert builds.active.is_installed
    assert switched == [True], "children that wait for work have the wrong build"
    assert builds.prepare() == ()
    builds.start()
    assert builds.active.is_installed, "it is not taken up again"


def test_one_that_dies_is_left(builds: Builds, machine: Machine) -> None:
    started(builds, machine, None)
    assert "it does not work here (The child process for “run” stopped)" in builds.prepare()[0]
    assert builds.active.is_installed


def test_one_that_is_slower_each_time_is_left(builds: Builds, machine: Machine) -> None:
    started(builds, machine, replace(GOOD, predicted_per_second=35.0))
    assert "answers at 35 tokens/s where the other does 40" in builds.prepare()[0]
    assert machine.measured == ["cuda-89", "installed"] * 2, "in turn"
    assert builds.active.is_installed


def test_a_moment_in_which_another_program_was_busy_does_not_count(builds: Builds, machine: Machine) -> None:
    started(builds, machine, replace(GOOD, predicted_per_second=3.0), QUICK)
    assert builds.prepare() == ()
    assert builds.active.name == "cuda-89"


def test_under_a_new_driver_it_is_measured_again(
    builds: Builds, machine: Machine, driver: Callable[[str], None]
) -> None:
    started(builds, machine, QUICK)
    builds.prepare()
    driver("590")
    machine.results["cuda-89"] = [replace(QUICK, predicted_per_second=100.0)]
    (note,) = builds.prepare()
    assert "Since the GPU's driver has changed, the engine build answers at 100 tokens/s where the other" in note
    assert builds.active.name == "cuda-89", "no other build would be quicker for that"
    assert builds.prepare() == ()


def test_a_build_that_a_new_driver_breaks_is_left_for_the_installed_one(
    builds: Builds, machine: Machine, driver: Callable[[str], None]
) -> None:
    started(builds, machine, QUICK)
    builds.prepare()
    driver("590")
    machine.results["cuda-89"] = [None]
    assert "“installed” is used instead" in builds.prepare()[0]
    assert builds.active.is_installed
    driver("600")
    machine.results["cuda-89"] = [QUICK]
    builds.start()
    assert builds.active.name == "cuda-89", "the next driver is tried"


def test_it_goes_back_to_the_last_one_that_was_good(builds: Builds, machine: Machine) -> None:
    started(builds, machine, QUICK)
    builds.prepare()
    put(builds.shelf, "cuda-90", "2026-12-05")
    machine.results["cuda-90"] = [replace(QUICK, logits=tuple([0.0] * 64))]
    builds.start()
    assert "“cuda-89” is used instead" in builds.prepare()[0]
    assert builds.active.name == "cuda-89"


def test_a_person_can_have_it_tried_again(builds: Builds, machine: Machine) -> None:
    started(builds, machine, None)
    builds.prepare()
    machine.results["cuda-89"] = [QUICK]
    builds.forget_rejection("cuda-89")
    builds.start()
    assert builds.prepare() == ()
    assert builds.active.name == "cuda-89"


def test_what_the_settings_name_is_used_and_what_is_missing_is_told(tmp_path: Path, machine: Machine) -> None:
    wanted = ["installed"]
    builds = Builds(tmp_path / "builds", tmp_path / "state.json", tmp_path / "logs", lambda: wanted[0])
    put(builds.shelf)
    assert builds.start() is None
    assert builds.active.is_installed
    assert builds.prepare() == ()
    wanted[0] = "cuda-99"
    assert "“cuda-99” of the settings is not here" in str(builds.start())
    assert machine.measured == []


def test_libraries_that_a_person_has_named_stand(
    builds: Builds, machine: Machine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    put(builds.shelf)
    monkeypatch.setenv(activation.LIBRARIES, str(tmp_path / "mine"))
    assert builds.start() is None
    assert builds.prepare() == ()
    assert builds.active == Build("", tmp_path / "mine")
    assert machine.measured == []


def test_two_engines_that_start_together_measure_once(builds: Builds, machine: Machine) -> None:
    started(builds, machine, QUICK)
    threads = [threading.Thread(target=builds.prepare) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert machine.measured == ["cuda-89", "installed"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"proof": 1}', '{"proof": {"name": "x"}}'])
def test_a_damaged_memory_is_none(builds: Builds, machine: Machine, content: str) -> None:
    started(builds, machine, QUICK)
    builds.state_file.write_text(content)
    assert builds.prepare() == ()
    assert len(machine.measured) == 2


def test_libraries_on_the_shelf_are_where_the_child_looks(builds: Builds, machine: Machine) -> None:
    build = started(builds, machine, QUICK)
    assert activation.active_folder() == builds.shelf.folder / build.name / LIBRARIES


def test_small_differences_are_no_fault() -> None:
    near = replace(GOOD, tokens=(99, *range(1, 32)), logits=tuple(value * 1.01 for value in GOOD.logits))
    assert wrong(near, GOOD) is None
    assert wrong(replace(GOOD, logits=tuple(value * 2 for value in GOOD.logits)), GOOD)
    assert wrong(replace(GOOD, logits=(float("nan"),) * 64), GOOD)
    assert wrong(replace(GOOD, tokens=()), GOOD)


def test_a_speed_that_was_not_measured_counts_as_none() -> None:
    assert slower(replace(GOOD, predicted_per_second=36.1), GOOD) is None
    assert slower(replace(GOOD, predicted_per_second=2.0, prompt_per_second=0.0), GOOD)
    assert slower(GOOD, replace(GOOD, prompt_per_second=0.0, predicted_per_second=1.0)) is None
