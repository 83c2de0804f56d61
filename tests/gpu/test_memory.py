"""What a device has left, while others use it and after they have gone, and that the next plan knows it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from app.inference.planning import Planning
from app.inference.supervisor import Supervisor
from app.planner.verdict import Place
from backends.protocol import DraftMode, EngineOptions
from tests.gpu.children import Seen
from tests.gpu.conftest import BYTES_PER_CELL, Load
from tests.patience import until
from tests.planner.shapes import all_shapes

pytestmark = pytest.mark.gpu

MIB, GIB = 1 << 20, 1 << 30
NUM_CELLS = 1 << 16
UNTOLD = "this device does not tell how much of it is free"


def free(planning: Planning) -> int:
    return planning.machine().gpus[0].free


def test_unloading_gives_the_memory_back(in_child: Callable[..., Seen], tiny: Path) -> None:
    seen = in_child("load_and_unload", path=tiny, num_cells=NUM_CELLS)
    if seen.loaded == seen.before:
        pytest.skip(UNTOLD)
    assert seen.before - seen.loaded > NUM_CELLS * BYTES_PER_CELL
    assert seen.after >= seen.before - MIB, "what leaks would have added up over three loads"


def test_a_model_that_is_unloaded_is_gone_before_the_next_plan(
    load: Load, supervisor: Supervisor, planning: Planning, tiny: Path
) -> None:
    before = free(planning)
    load(tiny, context=NUM_CELLS, kv_grow=False, draft=DraftMode.OFF)
    if free(planning) == before:
        pytest.skip(UNTOLD)
    assert before - free(planning) > NUM_CELLS * BYTES_PER_CELL
    supervisor.unload("tiny")
    assert free(planning) >= before - MIB


def test_what_another_process_holds_is_not_free_and_the_next_plan_knows(
    planning: Planning, held: Callable[[int], AbstractContextManager[None]], tmp_path: Path
) -> None:
    """Half of the device: what went there whole goes there in part, and whole again afterwards."""
    shape = next(shape for shape in all_shapes() if shape.name == "llama-3.2-1b")
    file, options = shape.write(tmp_path), EngineOptions(context=2048, parallel=1, draft=DraftMode.OFF)
    before = free(planning)
    with held(GIB):
        during = free(planning)
        if during == before:
            pytest.skip(UNTOLD)
        assert before - during >= GIB
        if planning.machine().gpus[0].total <= 2 * GIB:
            assert planning.plan(file, options).verdict.place is not Place.GPU
    until(lambda: free(planning) >= before - MIB)
    assert planning.plan(file, options).verdict.place is Place.GPU
