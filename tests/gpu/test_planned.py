"""Models that the device holds in part: what is planned is what is loaded, and it answers."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.inference.planning import Planning
from app.inference.supervisor import EngineHandle
from app.planner.plan import Plan
from app.planner.verdict import Place
from backends.llama.told_buffers import CACHE, RAM, WEIGHTS, told_buffers
from backends.protocol import DraftMode, EngineOptions, Keep
from tests.gpu import weights
from tests.gpu.conftest import Confirmed, Load
from tests.gpu.test_placement import said

pytestmark = pytest.mark.gpu

MIB, GIB = 1 << 20, 1 << 30
OPTIONS = EngineOptions(context=1024, parallel=1, draft=DraftMode.OFF, kv_grow=False, prompt_cache_ram=0)
FIELDS = {field: getattr(OPTIONS, field) for field in ("context", "parallel", "draft", "kv_grow", "prompt_cache_ram")}
DENSE = weights.Shape(layers=27)  # 3 GiB
MIXTURE = weights.Shape(layers=8, width=1024, wide=2048, heads=8, num_experts=16, num_used=2)  # 1.6 GiB
NEVER_UNDER, AT_MOST = 0.97, 1.06  # of what is measured


@pytest.fixture
def large(tmp_path: Path, tiny: Path) -> Path:
    path = weights.write(tmp_path / "large.gguf", DENSE, like=tiny)
    assert path.stat().st_size > 3 * GIB - 64 * MIB
    return path


def measured(handle: EngineHandle, planning: Planning, before: int) -> int:
    """Bytes of the first GPU that the engine has taken, all that it will need being there after an answer."""
    assert said(handle, max_tokens=2)
    return before - planning.machine().gpus[0].free


def check(found: Plan, took: int) -> None:
    gpu = found.rooms[1]
    assert NEVER_UNDER * took <= gpu.take.total <= AT_MOST * took, (gpu.take, took)
    assert took <= gpu.usable


def test_three_gibibytes_of_weights_run_on_a_device_of_two(
    load: Load, planning: Planning, confirmed: Confirmed, large: Path
) -> None:
    before, found = planning.machine().gpus[0], confirmed(large, OPTIONS)
    if before.total > 2 * GIB:
        pytest.skip("this device holds it whole")
    assert found.verdict.place is Place.SHARED
    handle = load(large, "large", **FIELDS)
    ready = handle.snapshot.ready
    assert ready
    assert ready.gpu_layers == found.spread.gpu_layers
    assert ready.gpu_bytes == pytest.approx(found.rooms[1].take.weights, rel=0.001)
    assert f"{found.verdict.sentence}." in ready.notes
    check(found, measured(handle, planning, before.free))


def test_experts_stay_in_ram_where_a_mixture_is_too_large(
    load: Load, planning: Planning, confirmed: Confirmed, small_card: Callable[[int], None], tmp_path: Path, tiny: Path
) -> None:
    small_card(512 * MIB)
    path = weights.write(tmp_path / "mixture.gguf", MIXTURE, like=tiny)
    before, found = planning.machine().gpus[0], confirmed(path, OPTIONS)
    assert found.spread.keeps is Keep.EXPERTS
    handle = load(path, "mixture", **FIELDS)
    told = told_buffers(handle.log_path.read_text(errors="replace"))
    assert handle.snapshot.ready
    assert handle.snapshot.ready.gpu_layers == MIXTURE.layers + 1
    assert told[before.name, WEIGHTS] == pytest.approx(found.rooms[1].take.weights, rel=0.001)
    assert told[RAM, CACHE] == 0, "attention is on the device in every layer"
    check(found, measured(handle, planning, before.free))
