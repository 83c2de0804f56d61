"""Where the parts of a model go, and what is told of it. No device is asked and no file is made but headers."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

import pytest

from app.planner.alternatives import Alternatives
from app.planner.corrections import NONE, Correction
from app.planner.machine import RAM, Gpu, Machine
from app.planner.memory import Spread
from app.planner.model import Model
from app.planner.plan import Plan
from app.planner.planner import Planner, plan
from app.planner.verdict import Fits, Place
from backends.formats.gguf import read_header
from backends.protocol import DraftMode, EngineOptions, Keep, KVLayout, KVType
from tests.planner.shapes import all_shapes

GIB = 1 << 30
PLAIN = EngineOptions(draft=DraftMode.OFF)


@cache
def model(name: str) -> Model:
    shape = next(shape for shape in all_shapes() if shape.name == name)
    with TemporaryDirectory() as folder:
        return Model.of(read_header(shape.write(Path(folder))))


def machine(ram: float, *vram: float) -> Machine:
    gpus = tuple(Gpu(f"CUDA{n}", int(size * GIB), int(size * GIB)) for n, size in enumerate(vram))
    return Machine(int(ram * GIB), int(ram * GIB), gpus)


def check(found: Plan) -> None:
    """Whatever was chosen adds up, and fits if it says so."""
    model_ = found
    weights = sum(room.take.weights for room in model_.rooms)
    assert weights > 0
    if found.verdict.runs:
        assert all(room.is_enough for room in found.rooms)


def test_all_of_it_goes_to_a_gpu_that_holds_it() -> None:
    found = plan(model("llama-3.1-8b"), machine(32, 24), PLAIN)
    assert (found.spread.gpu_layers, found.spread.kept) == (33, 0)
    assert (found.verdict.fits, found.verdict.place) == (Fits.YES, Place.GPU)
    check(found)


def test_experts_leave_the_gpu_first_and_no_more_than_need_be() -> None:
    found = plan(model("qwen3-30b-a3b"), machine(32, 12), PLAIN)
    assert found.spread.keeps is Keep.EXPERTS
    assert found.spread.gpu_layers == 49
    assert 0 < found.spread.kept < 48
    fewer = replace(found.spread, kept=found.spread.kept - 1)
    assert not all(r.is_enough for r in Planner(model("qwen3-30b-a3b"), machine(32, 12), PLAIN).fitting(fewer).rooms)
    kept = f"the experts of {found.spread.kept} of 48 layers in RAM"
    assert found.verdict.sentence.startswith(f"Fits with {kept}: the GPU has ")
    check(found)


def test_of_a_dense_model_attention_stays_on_the_gpu_longest() -> None:
    found = plan(model("llama-3.3-70b"), machine(64, 24), PLAIN)
    assert found.spread.keeps is Keep.FEED_FORWARD
    assert found.spread.gpu_layers == 81
    check(found)


def test_where_not_even_that_fits_the_last_layers_go_there() -> None:
    found = plan(model("llama-3.3-70b"), machine(64, 8), PLAIN)
    assert found.spread.keeps is Keep.NOTHING
    assert 0 < found.spread.gpu_layers < 81
    check(found)


def test_a_gpu_without_room_for_a_buffer_is_left_to_others_and_the_cpu_works() -> None:
    """Not even what it takes to compute there fits."""
    small = plan(model("llama-3.2-1b"), machine(32, 0.25), PLAIN)
    assert (small.verdict.fits, small.verdict.place) == (Fits.WITH, Place.RAM)
    assert small.rooms[1].take.total == 0
    large = plan(model("llama-3.3-70b"), machine(64, 0.25), PLAIN)
    assert (large.verdict.fits, large.verdict.place) == (Fits.SLOW, Place.RAM)
    assert large.verdict.sentence.startswith("Slow, about 0.")
    assert " tokens/s on the CPU: " in large.verdict.sentence


def test_a_spread_that_somebody_asks_about_has_a_plan_though_the_gpu_holds_all_of_it() -> None:
    found = Planner(model("llama-3.2-1b"), machine(32, 24), PLAIN).fitting(Spread((8,)))
    assert (found.verdict.fits, found.verdict.place) == (Fits.YES, Place.SHARED)


def test_two_gpus_share_by_what_they_have_free() -> None:
    found = plan(model("llama-3.3-70b"), machine(64, 24, 48), PLAIN)
    first, second = found.spread.counts
    assert first + second == 81
    assert first < second
    assert found.placement.split == (first, second)
    check(found)


def test_a_number_of_layers_that_a_person_gives_holds() -> None:
    found = plan(model("llama-3.1-8b"), machine(32, 24), replace(PLAIN, gpu_layers=10))
    assert found.spread.gpu_layers == 10
    too_many = plan(model("llama-3.1-8b"), machine(32, 2), replace(PLAIN, gpu_layers=33))
    assert too_many.verdict.fits is Fits.NO
    assert too_many.verdict.needed > 4 * GIB


def test_what_only_the_disk_holds_is_slow_and_says_how() -> None:
    found = plan(model("llama-3.3-70b"), machine(16), PLAIN)
    assert found.verdict.place is Place.DISK
    assert not found.verdict.runs
    assert found.from_disk > 20 * GIB
    assert " tokens/s from the disk: RAM has " in found.verdict.sentence


def test_what_others_take_and_give_back_counts() -> None:
    whole = machine(32, 8)
    assert plan(model("llama-3.1-8b"), whole, PLAIN).verdict.place is Place.GPU
    taken = whole.without({"CUDA0": 4 * GIB})
    assert plan(model("llama-3.1-8b"), taken, PLAIN).verdict.place is Place.SHARED
    assert taken.without({"CUDA0": -4 * GIB}) == whole


def test_a_draft_model_has_its_part() -> None:
    options = EngineOptions(draft_model=Path("draft.gguf"))
    alone = plan(model("llama-3.1-8b"), machine(32), options)
    both = plan(model("llama-3.1-8b"), machine(32), options, model("llama-3.2-1b"))
    assert both.rooms[0].take.draft > model("llama-3.2-1b").num_bytes
    assert both.total - alone.total == both.rooms[0].take.draft
    off = plan(model("llama-3.1-8b"), machine(32), replace(options, draft=DraftMode.LOOKUP), model("llama-3.2-1b"))
    assert off.rooms[0].take.draft == 0


def test_a_draft_model_guesses_from_ram_if_that_lets_its_target_onto_the_gpu() -> None:
    target, draft = model("llama-3.1-8b"), model("llama-3.2-1b")
    options = EngineOptions(context=4096, draft_model=Path("draft.gguf"))
    roomy = plan(target, machine(32, 8), options, draft)
    assert roomy.placement.draft_gpu_layers == 17
    tight = plan(target, machine(32, 6), options, draft)
    assert (tight.placement.gpu_layers, tight.placement.kept) == (33, 0)
    assert tight.placement.draft_gpu_layers == 0
    assert tight.rooms[0].take.draft > draft.num_bytes
    assert tight.rooms[1].take.draft < roomy.rooms[1].take.draft / 2, "prompts are computed there all the same"
    check(tight)
    small = plan(target, machine(32, 4), options, draft)
    assert small.placement.kept, "where both cannot be whole the draft is on the GPU: it is read for each guess"
    assert small.placement.draft_gpu_layers == 17


def test_the_cache_is_counted_by_its_type_and_as_the_engine_lays_it() -> None:
    pool = replace(PLAIN, context=8192, kv_layout=KVLayout.UNIFIED)
    f16 = plan(model("llama-3.1-8b"), machine(32), pool).rooms[0].take.cache
    q8 = plan(model("llama-3.1-8b"), machine(32), replace(pool, kv_type_k=KVType.Q8_0, kv_type_v=KVType.Q8_0))
    assert f16 == 8192 * 32 * 2 * 8 * 128 * 2
    assert q8.rooms[0].take.cache == f16 * 34 // 64
    streams = plan(model("llama-3.1-8b"), machine(32), replace(pool, kv_layout=KVLayout.STREAMS))
    assert streams.rooms[0].take.cache == 5 * f16


def test_a_quantized_cache_is_offered_with_what_it_costs() -> None:
    whole, options = machine(7), replace(PLAIN, kv_layout=KVLayout.UNIFIED, prompt_cache_ram=0)
    found = plan(model("llama-3.1-8b"), whole, options)
    others = Alternatives(model("llama-3.1-8b"), whole, options).beside(found)
    quantized = next(other for other in others if "q8_0" in other.name)
    assert "tokens of context" in quantized.gain
    assert "KL divergence" in quantized.price
    longer = next(other for other in others if other.name.startswith("a context of"))
    assert longer.tokens
    again = plan(model("llama-3.1-8b"), whole, longer.change)
    assert again.verdict.runs
    too_long = plan(model("llama-3.1-8b"), whole, replace(longer.change, context=longer.tokens + 4096))
    assert not too_long.verdict.runs


def test_a_load_that_took_more_corrects_the_next_plan() -> None:
    correction = Correction.of({RAM: 100, "CUDA0": 200}, {RAM: 110, "CUDA0": 900})
    assert correction.factors == {RAM: pytest.approx(1.1)}  # the other is of something else
    before = plan(model("qwen3-0.6b"), machine(32), PLAIN)
    after = plan(model("qwen3-0.6b"), machine(32), PLAIN, correction=correction)
    assert after.rooms[0].take.compute == pytest.approx(1.1 * before.rooms[0].take.compute, abs=1)
    assert after.is_corrected
    assert Correction.of({RAM: 0}, {RAM: 5}) is NONE


@pytest.mark.parametrize("shape", [shape.name for shape in all_shapes()])
@pytest.mark.parametrize("memory", [(8,), (64, 8), (48, 12, 24)], ids=["small", "one GPU", "two GPUs"])
def test_every_shape_has_a_plan_that_adds_up(shape: str, memory: tuple[float, ...]) -> None:
    found = plan(model(shape), machine(*memory), EngineOptions())
    check(found)
    assert found.spread.gpu_layers <= len(model(shape).layers) + 1
    assert found.verdict.sentence


def test_a_plan_costs_next_to_nothing() -> None:
    """20 ms are promised; ten times as much processor time is what a bug would cost, and no busy machine."""
    begin = process_time()
    plan(model("deepseek-v3"), machine(512, 24, 24), EngineOptions())
    assert process_time() - begin < 0.2


def test_a_context_that_nobody_asked_for_is_shorter_where_that_fits() -> None:
    whole = machine(6.2)
    options = replace(PLAIN, prompt_cache_ram=0)
    found = plan(model("llama-3.1-8b"), whole, options)
    assert found.layout.context == 4096
    assert found.verdict.sentence == "Fits with a context of 4,096: RAM has 6.2 of 6.6 GB"
    asked = plan(model("llama-3.1-8b"), whole, replace(options, context=8192))
    assert not asked.verdict.runs
