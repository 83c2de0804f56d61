"""What is planned is what llama.cpp allocates: published shapes, asked of llama.cpp itself."""

from pathlib import Path

import pytest

from app.jobs.child import run_in_child
from app.planner.graph.lying import Lying
from app.planner.graph.whole import compute_bytes
from app.planner.model import Model
from app.planner.sizing import Sizing, size
from backends.formats.gguf import read_header
from backends.measurement import Buffers, ContextWish
from backends.protocol import DraftMode, EngineOptions, FlashAttention, KVLayout, KVType
from tests.planner.shapes import all_shapes

MIB = 1 << 20
SHAPES = ("llama-3.2-1b", "qwen3-30b-a3b", "gemma-3-4b", "deepseek-v2-lite", "lfm2-1.2b", "mamba-2.8b")
PLAIN = EngineOptions(context=8192, draft=DraftMode.OFF)
STREAMS = EngineOptions(context=4096, kv_layout=KVLayout.STREAMS, draft=DraftMode.OFF, kv_type_k=KVType.Q8_0)
WRITTEN_OUT = EngineOptions(context=4096, draft=DraftMode.OFF, flash_attention=FlashAttention.OFF)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("shapes")


def planned(model: Model, sizing: Sizing) -> Buffers:
    return Buffers(
        {"RAM": compute_bytes(model, sizing.batch, Lying.in_ram(len(model.layers)))[0]},
        sum(sizing.cache_bytes(model, layer) for layer in model.layers),
        sum(sizing.state_bytes(model, layer) for layer in model.layers),
        0,
    )


def measured(path: Path, options: EngineOptions, sizing: Sizing, log: Path) -> Buffers:
    batch = sizing.batch
    wish = ContextWish(
        sizing.cells, sizing.layout.num_slots, batch.is_unified, batch.tokens, batch.flash_attention, batch.snapshots
    )  # fmt: skip
    found = run_in_child("backends.llama.dry_load:measure", log_path=log, model=path, options=options, wish=wish)
    assert isinstance(found, Buffers)
    return found


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("options", [PLAIN, STREAMS, WRITTEN_OUT], ids=["plain", "streams of q8_0", "no flash"])
def test_buffers_are_planned_as_llama_cpp_makes_them(
    name: str, options: EngineOptions, folder: Path, tmp_path: Path
) -> None:
    if name == "deepseek-v2-lite" and options is STREAMS:
        pytest.skip("keys and values are one there, and have one type")
    path = next(shape for shape in all_shapes() if shape.name == name).write(folder)
    model = Model.of(read_header(path))
    sizing = size(model, options, free=0, on_gpu=False)
    reckoned, found = planned(model, sizing), measured(path, options, sizing, tmp_path / "log")
    assert reckoned.compute["RAM"] == pytest.approx(found.compute["RAM"], rel=0.06)  # of all together: below 0.01
    assert reckoned.cache == pytest.approx(found.cache, abs=MIB / 10)
    assert reckoned.states == pytest.approx(found.states, abs=MIB / 10)
