"""A load waits until the driver has the memory of who left, and is planned for what is really there."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from app.inference.snapshot import EngineSnapshot, EngineState
from app.planner.machine import GIB, Gpu, Machine
from app.residency import residency
from app.residency.machine import MachineMemory
from app.residency.residency import Residency
from app.residency.room import RAM, Bytes
from app.residency.wish import Fixed, Share, Wish
from backends.fake.loader import answer_to
from backends.protocol import EngineOptions
from tests.patience import PATIENCE, until
from tests.residency.shelf import QUICK, OneEach, Shelf, stocked
from tests.residency.test_residency import said
from tests.ui.stage import entry

CARD = "Vulkan0"
COST: Bytes = {RAM: 1, CARD: 8 * GIB}


class OneCard(OneEach):
    """Of 12 GiB, on which each model takes 8. free: what its driver says, one word after the other; the last for
    ever."""

    def __init__(self, *free: int):
        super().__init__(room=10)
        self.free = [size * GIB for size in free]
        self.num_asked = 0
        self._memory = MachineMemory(lambda: None, self._ask)

    def wish(self, model: Path, options: EngineOptions) -> Wish:  # noqa: ARG002
        return Fixed(COST)

    def taken(self, snapshot: EngineSnapshot, share: Share | None) -> Bytes:  # noqa: ARG002
        return COST if snapshot.state is EngineState.READY else {}

    def measure(self, max_age: float = 0.0) -> Machine:  # noqa: ARG002
        return self._memory.measure()

    def hear(self, devices: Sequence[object], taken: Bytes) -> None:
        self._memory.hear(devices, taken)  # type: ignore[arg-type]

    def limits(self, pids: Sequence[int]) -> Bytes:
        return {**self._memory.limits(pids), RAM: 10}

    def _ask(self) -> Machine:
        self.num_asked += 1
        free = self.free.pop(0) if len(self.free) > 1 else self.free[0]
        return Machine(10, 10, (Gpu(CARD, free, 12 * GIB),))


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    with stocked(tmp_path, [entry("One"), entry("Two")], room=1) as shelf:
        yield shelf


def with_card(shelf: Shelf, card: OneCard, wait: float = PATIENCE) -> None:
    services = shelf.services
    services.residency = Residency(services.supervisor, card, card, lambda: None, replace(QUICK, wait=wait))
    services.directory._residency = services.residency


def test_the_next_load_begins_when_the_driver_has_the_memory_back(shelf: Shelf) -> None:
    card = OneCard(12, 12, 4, 4, 5, 12)
    with_card(shelf, card)
    assert said(shelf.chat("stage/one", "A")) == answer_to("A").decode()
    until(lambda: shelf.services.supervisor.get("stage/one").snapshot.stats)
    assert said(shelf.chat("stage/two", "B")) == answer_to("B").decode()
    assert shelf.names() == ["stage/two"]
    assert card.num_asked == 6, "it has asked until there was enough"


def test_what_another_program_has_taken_meanwhile_is_waited_for(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(residency, "BACK_SECONDS", 0.2)
    card = OneCard(12, 12, 4)
    with_card(shelf, card, wait=1.0)
    assert said(shelf.chat("stage/one", "A"))
    until(lambda: shelf.services.supervisor.get("stage/one").snapshot.stats)
    refused = shelf.chat("stage/two", "B")
    assert refused.status_code == 503, refused.text
    assert refused.headers["Retry-After"]
    assert "It needs 8.6 GB of Vulkan0, and models may have 3.5 GB." in refused.text
