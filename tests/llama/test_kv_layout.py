"""One pool of cells or a stream for each sequence: who decides, the same text in both, and what only one does."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from app.inference.supervisor import EngineHandle, Supervisor
from backends.engine.runner import KVFull, Size, Step
from backends.engine.sequence import Sequence
from backends.kv_layout import Layout, choose, micro_batch
from backends.llama import native
from backends.llama.binding import lib
from backends.llama.context import ContextParams, NativeContext
from backends.llama.context_making import make_context
from backends.llama.native import NativeModel
from backends.llama.runner import LlamaRunner
from backends.protocol import CacheMiss, DraftMode, EngineOptions, FlashAttention, KVLayout, Placement, SamplingParams
from tests.inference.conftest import Answer
from tests.llama.conftest import Load
from tests.llama.test_engine import EXACT, PROMPTS, start, timings
from tests.llama.test_prompt_tiers import restart
from tests.patience import PATIENCE

LAYOUTS = [KVLayout.UNIFIED, KVLayout.STREAMS]
GIB = 1 << 30


def chosen(
    layout: KVLayout = KVLayout.AUTO,
    parallel: int = 8,
    context: int = 4096,
    free: int = 8 * GIB,
    is_recurrent: bool = False,
) -> Layout:
    options = EngineOptions(parallel=parallel, kv_layout=layout)
    return choose(options, context, bytes_per_token=57_344, free=free, is_recurrent=is_recurrent)


def test_streams_are_chosen_when_a_quarter_of_the_free_memory_holds_them() -> None:
    needed = 9 * 4096 * 57_344  # eight answers, and one slot to let a conversation stay
    assert chosen(free=4 * needed).kind is KVLayout.STREAMS
    assert chosen(free=4 * needed - 4).kind is KVLayout.UNIFIED
    assert chosen(parallel=1, free=needed).kind is KVLayout.STREAMS, "one answer, and one that stays"


def test_each_stream_has_the_whole_context_and_few_slots_stay_resident() -> None:
    streams = chosen(KVLayout.STREAMS, parallel=3, context=1000)
    assert (streams.limit, streams.limit.total(streams.is_unified)) == (Size(1024, 4), 4096)
    unified = chosen(KVLayout.UNIFIED, parallel=3, context=1000)
    assert (unified.context, unified.limit.total(unified.is_unified)) == (1024, 1024)
    assert unified.num_slots > 10
    assert chosen(KVLayout.UNIFIED, parallel=256).num_slots == 256, "llama.cpp takes no more"


@pytest.mark.parametrize("kind", LAYOUTS)
@pytest.mark.parametrize("parallel", [1, 8])
def test_what_a_person_asks_for_is_done_but_for_a_state_of_fixed_size(kind: KVLayout, parallel: int) -> None:
    layout = chosen(kind, parallel, free=1)
    assert layout.kind is kind
    assert "asked for" in layout.reason
    recurrent = chosen(kind, parallel, is_recurrent=True)
    assert recurrent.kind is KVLayout.UNIFIED
    assert "fixed size" in recurrent.reason


def test_a_context_begins_with_what_a_first_question_needs() -> None:
    assert chosen(KVLayout.STREAMS, parallel=3).start(is_recurrent=False) == Size(512, 1)
    assert chosen(KVLayout.STREAMS, parallel=3, context=200).start(is_recurrent=False) == Size(256, 1)
    assert chosen(KVLayout.UNIFIED, parallel=3).start(is_recurrent=False) == Size(512, 15), "slots cost nothing"
    assert chosen(KVLayout.UNIFIED, parallel=3).start(is_recurrent=True) == Size(512, 1), "each holds a state"


def test_a_context_begins_with_as_many_cells_as_a_step_has_tokens() -> None:
    """llama.cpp takes no larger batch than there are cells."""
    layout = chosen(KVLayout.STREAMS, parallel=3)
    assert layout.start(is_recurrent=False, batch=1000) == Size(1024, 1)
    assert layout.start(is_recurrent=False, batch=64) == Size(512, 1)
    assert layout.start(is_recurrent=False, batch=8192) == Size(layout.context, 1)


@pytest.mark.parametrize(
    ("batch", "rows", "expected"), [(None, None, (512, 512)), (1024, 256, (1024, 256)), (64, None, (64, 64))]
)
def test_how_many_tokens_a_step_takes_and_computes_at_once_is_an_option(
    model: NativeModel, batch: int | None, rows: int | None, expected: tuple[int, int]
) -> None:
    options = EngineOptions(context=2048, threads=1, batch=batch, micro_batch=rows, flash_attention=FlashAttention.ON)
    layout = chosen(KVLayout.STREAMS, parallel=1, context=2048)
    with make_context(model, options, layout, None, Placement(0, rows=384) if rows else None) as context:
        assert (lib.llama_n_batch(context.pointer), lib.llama_n_ubatch(context.pointer)) == expected


def test_the_reason_has_the_numbers() -> None:
    reason = "Every conversation attends to its own cells alone, and 2.0 GiB for that are there"
    assert chosen(free=8 * GIB).reason == f"{reason}: 9 streams of 4096 tokens each."
    reason = "Streams would take 2.0 GiB, more than a quarter of the 4.0 GiB that are free."
    assert chosen(free=4 * GIB).reason == reason


@pytest.mark.parametrize("flash", ["auto", "on", "off"])
def test_without_flash_attention_fewer_rows_are_computed_at_once(model: NativeModel, flash: str) -> None:
    """Unless a device computes them, or a mixture's experts would have too few each."""
    with NativeContext(model, ContextParams(512, 1, 512, 1, flash_attention=flash)) as context:
        for num_cells in (1024, 512):
            context.resize(num_cells, 1)
            assert lib.llama_n_ubatch(context.pointer) == (128 if flash == "off" else 512)
    assert micro_batch(flash, on_gpu=True, is_mixture=False) == 512
    assert micro_batch(flash, on_gpu=False, is_mixture=True) == 512


