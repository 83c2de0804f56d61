"""The machine's rates: measured once where it was quiet, again where it was not, and never believed blindly."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.errors import EngineError
from app.inference import machine_rates as module
from app.inference.machine_rates import MachineRates
from backends.measurement import Rates

SLOW = Rates({"F16": 5e9, "Q4_K": 6e9}, 2e-5, 2, memory=9e9, others=1.2)
QUICK = Rates({"F16": 8e9, "Q4_K": 4e9}, 1e-5, 2, memory=12e9, others=0.9)
QUIET = Rates({"F16": 10e9, "Q4_K": 9e9}, 1e-5, 2, memory=14e9, others=0.05)


class Measured:
    """What a child would find, one after the other."""

    def __init__(self, *found: Rates):
        self.left = list(found)

    def __call__(self, *_: Any, **__: Any) -> Rates:
        return self.left.pop(0)


@pytest.fixture
def child(monkeypatch: pytest.MonkeyPatch) -> Measured:
    found = Measured(SLOW, QUICK, QUIET)
    monkeypatch.setattr(module, "run_in_child", found)
    return found


def test_a_busy_machine_is_measured_again_until_it_is_quiet(child: Measured, tmp_path: Path) -> None:
    rates = MachineRates(tmp_path, tmp_path, lambda: 0.0)
    assert rates.measured("build") == SLOW
    both = rates.measured("build")
    assert both.by_type == {"F16": 8e9, "Q4_K": 6e9}, "of two that others were in the way of, the quicker counts"
    assert (both.memory, both.layer_seconds, both.is_quiet) == (12e9, 1e-5, False)
    assert rates.measured("build") == QUIET, "which stands alone: nobody was in its way"
    assert rates.measured("build") == QUIET
    assert child.left == []


def test_where_the_second_time_takes_too_long_the_first_ones_stand(
    child: Measured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = MachineRates(tmp_path, tmp_path, lambda: 0.0)
    assert rates.measured("build") == SLOW
    assert child.left, "it would be measured again"

    def is_slow(*_: Any, **__: Any) -> Rates:
        raise EngineError("It took too long.")

    monkeypatch.setattr(module, "run_in_child", is_slow)
    assert rates.measured("build") == SLOW
    with pytest.raises(EngineError):
        rates.measured("another build")


def test_while_it_is_busy_still_nothing_is_measured_again(child: Measured, tmp_path: Path) -> None:
    assert MachineRates(tmp_path, tmp_path, lambda: 0.0).measured("build") == SLOW
    assert MachineRates(tmp_path, tmp_path, lambda: 1.5).measured("build") == SLOW
    assert child.left == [QUICK, QUIET]
    assert MachineRates(tmp_path, tmp_path, lambda: 1.5).measured("another build") == QUICK


@pytest.mark.parametrize("change", [{"others": -1.0}, {"others": "0"}, {"memory": 1e30}, {"by_type": {}}])
def test_what_cannot_have_been_measured_is_not_known(child: Measured, tmp_path: Path, change: dict[str, Any]) -> None:
    rates = MachineRates(tmp_path, tmp_path, lambda: 0.0)
    rates.measured("build")
    file = tmp_path / "rates.json"
    document = json.loads(file.read_text("utf-8"))
    file.write_text(json.dumps({"build": {**document["build"], **change}}), "utf-8")
    assert rates.known("build") is None
    assert child.left


def test_those_of_an_earlier_version_are_measured_again(child: Measured, tmp_path: Path) -> None:
    child.left = [QUIET]
    old = {"by_type": {"F16": 1e9}, "layer_seconds": 0.0, "threads": 2, "gpu": None}
    (tmp_path / "rates.json").write_text(json.dumps({"build": old}), "utf-8")
    rates = MachineRates(tmp_path, tmp_path, lambda: 0.0)
    assert rates.known("build")
    assert rates.measured("build") == QUIET
