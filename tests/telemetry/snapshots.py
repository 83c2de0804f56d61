"""Engines as they tell of themselves, made up."""

from dataclasses import replace
from pathlib import Path

from app.inference.snapshot import EngineSnapshot, EngineState
from backends.protocol import Cells, DeviceMemory, Ready, Stats

GIB, MIB = 2**30, 2**20
DEVICE = DeviceMemory("CUDA0", 14 * GIB, 24 * GIB)
READY = Ready(
    name="M",
    architecture="llama",
    num_parameters=8_000_000_000,
    model_bytes=8 * GIB,
    context=4096,
    context_trained=8192,
    parallel=4,
    num_layers=32,
    gpu_layers=33,
    device="CUDA0 (RTX)",
    threads=4,
    kv_type_k="f16",
    kv_type_v="f16",
    flash_attention="auto",
    draft="off",
    build="test",
    load_seconds=1.0,
    has_chat_template=True,
    gpu_bytes=8 * GIB,
)
STATS = Stats(
    num_running=0,
    num_waiting=0,
    cells=Cells(0, 512, 4096),
    rss_bytes=GIB,
    devices=(DEVICE,),
    num_steps=0,
    num_tokens=0,
    num_prompt_tokens=0,
    num_cached_tokens=0,
    num_drafted=0,
    num_accepted=0,
    decode_us=0,
    step_us=0,
)


def snapshot(
    stats: Stats | None = STATS, ready: Ready | None = READY, state: EngineState = EngineState.READY, name: str = "M"
) -> EngineSnapshot:
    return EngineSnapshot(name, Path("/models/m.gguf"), state, 1.0, ready, stats, None, None)


def on_cpu() -> Ready:
    return replace(READY, gpu_layers=0, gpu_bytes=0, device="CPU")