def ask_all(handle: EngineHandle) -> list[str]:
    prompts = [*PROMPTS, *(tuple(range(20 + n, 100 + 7 * n)) for n in range(4))]
    return [answer.wait().text for answer in [start(handle, prompt) for prompt in prompts]]


def test_both_layouts_give_the_same_greedy_text(load: Load, tiny: Path, tiny_draft: Path) -> None:
    texts = []
    for kind in LAYOUTS:
        handle = load(tiny, name=kind, parallel=6, kv_layout=kind, draft_model=tiny_draft, draft_length=3, **EXACT)
        ready = handle.snapshot.ready
        assert ready is not None
        assert (ready.kv_layout, ready.context) == (kind, 2048)
        assert ready.kv_layout_reason
        texts.append(ask_all(handle))
        stats = handle.snapshot.stats
        assert stats is not None
        assert stats.kv_layout is kind
        assert stats.cells.limit == (2048 if kind is KVLayout.UNIFIED else 7 * 2048)
        assert 512 <= stats.cells.allocated <= stats.cells.limit
    assert texts[0] == texts[1]


def test_by_itself_a_small_model_is_loaded_in_streams_for_eight_answers(load: Load, tiny: Path) -> None:
    ready = load(tiny, parallel=8).snapshot.ready
    assert ready is not None
    assert (ready.kv_layout, ready.context) == (KVLayout.STREAMS, 2048)


def test_a_running_sequence_shares_its_prefix_with_another_stream(load: Load, tiny: Path) -> None:
    handle = load(tiny, kv_layout=KVLayout.STREAMS, draft=DraftMode.OFF, **EXACT)
    prompt = tuple(range(20, 320))
    alone = load(tiny, name="alone", draft=DraftMode.OFF, parallel=1, **EXACT)
    running = start(handle, prompt, max_tokens=1500)
    assert running.begun.wait(PATIENCE)
    late = start(handle, (*prompt[:250], 7, 8, 9))
    account = timings(late)
    assert not running.ended.is_set(), "the prefix was to be that of a running sequence"
    assert (account.cache_n, account.prompt_n) == (250, 3)
    assert late.text == start(alone, (*prompt[:250], 7, 8, 9)).wait().text
    assert running.wait().text == start(alone, prompt, max_tokens=1500).wait().text


def test_the_next_turn_goes_on_in_its_own_stream_and_others_come_back_from_ram(load: Load, tiny: Path) -> None:
    handle = load(tiny, kv_layout=KVLayout.STREAMS, parallel=1, draft=DraftMode.OFF, **EXACT)
    chats = [tuple(range(20 + 100 * n, 110 + 100 * n)) for n in range(3)]
    answers = [start(handle, chat).wait() for chat in chats]
    last = timings(start(handle, (*chats[2], 7)))
    assert (last.cache_resident_n, last.prompt_n) == (90, 1)
    first = start(handle, chats[0]).wait()
    assert (timings(first).cache_ram_n, timings(first).prompt_n) == (89, 1)
    assert first.text == answers[0].text


def test_a_state_of_the_other_layout_is_a_miss(load: Load, supervisor: Supervisor, tiny: Path, tmp_path: Path) -> None:
    prompt = tuple(range(20, 320))
    folder = tmp_path / "prompts"
    start(restart(load, supervisor, tiny, folder, kv_layout=KVLayout.UNIFIED), prompt).wait()
    streams = restart(load, supervisor, tiny, folder, kv_layout=KVLayout.STREAMS)
    account = timings(start(streams, prompt))
    assert (account.cache_n, account.cache_miss) == (0, CacheMiss.OTHER_BUILD)
    again = restart(load, supervisor, tiny, folder, kv_layout=KVLayout.STREAMS)
    assert timings(start(again, prompt)).cache_disk_n == 299


