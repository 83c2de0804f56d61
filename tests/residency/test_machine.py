"""What models may have of this machine, and what one takes by its plan and by what its engine says."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest

from app.errors import EngineError
from app.inference.planning import Planning
from app.inference.snapshot import EngineSnapshot, EngineState
from app.planner.machine import GIB, Gpu, Machine
from app.residency.machine import MachineMemory, PlannedCosts
from app.residency.room import RAM, Bytes
from app.residency.wish import Fixed, Planned, Share, Wish, planned
from backends.measurement import Buffers
from backends.protocol import Adapter, Cells, DeviceMemory, DraftMode, EngineOptions, Stats
from tests.llama.tiny_models import write_plain

FIRST, SECOND = "Vulkan0", "Vulkan1"  # whose driver takes no part of its own
STATS = Stats(1, 0, Cells(0, 0, 0), 3_000_000_000, (), 0, 0, 0, 0, 0, 0, 0, 0)
OPTIONS = EngineOptions(context=1024, draft=DraftMode.OFF, prompt_cache_ram=0)


def machine(first: int = 24, second: int = 12) -> Machine:
    """free: GiB of each GPU."""
    gpus = Gpu(FIRST, first * GIB, 24 * GIB), Gpu(SECOND, second * GIB, 12 * GIB)
    return Machine(64 * GIB, 64 * GIB, gpus)


@pytest.fixture
def planning(tmp_path: Path) -> Planning:
    return Planning(tmp_path / "cache", tmp_path / "logs", lambda: "a build")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_plain(tmp_path / "model.gguf")


def with_ram(monkeypatch: pytest.MonkeyPatch, available: int, total: int = 100 * GIB) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=available, total=total))


def test_models_may_have_most_of_what_is_free_and_what_they_have_already(monkeypatch: pytest.MonkeyPatch) -> None:
    own = psutil.Process().memory_info()
    with_ram(monkeypatch, 20 * GIB)
    memory = MachineMemory(lambda: None, machine)
    assert memory.limits([]) == {RAM: 18 * GIB}
    grown = memory.limits([psutil.Process().pid])[RAM] / 0.9 - 20 * GIB
    assert grown == pytest.approx(own.rss - own.shared, rel=0.2), "what is mapped from files is free already"
    assert memory.limits([2**22 - 1]) == {RAM: 18 * GIB}, "a process that is gone has nothing"
    assert MachineMemory(lambda: 7_000, machine).limits([]) == {RAM: 7_000}
    assert MachineMemory(lambda: 50 * GIB, machine).limits([]) == {RAM: 18 * GIB}, "no wish makes memory"


def test_each_gpu_has_a_limit_of_its_own_without_what_other_programs_have(monkeypatch: pytest.MonkeyPatch) -> None:
    with_ram(monkeypatch, 20 * GIB)
    free = [(24, 12), (14, 12), (13, 9)]
    memory = MachineMemory(lambda: None, lambda: machine(*free[0]))
    assert not memory.is_known
    memory.measure()
    assert memory.is_known
    empty = {RAM: 18 * GIB, FIRST: 23 * GIB, SECOND: 12 * GIB - 12 * GIB // 16}
    assert memory.limits([]) == empty
    memory.hear([DeviceMemory(FIRST, 14 * GIB, 24 * GIB), DeviceMemory(SECOND, 12 * GIB, 12 * GIB)], {FIRST: 10 * GIB})
    assert memory.limits([]) == empty, "that was ours"
    memory.hear([DeviceMemory(FIRST, 13 * GIB, 24 * GIB), DeviceMemory(SECOND, 9 * GIB, 12 * GIB)], {FIRST: 10 * GIB})
    assert memory.limits([]) == {RAM: 18 * GIB, FIRST: 22 * GIB, SECOND: empty[SECOND] - 3 * GIB}


def test_devices_are_asked_again_when_what_they_said_is_old() -> None:
    asked: list[Machine] = []

    def ask() -> Machine:
        asked.append(machine())
        return asked[-1]

    memory = MachineMemory(lambda: None, ask)
    memory.measure()
    memory.measure(60.0)
    assert len(asked) == 1
    memory.measure()
    assert len(asked) == 2


def test_a_driver_that_fails_is_no_gpu() -> None:
    def fail() -> Machine:
        raise EngineError("The driver is gone.")

    memory = MachineMemory(lambda: None, fail)
    assert memory.measure().gpus == ()
    assert memory.limits([]).keys() == {RAM}


def share_of(wish: Wish, room: Bytes) -> Share | None:
    return planned(lambda: wish.within(room, room))


def test_a_model_takes_what_its_plan_says_where_it_will_lie(planning: Planning, model: Path, tmp_path: Path) -> None:
    room = {RAM: 8 * GIB, FIRST: 8 * GIB, SECOND: 8 * GIB}
    costs = PlannedCosts(lambda: planning, machine)
    whole = share_of(costs.wish(model, OPTIONS), room)
    assert whole
    assert whole.plan
    assert whole.bytes[FIRST] == whole.plan.rooms[1].take.total > model.stat().st_size // 2
    assert SECOND not in whole.bytes
    on_cpu = share_of(costs.wish(model, replace(OPTIONS, gpu_layers=0)), room)
    assert on_cpu
    assert FIRST not in on_cpu.bytes, "no device is given to llama.cpp then"
    assert on_cpu.bytes[RAM] > whole.bytes[RAM]
    adapter = tmp_path / "adapter.gguf"
    adapter.write_bytes(bytes(1 << 20))
    adapted = replace(OPTIONS, gpu_layers=0, adapters=(Adapter(adapter),))
    more = share_of(costs.wish(model, adapted), room)
    assert more
    assert more.bytes[RAM] - on_cpu.bytes[RAM] == 1 << 20


def test_a_plan_for_a_gpu_is_confirmed_once_and_corrected(
    planning: Planning, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    room = {RAM: 8 * GIB, FIRST: 8 * GIB, SECOND: 0}
    costs = PlannedCosts(lambda: planning, machine)
    before = share_of(costs.wish(model, OPTIONS), room)
    assert before
    assert before.plan
    compute = before.plan.rooms[1].take.compute

    def told(_: Planning, target: str, **__: object) -> Buffers:
        asked.append(target)
        return Buffers({FIRST: round(1.25 * compute)}, 0, 0, 0)

    monkeypatch.setattr(Planning, "_child", told)
    for _ in range(2):
        costs.confirm(model, OPTIONS)
    assert len(asked) == 1
    after = share_of(costs.wish(model, OPTIONS), room)
    assert after
    assert after.bytes[FIRST] - before.bytes[FIRST] == pytest.approx(compute / 4, abs=2)
    PlannedCosts(lambda: planning, lambda: Machine(GIB, GIB)).confirm(model, replace(OPTIONS, parallel=2))
    assert len(asked) == 1, "a load on the CPU does not wait for that"


def test_a_plan_that_cannot_be_confirmed_holds(
    planning: Planning, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise EngineError("The child died.")

    monkeypatch.setattr(Planning, "_child", fail)
    PlannedCosts(lambda: planning, machine).confirm(model, OPTIONS)
    PlannedCosts(lambda: planning, machine).confirm(model.with_name("none.gguf"), OPTIONS)


def test_a_file_that_cannot_be_read_is_left_to_its_load(planning: Planning, tmp_path: Path) -> None:
    (tmp_path / "page.gguf").write_bytes(b"<html>")
    for name in ("page.gguf", "none.gguf"):
        assert PlannedCosts(lambda: planning, machine).wish(tmp_path / name, OPTIONS) == Fixed({})


def test_what_a_loaded_model_takes_is_measured_in_ram_and_reckoned_by_its_cells_on_gpus(
    planning: Planning, model: Path
) -> None:
    costs = PlannedCosts(lambda: planning, machine)
    wish = costs.wish(model, OPTIONS)
    assert isinstance(wish, Planned)
    room = {RAM: GIB, FIRST: GIB, SECOND: GIB}
    share = planned(lambda: wish.within(room, room))
    assert share
    assert share.plan
    ready: Any = SimpleNamespace(gpu_layers=5, num_layers=4)
    stats = replace(STATS, cells=Cells(0, 512, 2048))
    snapshot = EngineSnapshot("m", model, EngineState.READY, 1.0, ready, stats, None, None)
    take = share.plan.rooms[1].take
    assert costs.taken(snapshot, share) == {RAM: 3_000_000_000, FIRST: take.total - take.cache * 3 // 4}
    assert costs.taken(snapshot, None) == {RAM: 3_000_000_000}
    ready.gpu_layers = 0
    assert costs.taken(snapshot, share) == {RAM: 3_000_000_000}, "a GPU has refused it"
    assert costs.taken(replace(snapshot, state=EngineState.CLOSED), share) == {}
    assert costs.taken(replace(snapshot, stats=None), Share({RAM: 1})) == {}
