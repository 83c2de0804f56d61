"""A device that is too small: told beforehand, gone round, and where somebody insists, an end that hurts no other."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.errors import EngineError
from app.inference.planning import Planning
from app.inference.snapshot import EngineSnapshot, EngineState
from app.inference.supervisor import Supervisor
from app.planner.machine import LEAST_MARGIN
from backends.protocol import DraftMode, EngineOptions, Generate
from tests.gpu.conftest import Confirmed, Load
from tests.gpu.test_placement import said
from tests.inference.conftest import Answer

pytestmark = pytest.mark.gpu

MIB = 1 << 20
OPTIONS = EngineOptions(context=512, parallel=1, draft=DraftMode.OFF, kv_grow=False)
FIELDS = {field: getattr(OPTIONS, field) for field in ("context", "parallel", "draft", "kv_grow")}
FORCED = {**FIELDS, "gpu_layers": 999}


def test_a_device_that_is_too_small_is_left_alone(
    load: Load, planning: Planning, tiny: Path, small_card: Callable[[int], None]
) -> None:
    small_card(LEAST_MARGIN)
    assert planning.plan(tiny, OPTIONS).spread.gpu_layers == 0
    handle = load(tiny, **FIELDS)
    assert handle.snapshot.ready
    assert (handle.snapshot.ready.device, handle.snapshot.ready.gpu_layers) == ("CPU", 0)
    assert handle.snapshot.ready.notes
    assert said(handle)


def test_a_device_that_holds_a_part_has_a_part(
    load: Load, confirmed: Confirmed, planning: Planning, tiny: Path, small_card: Callable[[int], None]
) -> None:
    whole = confirmed(tiny, OPTIONS)
    small_card(LEAST_MARGIN + whole.rooms[1].take.total - MIB)
    found = planning.plan(tiny, OPTIONS)
    assert found.rooms[1].is_enough
    assert 0 < found.rooms[1].take.total < whole.rooms[1].take.total
    handle = load(tiny, **FIELDS)
    assert handle.snapshot.ready
    assert handle.snapshot.ready.gpu_layers == found.spread.gpu_layers
    assert said(handle)


def test_a_load_that_is_forced_onto_it_is_refused_with_what_to_do(
    load: Load, supervisor: Supervisor, tiny: Path, small_card: Callable[[int], None]
) -> None:
    other = load(tiny, "other", gpu_layers=0)
    small_card(4 * MIB)
    handle = supervisor.load("forced", tiny, EngineOptions(**FORCED))  # type: ignore[arg-type]
    with pytest.raises(EngineError, match=r"does not fit into memory: .*fewer GPU layers"):
        handle.wait_ready()
    assert handle.snapshot.is_of_memory
    assert handle.snapshot.crash is None
    assert said(other)


def test_an_engine_that_others_leave_nothing_harms_no_other(
    load: Load, supervisor: Supervisor, tiny: Path, take_all: Callable[[], None]
) -> None:
    """Others take the rest between the load and the first step: it answers in what it has, or says why it cannot."""
    other = load(tiny, "other", gpu_layers=0)

    def hear(snapshot: EngineSnapshot) -> None:
        if snapshot.name == "forced" and snapshot.state is EngineState.READY:
            take_all()

    supervisor.subscribe(hear)
    handle = load(tiny, "forced", **FORCED)
    answer = Answer()
    handle.submit(Generate("long " * 300, max_tokens=2, ignore_eos=True), answer)
    answer.wait()
    if crash := handle.snapshot.crash:
        assert crash.is_of_memory
    assert said(other), "all else lives"
