"""The speed of an answer, by the bytes that a token reads and the rates of this machine."""

from dataclasses import replace

import pytest

from app.planner.machine import Gpu, Machine
from app.planner.planner import plan
from app.planner.sizing import Sizing
from app.planner.speed import estimate, step_bytes
from backends.protocol import DraftMode, EngineOptions, KVLayout, KVType
from tests.planner.test_planner import GIB, model

OPTIONS = EngineOptions(context=4096, kv_layout=KVLayout.UNIFIED, draft=DraftMode.OFF)
RATES = {"F16": 10e9, "Q8_0": 10e9, "Q4_K": 5e9, "Q6_K": 4e9}
CPU = Machine(64 * GIB, 64 * GIB, rates=RATES, layer_seconds=0.0)


def test_each_type_has_a_rate_of_its_own() -> None:
    llama = model("llama-3.1-8b")
    head = llama.others["output"].num_bytes  # Q6_K; what is looked up of the input counts for nothing
    layers = sum(layer.num_bytes for layer in llama.layers)
    found = plan(llama, CPU, OPTIONS).speed
    assert 1 / found.tokens == pytest.approx(layers / 5e9 + head / 4e9, rel=0.03)  # and a little for keys and values
    assert found.is_measured


def test_of_a_mixture_only_the_experts_that_are_used_are_read() -> None:
    moe = model("qwen3-30b-a3b")
    assert plan(moe, CPU, OPTIONS).speed.tokens > 5 * 5e9 / moe.num_bytes


def test_what_a_layer_takes_whatever_it_weighs_is_added() -> None:
    llama = model("llama-3.2-1b")
    slow = replace(CPU, layer_seconds=0.001)
    seconds = [1 / plan(llama, each, OPTIONS).speed.tokens for each in (CPU, slow)]
    assert seconds[1] - seconds[0] == pytest.approx(16 * 0.001, rel=0.01)


def test_the_more_is_on_the_gpu_the_quicker_it_is() -> None:
    speeds = [
        plan(
            model("qwen3-30b-a3b"), replace(CPU, gpus=(Gpu("CUDA0", int(size * GIB), int(size * GIB), 300e9),)), OPTIONS
        )
        for size in (6, 12, 40)
    ]
    tokens = [each.speed.tokens for each in speeds]
    assert tokens == sorted(tokens)
    assert tokens[0] > plan(model("qwen3-30b-a3b"), CPU, OPTIONS).speed.tokens


def test_without_rates_of_its_own_an_estimate_says_so() -> None:
    found = plan(model("llama-3.1-8b"), Machine(64 * GIB, 64 * GIB), OPTIONS)
    assert not found.speed.is_measured
    assert found.speed.tokens > 0


def test_what_comes_from_the_disk_is_read_anew_for_each_token() -> None:
    small = Machine(16 * GIB, 16 * GIB, rates=RATES, disk_rate=1e9)
    found = plan(model("llama-3.3-70b"), small, OPTIONS)
    assert 1 / found.speed.tokens > found.from_disk / 1e9


def test_the_deeper_the_more_a_token_reads() -> None:
    llama = model("llama-3.1-8b")
    found = plan(llama, CPU, OPTIONS)
    near, far = (step_bytes(llama, found.sizing, depth) for depth in (0, 4096))
    weights = sum(layer.num_bytes for layer in llama.layers) + llama.others["output"].num_bytes
    assert near == pytest.approx(weights, rel=0.001)
    assert far - near == 4096 * 32 * 2 * 8 * 128 * 2, "keys and values of 32 layers, 8 heads of 128, in f16"
    speeds = [estimate(llama, found.sizing, found.spread, CPU, depth=depth).tokens for depth in (0, 512, 4096)]
    assert speeds == sorted(speeds, reverse=True)
    assert speeds[1] == found.speed.tokens


def test_rates_of_a_busy_machine_are_told() -> None:
    assert plan(model("llama-3.1-8b"), CPU, OPTIONS).speed.is_quiet
    assert not plan(model("llama-3.1-8b"), replace(CPU, rates_are_quiet=False), OPTIONS).speed.is_quiet


def test_a_micro_batch_that_was_asked_for_stays() -> None:
    options = replace(OPTIONS, batch=1024, micro_batch=768)
    assert plan(model("llama-3.1-8b"), CPU, options).sizing.batch.tokens == 768
    small = replace(CPU, gpus=(Gpu("CUDA0", 2 * GIB, 2 * GIB),))
    assert plan(model("llama-3.1-8b"), small, options).sizing.batch.tokens == 768


def test_on_a_processor_the_heads_have_a_rate_of_their_own() -> None:
    llama = model("llama-3.1-8b")
    known = replace(CPU, attention={"f16": 1e9, "flash f16": 2e9, "flash q8_0": 4e9})
    found = plan(llama, known, OPTIONS)
    assert found.sizing.batch.flash_attention

    def seconds(machine: Machine, sizing: Sizing) -> float:
        return 1 / estimate(llama, sizing, found.spread, machine, depth=512).tokens

    weights = 1 / estimate(llama, found.sizing, found.spread, CPU, depth=0).tokens
    numbers = 768 * 32 * 32 * 256  # cells with llama.cpp's padding, layers, heads, a key and a value
    assert seconds(known, found.sizing) - weights == pytest.approx(numbers / 2e9, rel=0.001)
    quantized = replace(found.sizing, batch=replace(found.sizing.batch, type_k=KVType.Q8_0, type_v=KVType.Q8_0))
    assert seconds(known, quantized) - weights == pytest.approx(numbers / 4e9, rel=0.001)