@pytest.fixture(scope="module")
def model(tiny: Path) -> Iterator[NativeModel]:
    native.start()
    with NativeModel(tiny) as model:
        yield model


def make(model: NativeModel, num_slots: int, num_cells: int, is_unified: bool) -> NativeContext:
    kinds = {"kv_type_k": "f32", "kv_type_v": "f32", "flash_attention": "off"}
    return NativeContext(model, ContextParams(num_cells, num_slots, 256, 1, **kinds, is_unified=is_unified))


def step(runner: LlamaRunner, *seqs: Sequence) -> None:
    """Decode what is pending, and append what comes."""
    steps = [Step(seq, seq.tokens[seq.num_computed :]) for seq in seqs]
    for seq, sampled in zip(seqs, runner.run(steps), strict=True):
        seq.num_computed = len(seq.tokens)
        seq.append(sampled[0])


def sequence(slot: int, tokens: list[int]) -> Sequence:
    return Sequence(slot, list(tokens), max_tokens=10_000, slot=slot)


@pytest.mark.parametrize("is_unified", [True, False])
def test_rows_are_decoded_by_ascending_slot_and_answered_in_the_order_asked(
    model: NativeModel, is_unified: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = [list(range(10 + 5 * slot, 20 + 9 * slot)) for slot in range(4)]
    with make(model, 4, 4 * 256, is_unified) as context:
        runner = LlamaRunner(context, 4)
        slots: list[int] = []
        set_slots = context.batch._set_slots
        monkeypatch.setattr(context.batch, "_set_slots", lambda a, b, slot: (slots.append(slot), set_slots(a, b, slot)))
        seqs = [sequence(slot, prompts[slot]) for slot in (2, 0, 3, 1)]
        for _ in range(6):
            step(runner, *seqs)
            assert slots == [0, 1, 2, 3]
            slots.clear()
        monkeypatch.undo()
        for seq in seqs:
            assert seq.slot is not None
            runner.truncate(seq.slot, 0)
            alone = sequence(seq.slot, prompts[seq.slot])
            for _ in range(6):
                step(runner, alone)
            assert alone.tokens == seq.tokens


@pytest.mark.parametrize("is_unified", [True, False])
def test_a_copy_is_made_at_once(model: NativeModel, is_unified: bool) -> None:
    """llama_memory_seq_cp between streams is made in the next decode, from whatever the source holds by then."""
    prompt, other = list(range(20, 90)), list(range(200, 290))
    with make(model, 4, 4 * 256, is_unified) as context:
        runner = LlamaRunner(context, 4)
        source, kept = sequence(0, prompt), sequence(1, other)
        step(runner, source)
        step(runner, kept)
        state = runner.save(1, len(other))
        runner.copy(0, 2, 50)
        runner.truncate(0, 0)
        runner.restore(0, state)  # the source holds something else before anything is decoded
        late = sequence(2, prompt)
        late.num_computed = 50
        for _ in range(8):
            step(runner, late)
        alone = sequence(3, prompt)
        for _ in range(8):
            step(runner, alone)
        assert late.tokens == alone.tokens


def test_one_pool_wastes_at_most_four_percent_at_mixed_lengths(model: NativeModel) -> None:
    """Sequences of 1 to 161 tokens, then all of them grow until no cell is free for the next step."""
    num_slots = 24
    with make(model, num_slots, 2048, is_unified=True) as context:
        runner = LlamaRunner(context, num_slots)
        seqs = [sequence(slot, [5 + slot] * (1 + 7 * slot)) for slot in range(num_slots)]
        assert len({len(seq.tokens) for seq in seqs}) == num_slots
        for seq in seqs:
            step(runner, seq)
        with suppress(KVFull):
            while True:
                step(runner, *seqs)
        num_held = sum(seq.num_computed for seq in seqs)
        assert runner.num_cells == 2048
        assert num_held >= 0.96 * runner.num_cells, f"{num_held} of {runner.num_cells} cells hold a token"


def test_sampled_answers_in_streams_are_those_of_one_pool(load: Load, tiny: Path) -> None:
    texts: list[list[str]] = []
    for kind in LAYOUTS:
        handle = load(tiny, name=kind, parallel=4, kv_layout=kind, draft=DraftMode.OFF, **EXACT)
        params = [SamplingParams(temperature=0.9, seed=seed) for seed in range(6)]
        answers: list[Answer] = [start(handle, PROMPTS[0], sampling=sampling) for sampling in params]
        texts.append([answer.wait().text for answer in answers])
    assert texts[0] == texts[1]
