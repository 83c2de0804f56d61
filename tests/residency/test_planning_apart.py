"""While a plan is made for one model, nobody else waits for it: requests, loads and looks go on."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from app.planner.machine import Machine
from app.planner.plan import Plan
from app.planner.planner import plan
from app.residency.residency import Residency
from app.residency.room import RAM
from app.residency.wish import Planned, Wish
from backends.fake.loader import answer_to
from backends.protocol import EngineOptions
from tests.patience import PATIENCE, comes_back
from tests.residency.shelf import QUICK, OneEach, Shelf, stocked
from tests.residency.test_devices import GIB, OPTIONS, model
from tests.residency.test_residency import said
from tests.ui.stage import entry

MACHINE = Machine(64 * GIB, 64 * GIB)


class SlowlyPlanned(OneEach):
    """The plan for the model “slow” takes until somebody lets it go on."""

    def __init__(self) -> None:
        super().__init__(room=MACHINE.ram_free)
        self.is_planning, self.may_go_on = threading.Event(), threading.Event()

    def wish(self, model: Path, options: EngineOptions) -> Wish:
        is_slow = model.stem == "Slow"
        return Planned(self._plan, MACHINE, OPTIONS, lambda _: None) if is_slow else super().wish(model, options)

    def _plan(self, machine: Machine, options: EngineOptions) -> Plan:
        self.is_planning.set()
        assert self.may_go_on.wait(PATIENCE)
        return plan(model("llama-3.2-1b"), machine, options)


@pytest.fixture
def costs() -> Iterator[SlowlyPlanned]:
    costs = SlowlyPlanned()
    yield costs
    costs.may_go_on.set()


@pytest.fixture
def shelf(tmp_path: Path, costs: SlowlyPlanned) -> Iterator[Shelf]:
    with stocked(tmp_path, [entry("Slow"), entry("Quick")], room=1) as shelf:
        services = shelf.services
        services.residency = Residency(services.supervisor, costs, costs, lambda: None, QUICK)
        services.directory._residency = services.residency
        yield shelf


@pytest.fixture
def asking() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def test_another_model_is_loaded_and_answers_while_a_request_for_one_is_planned(
    shelf: Shelf, costs: SlowlyPlanned, asking: ThreadPoolExecutor
) -> None:
    slow = asking.submit(shelf.chat, "stage/slow", "Later")
    try:
        assert costs.is_planning.wait(PATIENCE)
        answers: list[str] = []
        comes_back(lambda: answers.append(said(shelf.chat("stage/quick", "Now"))))
        assert answers == [answer_to("Now").decode()]
        assert not slow.done()
    finally:
        costs.may_go_on.set()
    assert said(slow.result(PATIENCE)) == answer_to("Later").decode()


def test_what_is_loaded_is_told_while_a_persons_load_is_planned(shelf: Shelf, costs: SlowlyPlanned) -> None:
    handle = shelf.services.load_model(entry("Slow"), "stage/slow")
    assert costs.is_planning.wait(PATIENCE)
    for look in (shelf.residency.loaded, shelf.residency.room, partial(shelf.residency.pin, "stage/slow")):
        comes_back(look)
    costs.may_go_on.set()
    handle.wait_ready(PATIENCE)
    (loaded,) = shelf.residency.loaded()
    assert loaded.cost[RAM] > GIB, "as its plan says"
    assert loaded.is_pinned
