"""A draft model beside its target, on another device, or in RAM: its guesses change no answer."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.inference.planning import Planning
from app.inference.supervisor import EngineHandle, Supervisor
from app.planner.machine import LEAST_MARGIN, Machine
from app.planner.planner import Planner
from backends.llama.told_buffers import RAM, WEIGHTS, by_device, told_buffers
from backends.protocol import DraftMode, EngineOptions, Placement
from tests.gpu import stand_in
from tests.gpu.conftest import Load
from tests.gpu.test_placement import EXACT, NUM_LAYERS, said
from tests.inference.conftest import SECONDS

pytestmark = pytest.mark.gpu

WHOLE = NUM_LAYERS + 1


@pytest.fixture
def drafting(draft: Path) -> dict[str, object]:
    return {"draft": DraftMode.MODEL, "draft_model": draft, "draft_length": 3, "context": 512, "parallel": 1, **EXACT}


@pytest.fixture
def unplanned(tmp_path: Path) -> Iterator[Supervisor]:
    """Whose loads are placed as the test says."""
    supervisor = Supervisor(tmp_path / "unplanned")
    yield supervisor
    supervisor.close()


def weights(handle: EngineHandle) -> dict[str, int]:
    return by_device(told_buffers(handle.log_path.read_text(errors="replace")), WEIGHTS)


def test_a_draft_guesses_on_another_device_than_its_target(
    unplanned: Supervisor, tiny: Path, drafting: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    if stand_in.is_used():
        monkeypatch.setenv("GGML_VK_VISIBLE_DEVICES", "0,0")  # the same one twice: two for llama.cpp
    plain = unplanned.load("plain", tiny, EngineOptions(gpu_layers=0, **{**drafting, "draft": DraftMode.OFF}))  # type: ignore[arg-type]
    devices = plain.wait_ready(SECONDS).devices
    if len(devices) < 2:
        pytest.skip("this machine has one GPU")
    placement = Placement(WHOLE, split=(0, WHOLE), draft_gpu_layers=WHOLE)
    handle = unplanned.load("apart", tiny, EngineOptions(placement=placement, **drafting))  # type: ignore[arg-type]
    assert "draft" in handle.wait_ready(SECONDS).draft
    found = weights(handle)
    assert found[devices[0].name] == found[devices[1].name] > 0, "the same weights, on each of them"
    assert said(handle) == said(plain)


def test_where_both_do_not_fit_the_draft_guesses_from_ram(
    load: Load, planning: Planning, tiny: Path, draft: Path, drafting: dict[str, object],
    small_card: Callable[[int], None],
) -> None:  # fmt: skip
    plain = said(load(tiny, "plain", gpu_layers=0, **{**drafting, "draft": DraftMode.OFF}))
    roomy, options = planning.machine(), EngineOptions(**drafting)  # type: ignore[arg-type]
    small_card(LEAST_MARGIN + _least_of_both(planning, roomy, tiny, draft, options) - 1)
    found = planning.plan(tiny, options)
    assert found.placement.gpu_layers == WHOLE
    assert found.placement.draft_gpu_layers == 0
    handle = load(tiny, "split", **drafting)
    ready = handle.wait_ready(SECONDS)
    assert (ready.gpu_layers, ready.notes) == (
        WHOLE,
        ("The draft model stays in RAM: the GPU's memory is too small for both.",),
    )
    assert weights(handle)[RAM] > ready.gpu_bytes, "the draft's, and the target's input"
    assert said(handle) == plain


def _least_of_both(planning: Planning, machine: Machine, tiny: Path, draft: Path, options: EngineOptions) -> int:
    """Bytes of the GPU that both take there with the smallest micro-batches."""
    planner = Planner(planning.model(tiny), machine, options, planning.model(draft))
    return planner.fitting(planner.plan().spread, rows=128).rooms[1].take.total
