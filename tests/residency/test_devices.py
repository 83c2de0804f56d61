"""Two GPUs and RAM: the real planner over real headers says what each model takes of which, the roster who leaves."""

from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from app.planner.machine import Gpu, Machine
from app.planner.model import Model
from app.planner.planner import plan
from app.residency.room import RAM, Bytes
from app.residency.roster import Resident, Stage
from app.residency.wish import Fixed, Planned, planned
from backends.formats.gguf import read_header
from backends.protocol import DraftMode, EngineOptions
from tests.planner.shapes import all_shapes
from tests.residency.world import World

GIB = 1 << 30
FIRST, SECOND = "CUDA0", "CUDA1"
MACHINE = Machine(64 * GIB, 64 * GIB, (Gpu(FIRST, 24 * GIB, 24 * GIB), Gpu(SECOND, 12 * GIB, 12 * GIB)))
LIMITS: Bytes = {RAM: 40 * GIB, FIRST: 22 * GIB, SECOND: 11 * GIB // 2}
OPTIONS = EngineOptions(context=8192, draft=DraftMode.OFF, prompt_cache_ram=0)
NAMES = {
    "8b": "llama-3.1-8b", "7b": "qwen2.5-7b", "27b": "gemma-3-27b", "70b": "llama-3.3-70b", "30b": "qwen3-30b-a3b",
    "1b": "llama-3.2-1b",
}  # fmt: skip


@cache
def model(shape_name: str) -> Model:
    shape = next(shape for shape in all_shapes() if shape.name == shape_name)
    with TemporaryDirectory() as folder:
        return Model.of(read_header(shape.write(Path(folder))))


def wish(name: str, machine: Machine = MACHINE, **options: object) -> Planned:
    wanted = EngineOptions(**{"context": 8192, "draft": DraftMode.OFF, "prompt_cache_ram": 0, **options})  # type: ignore[arg-type]
    return Planned(partial(plan, model(NAMES[name])), machine, wanted, lambda found: found.verdict.sentence)


def world(*names: str, limits: Bytes = LIMITS) -> World:
    return World({name: wish(name) for name in names}, limits)


def load(here: World, name: str, *, keep: bool = False, is_person: bool = False) -> Resident:
    """It is in within two seconds; keep: its user stays."""
    resident = here.want(name, is_person=is_person)
    assert resident
    here.pass_by(2.0)
    assert resident.stage is Stage.READY, resident.waits
    if not keep:
        here.done(resident)
    return resident


def devices(resident: Resident) -> set[str]:
    return {device for device, size in resident.cost.items() if size > 2 * GIB}


def test_each_device_gives_what_the_plan_says_and_no_more_than_it_has() -> None:
    here = world("8b", "7b")
    first, second = load(here, "8b"), load(here, "7b")
    assert (devices(first), devices(second)) == ({FIRST}, {FIRST}), "both have room on the first"
    assert first.cost[FIRST] == planned(lambda: first.wish.within(LIMITS, LIMITS)).plan.rooms[1].take.total  # type: ignore[union-attr]
    assert first.cost[FIRST] + second.cost[FIRST] <= LIMITS[FIRST]


def test_who_needs_a_gpu_has_the_one_leave_that_nobody_has_used_for_the_longest() -> None:
    here = world("27b", "7b", "8b")
    assert devices(load(here, "27b")) == {FIRST}
    assert devices(load(here, "7b")) == {SECOND}, "nobody left for it"
    here.pass_by(2.0)
    assert devices(load(here, "8b")) == {FIRST}
    assert here.inside() == ["7b", "8b"]


def test_only_those_leave_on_whose_device_it_is_short() -> None:
    here = World({"cpu": wish("1b", gpu_layers=0), "7b": wish("7b"), "27b": wish("27b"), "8b": wish("8b")}, LIMITS)
    for name in ("cpu", "27b", "7b"):
        load(here, name)
    here.pass_by(2.0)
    load(here, "8b")
    assert here.inside() == ["cpu", "7b", "8b"], "what lies in RAM makes no room on a GPU, though it is the oldest"


def test_nobody_takes_the_place_of_a_busy_one_and_who_waits_is_told() -> None:
    here = world("27b", "70b")
    load(here, "27b", keep=True)
    waiting = here.want("70b")
    assert waiting
    here.pass_by(5.0)
    assert here.inside() == ["27b"]
    assert waiting.waits == "Waits for memory until “27b” is done."


def test_what_is_too_large_for_the_gpus_spreads_over_both_and_ram_once_the_others_have_left() -> None:
    here = world("8b", "7b", "70b")
    load(here, "8b")
    load(here, "7b")
    here.pass_by(2.0)
    large = load(here, "70b")
    assert devices(large) == {RAM, FIRST, SECOND}
    assert here.inside() == ["70b"]
    assert sum(large.cost[device] for device in (FIRST, SECOND)) > 0.95 * (LIMITS[FIRST] + LIMITS[SECOND])


def test_nobody_is_unloaded_for_one_layer_more() -> None:
    limits = {RAM: 40 * GIB, FIRST: 14 * GIB, SECOND: 0}
    here = World({"vectors": Fixed({FIRST: GIB // 4}), "30b": wish("30b"), "1b": wish("1b")}, limits)
    load(here, "vectors")
    here.pass_by(2.0)
    load(here, "30b")
    assert here.inside() == ["vectors", "30b"], "of which some experts are in RAM in any case"
    here.pass_by(2.0)
    load(here, "1b")
    assert here.inside() == ["vectors", "1b"]


def test_a_pinned_model_keeps_its_gpu_and_the_plan_goes_around_it() -> None:
    here = world("27b", "8b")
    pinned = load(here, "27b")
    pinned.is_pinned = True
    here.pass_by(5.0)
    other = load(here, "8b")
    assert devices(other) == {SECOND}
    assert here.inside() == ["27b", "8b"]


def test_what_no_device_holds_is_refused_with_the_number_that_decides() -> None:
    here = world("70b", limits={RAM: 16 * GIB, FIRST: 8 * GIB, SECOND: 0})
    here.want("70b")
    (refused,) = here.refused
    needed = plan(model("llama-3.3-70b"), MACHINE.offering({}), OPTIONS).rooms[0].take.weights
    assert "of RAM, and models may have 17.2 GB." in refused.refusal
    assert float(refused.refusal.split()[2]) * 1e9 > needed
    here.want("70b", is_person=True)
    assert here.refused[-1].refusal.startswith("Slow, less than 0.1 tokens/s"), "nobody leaves for what cannot be"


def test_a_model_whose_whole_context_has_no_place_has_all_there_is() -> None:
    limits = {RAM: 13 * GIB}
    machine = Machine(16 * GIB, 16 * GIB)
    large = wish("8b", machine, context=131_072)
    share = planned(lambda: large.within(limits, limits))
    assert share
    assert share.bytes == limits
    assert planned(lambda: large.within({RAM: 12 * GIB}, limits)) is None, "first all others leave"
    assert planned(lambda: large.lacking(limits)) is None


def test_plans_are_made_anew_only_where_a_room_is_another() -> None:
    made: list[Machine] = []

    def counted(machine: Machine, options: EngineOptions):  # type: ignore[no-untyped-def]
        made.append(machine)
        return plan(model("llama-3.1-8b"), machine, options)

    asked = Planned(counted, MACHINE, OPTIONS, lambda _: None)
    for less in range(20):
        room = {**LIMITS, RAM: 40 * GIB - less * (1 << 24)}
        assert planned(partial(asked.within, room, LIMITS))
    assert len(made) == 1, "what is free changes all the time"
    assert planned(lambda: asked.within({RAM: 40 * GIB, FIRST: 2 * GIB, SECOND: 10 * GIB}, LIMITS))
    assert len(made) == 2


@pytest.mark.parametrize("size", [0, 1, 5])
def test_a_plain_figure_is_taken_where_it_fits(size: int) -> None:
    share = Fixed({RAM: 4}).within({RAM: size}, {RAM: 10})
    assert (share and share.bytes) == ({RAM: 4} if size >= 4 else None)
