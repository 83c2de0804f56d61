"""A draft model beside its target, or in RAM: its guesses change no answer."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.inference.supervisor import EngineHandle, Supervisor
from backends.llama.told_buffers import RAM, WEIGHTS, by_device, told_buffers
from backends.protocol import DraftMode, EngineOptions, Placement
from tests.gpu import stand_in
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


def test_a_draft_guesses_beside_its_target_on_the_second_device(
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
    ready, found = handle.wait_ready(SECONDS), weights(handle)
    assert "draft" in ready.draft
    assert devices[0].name not in found
    assert found[devices[1].name] == 2 * ready.gpu_bytes, "the same weights twice"
    assert said(handle) == said(plain)


def test_a_draft_guesses_from_ram_for_a_target_on_the_device(
    unplanned: Supervisor, tiny: Path, drafting: dict[str, object]
) -> None:
    plain = unplanned.load("plain", tiny, EngineOptions(gpu_layers=0, **{**drafting, "draft": DraftMode.OFF}))  # type: ignore[arg-type]
    plain.wait_ready(SECONDS)
    options = EngineOptions(placement=Placement(WHOLE, draft_gpu_layers=0), **drafting)  # type: ignore[arg-type]
    handle = unplanned.load("split", tiny, options)
    ready = handle.wait_ready(SECONDS)
    assert ready.gpu_layers == WHOLE
    assert "draft" in ready.draft
    assert weights(handle)[RAM] > ready.gpu_bytes, "the draft's, and the target's input"
    assert said(handle) == said(plain)
