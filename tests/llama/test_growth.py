"""A KV cache that grows: the same text as one that was allocated at once, with less memory until it is needed."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from app.inference.supervisor import EngineHandle
from backends.drafting.speculation import Speculation
from backends.engine.prefix_cache import PrefixCache
from backends.engine.runner import CellsLost, KVFull, NoMemory, Size
from backends.engine.scheduler import Scheduler
from backends.engine.sequence import Sequence
from backends.llama import allowance, context, native
from backends.llama.allowance import Allowance
from backends.llama.context import ContextParams, NativeContext
from backends.llama.native import NativeError, NativeModel
from backends.llama.runner import LlamaRunner
from backends.llama.states import States
from backends.llama.told_buffers import RAM
from backends.prompt_cache.state import Payload
from backends.protocol import Cells, DraftMode, KVLayout, Overflow
from tests.inference.conftest import Answer
from tests.llama import lora, tiny_models
from tests.llama.certificate import answers
from tests.llama.conftest import Load
from tests.llama.test_engine import EXACT, start, timings
from tests.llama.test_kv_layout import LAYOUTS, make, sequence, step
from tests.patience import until

LONG = tuple(20 + 7 * n % 400 for n in range(700))
MANY = 4096  # cells for which there is no memory


@pytest.fixture(scope="module")
def model(tiny: Path) -> Iterator[NativeModel]:
    native.start()
    with NativeModel(tiny) as model:
        yield model


def runner_of(model: NativeModel, size: Size, *, is_unified: bool) -> LlamaRunner:
    num_cells = size.cells * (1 if is_unified else size.slots)
    return LlamaRunner(make(model, size.slots, num_cells, is_unified), size.slots, Size(2048, 6))


def say(runner: LlamaRunner, seqs: list[Sequence], num_tokens: int) -> None:
    for _ in range(num_tokens):
        step(runner, *seqs)


@pytest.mark.parametrize("is_unified", [True, False])
def test_every_slot_goes_on_in_a_context_of_another_size(model: NativeModel, is_unified: bool) -> None:
    texts: list[list[list[int]]] = []
    for sizes in ([], [Size(512, 4), Size(1024, 6), Size(256, 3), Size(512, 3)]):
        runner = runner_of(model, Size(512, 3), is_unified=is_unified)
        seqs = [sequence(0, list(range(20, 90))), sequence(2, list(range(120, 150)))]
        say(runner, seqs, 5)
        for size in sizes:
            runner.resize(size)
            assert runner.size == size
            say(runner, seqs, 5)
        say(runner, seqs, 20 - 5 * len(sizes))
        texts.append([seq.tokens for seq in seqs])
        runner.close()
    assert texts[0] == texts[1]


@pytest.mark.parametrize("flash", ["on", "off"])
def test_a_real_model_thinks_to_the_bit_as_in_a_cache_that_never_grew(smollm2: Path, flash: str) -> None:
    """Also where another conversation left a hole, which a growth closes: flash attention sums otherwise over one."""
    native.start()
    params = ContextParams(256, 3, 256, 2, flash_attention=flash)
    with (
        NativeModel(smollm2) as model,
        NativeContext(model, params) as undisturbed,
        NativeContext(model, params) as growing,
    ):
        decode(undisturbed, 0, 0, LONG[:90])
        state = undisturbed.memory.save(0, 90)
        decode(growing, 0, 0, LONG[:40])
        assert growing.memory.restore(1, state)
        growing.memory.truncate(0, 0)
        growing.resize(1024, 4)
        for at in range(90, 93):
            token = LONG[at : at + 1]
            assert decode(growing, 1, at, token) == decode(undisturbed, 0, at, token)


def decode(native_context: NativeContext, slot: int, begin: int, tokens: tuple[int, ...]) -> bytes:
    """The last one's logits."""
    native_context.batch.put(0, tokens, begin, slot)
    native_context.batch.outputs[len(tokens) - 1] = 1
    assert native_context.decode(len(tokens)) == 0
    return native_context.logits(1).tobytes()


def test_shared_cells_stay_shared(model: NativeModel) -> None:
    """Nine tenths of the pool belong to four slots: four copies of it would not fit."""
    runner = runner_of(model, Size(256, 5), is_unified=True)
    prompt = list(range(20, 240))
    first = sequence(0, prompt)
    step(runner, first)
    seqs = [first]
    for slot in range(1, 4):
        runner.copy(0, slot, len(prompt))
        seqs.append(sequence(slot, [*prompt, 7 * slot]))
        seqs[-1].num_computed = len(prompt)
    runner.resize(Size(256, 4))
    say(runner, seqs, 8)
    runner.close()
    for seq in seqs:
        alone = runner_of(model, Size(512, 1), is_unified=True)
        other = sequence(0, [*prompt, *([7 * seq.slot] if seq.slot else [])])
        say(alone, [other], 8 if seq.slot else 9)
        assert other.tokens == seq.tokens
        alone.close()


@pytest.mark.parametrize("is_unified", [True, False])
@pytest.mark.parametrize("is_decoded", [True, False], ids=["after a step", "at once"])
def test_moved_cells_are_moved_in_the_next_context_too(model: NativeModel, is_unified: bool, is_decoded: bool) -> None:
    """llama.cpp turns their keys in the next decode alone: a state saved before it has them as they were."""
    texts = []
    for resizes in (False, True):
        runner = runner_of(model, Size(512, 2), is_unified=is_unified)
        seq = sequence(0, list(range(20, 200)))
        step(runner, seq)
        runner.roll(0, 40, 100)
        del seq.tokens[40:100]
        seq.num_computed -= 60
        if is_decoded:
            step(runner, seq)
        if resizes:
            runner.resize(Size(1024, 2))
        say(runner, [seq], 20 - is_decoded)
        texts.append(seq.tokens)
        runner.close()
    assert texts[0] == texts[1]


def test_a_full_pool_grows_with_keys_that_have_yet_to_be_turned(model: NativeModel) -> None:
    """The one token whose decode turns them finds no cell."""
    texts = []
    for size in (512, 256):
        runner = runner_of(model, Size(size, 3), is_unified=True)
        short, seq, other = sequence(0, [7, 8, 9, 10]), sequence(1, list(range(20, 200))), sequence(2, list(range(76)))
        step(runner, short)
        state = runner.save(0, 4)
        runner.truncate(0, 0)
        step(runner, seq)
        step(runner, other)
        runner.roll(1, 40, 44)
        del seq.tokens[40:44]
        seq.num_computed -= 4
        runner.restore(0, state)
        if size == 256:
            runner.resize(Size(512, 3))
        say(runner, [short, seq, other], 20)
        texts.append([each.tokens for each in (short, seq, other)])
        runner.close()
    assert texts[0] == texts[1]


@pytest.mark.parametrize("is_unified", [True, False])
def test_a_context_that_cannot_be_made_leaves_the_one_that_was(
    model: NativeModel, is_unified: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = runner_of(model, Size(512, 2), is_unified=is_unified)
    seq, undisturbed = sequence(0, list(range(20, 90))), sequence(1, list(range(20, 90)))
    say(runner, [seq], 5)
    no_more_than(monkeypatch, MANY // 2)
    with pytest.raises(NoMemory):
        runner.resize(Size(MANY, 2))
    assert runner.size == Size(512, 2)
    say(runner, [seq], 5)
    say(runner, [undisturbed], 10)
    assert seq.tokens == undisturbed.tokens
    runner.close()


@pytest.mark.parametrize("is_unified", [True, False])
@pytest.mark.parametrize("call", ["take", "put_back"])
@pytest.mark.parametrize("error", [MemoryError, NativeError])
def test_without_memory_for_what_the_slots_hold_the_context_stays(
    model: NativeModel, is_unified: bool, call: str, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = runner_of(model, Size(512, 2), is_unified=is_unified)
    seq, undisturbed = sequence(0, list(range(20, 90))), sequence(1, list(range(20, 90)))
    say(runner, [seq], 5)
    faults, works = [error("no memory is left")], getattr(States, call)

    def fail_once(*args: object) -> object:
        if faults:
            raise faults.pop()
        return works(*args)

    monkeypatch.setattr(States, call, fail_once)
    with pytest.raises(NoMemory):
        runner.resize(Size(1024, 2))
    assert runner.size == Size(512, 2)
    say(runner, [seq], 5)
    say(runner, [undisturbed], 10)
    assert seq.tokens == undisturbed.tokens
    runner.close()


def test_a_batch_that_a_small_context_cannot_take_is_refused(model: NativeModel) -> None:
    """llama.cpp takes no more rows than it has cells, and ends the process of who asks."""
    native_context = NativeContext(model, ContextParams(512, 1, 512, 1))
    runner = LlamaRunner(native_context, 1, Size(2048, 1))
    runner.resize(Size(256, 1))
    assert runner.max_batch_tokens == 512
    seq = sequence(0, list(LONG[:300]))
    with pytest.raises(KVFull):
        step(runner, seq)
    runner.resize(Size(512, 1))
    step(runner, seq)
    runner.close()


@pytest.mark.parametrize("is_unified", [True, False])
def test_what_does_not_hold_what_is_held_is_refused(model: NativeModel, is_unified: bool) -> None:
    runner = runner_of(model, Size(512, 2), is_unified=is_unified)
    seq, undisturbed = sequence(0, list(LONG[:250])), sequence(1, list(LONG[:250]))
    say(runner, [undisturbed], 20)
    runner.truncate(1, 0)
    say(runner, [seq], 15)
    with pytest.raises(NoMemory):
        runner.resize(Size(256, 2))
    say(runner, [seq], 5)
    assert seq.tokens == undisturbed.tokens
    runner.close()


def test_memory_is_asked_for_before_anything_is_freed(model: NativeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    native_context = make(model, 2, 512, is_unified=True)
    runner = LlamaRunner(native_context, 2, Size(2048, 2), Allowance(1 << 20, {RAM: 1.0}))
    are_free(monkeypatch, {RAM: 512 << 20})
    with pytest.raises(NoMemory, match="2,048 cells of KV cache need"):
        runner.resize(Size(2048, 2))
    assert native_context.generation == 1
    runner.close()


def test_a_state_goes_into_any_number_of_streams_and_stays_as_it_was(model: NativeModel) -> None:
    """Somebody may be writing it to disk."""
    runner = runner_of(model, Size(512, 3), is_unified=False)
    seq = sequence(2, list(range(20, 90)))
    say(runner, [seq], 5)
    payload = runner.save(2, seq.num_computed)
    before = bytes(payload)
    runner.truncate(2, 0)
    for size, slot in ((Size(256, 5), 4), (Size(256, 1), 0), (Size(512, 3), 1)):
        runner.resize(size)
        runner.restore(slot, payload)
        assert bytes(payload) == before
        runner.truncate(slot, 0)
    runner.restore(0, payload)
    seq.slot = 0
    say(runner, [seq], 5)
    undisturbed = sequence(1, list(range(20, 90)))
    say(runner, [undisturbed], 10)
    assert seq.tokens == undisturbed.tokens
    runner.close()


def no_more_than(monkeypatch: pytest.MonkeyPatch, num_cells: int) -> None:
    """llama.cpp makes no context of more cells."""
    make_context = context.lib.llama_init_from_model
    monkeypatch.setattr(
        context.lib, "llama_init_from_model", lambda *args: args[1].n_ctx <= num_cells and make_context(*args)
    )


@pytest.mark.parametrize("is_unified", [True, False])
def test_what_cannot_be_made_again_as_it_was_keeps_what_the_slots_hold(
    model: NativeModel, is_unified: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program took the memory while there was no context."""
    runner = runner_of(model, Size(1024, 2), is_unified=is_unified)
    seq, undisturbed = sequence(0, list(LONG[:250])), sequence(1, list(LONG[:250]))
    say(runner, [undisturbed], 20)
    runner.truncate(1, 0)
    say(runner, [seq], 15)
    no_more_than(monkeypatch, 512 if is_unified else 2 * 512)
    with pytest.raises(NoMemory):
        runner.resize(Size(MANY, 2))
    assert runner.size == Size(512, 2)
    say(runner, [seq], 5)
    assert seq.tokens == undisturbed.tokens
    runner.close()


@pytest.mark.parametrize("is_unified", [True, False])
def test_slots_that_nothing_gives_back_are_read_again(
    model: NativeModel, is_unified: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the scheduler: the engine lives, and nobody who runs is told anything."""
    runner = runner_of(model, Size(512, 3), is_unified=is_unified)
    prompts = [list(range(20 + slot, 90)) for slot in range(3)]
    expected = [seq.completion for seq in answers(runner, prompts, 12)]
    cache = PrefixCache(runner)
    scheduler = Scheduler(cache, Speculation([]), max_running=3)
    seqs = [Sequence(n, list(prompt), 12) for n, prompt in enumerate(prompts)]
    for seq in seqs:
        scheduler.add(seq)
    for _ in range(5):
        steps = scheduler.schedule()
        scheduler.update(steps, runner.run(steps))

    def refuse(_states: States, payloads: dict[int, Payload]) -> None:
        if payloads:
            raise NativeError("what the slots held could not be put back")

    with monkeypatch.context() as patches:
        patches.setattr(States, "put_back", refuse)
        with pytest.raises(CellsLost):
            cache.room.resize(Size(1024, 4))
    assert runner.size == Size(256, 3)
    assert [seq.num_computed for seq in seqs] == [0, 0, 0]
    while not scheduler.is_idle:
        steps = scheduler.schedule()
        scheduler.update(steps, runner.run(steps))
        scheduler.check_integrity()
    assert [seq.completion for seq in seqs] == expected
    runner.close()


def test_a_process_that_is_given_no_context_at_all_ends(model: NativeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = runner_of(model, Size(512, 2), is_unified=True)
    say(runner, [sequence(0, list(range(20, 90)))], 5)
    no_more_than(monkeypatch, 0)
    with pytest.raises(SystemExit, match="could not be made again"):
        runner.resize(Size(1024, 2))
    runner.close()


def test_a_refused_growth_leaves_the_adapters_set(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The context is another one, although it is of the same size."""
    adapter = lora.write(tmp_path / "adapter.gguf", lora.pairs(tiny, 1))
    native.start()
    with NativeModel(tiny) as model:
        model.adapters.add(adapter)
        runner = runner_of(model, Size(512, 2), is_unified=True)
        seq, undisturbed = (Sequence(slot, list(range(20, 90)), 100, slot=slot, adapters=(1.0,)) for slot in range(2))
        say(runner, [undisturbed], 20)
        say(runner, [seq], 5)
        no_more_than(monkeypatch, 512)
        with pytest.raises(NoMemory):
            runner.resize(Size(MANY, 2))
        say(runner, [seq], 15)
        assert seq.tokens == undisturbed.tokens
        runner.close()


def are_free(monkeypatch: pytest.MonkeyPatch, devices: dict[str, int]) -> None:
    monkeypatch.setattr(Allowance, "free", lambda _: devices)


@pytest.mark.skipif(sys.platform != "linux", reason="a process's memory is limited so on Linux")
@pytest.mark.parametrize("device", [RAM, "CUDA0"])
def test_what_this_process_is_not_given_is_refused(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    are_free(monkeypatch, {RAM: 1 << 40, "CUDA0": 1 << 40})
    purse = Allowance(1 << 16, {device: 1.0})
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (psutil.Process().memory_info().vms + (336 << 20), hard))
    try:
        with pytest.raises(NoMemory, match="This process is given no"):
            purse.check(2048, 4096)
        purse.check(256, 512)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def test_more_is_not_asked_for_than_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    purse = Allowance(1024, {RAM: 1.0})
    are_free(monkeypatch, {RAM: 4096 * 1024 + allowance.MARGIN})
    purse.check(1024, 4096)  # 3 MiB more, and 1 MiB that is copied
    with pytest.raises(NoMemory, match="5,121 cells of KV cache need 5 MiB more of RAM, and 36 MiB are free"):
        purse.check(1024, 5121)
    purse.check(4096, 1024)


def test_what_one_device_has_free_is_no_help_to_another(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two thirds of the layers are on a GPU that is nearly full, the rest on an empty one."""
    are_free(monkeypatch, {RAM: 1 << 30, "CUDA0": (12 << 20) + allowance.MARGIN, "CUDA1": 1 << 30})
    purse = Allowance(6 * 1024, {"CUDA0": 2 / 3, "CUDA1": 1 / 3})
    purse.check(1024, 4096)  # 12 MiB more there, 6 here
    with pytest.raises(NoMemory, match="need 16 MiB more of CUDA0, and 44 MiB are free"):
        purse.check(1024, 5120)


@pytest.fixture(scope="session")
def windowed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.write_sliding(tmp_path_factory.mktemp("growth") / "sliding.gguf")


def allocated(handle: EngineHandle, expected: Callable[[int], bool]) -> int:
    """Once it is as expected."""
    seen: list[int] = []

    def is_so() -> bool:
        if stats := handle.snapshot.stats:
            seen.append(stats.cells.allocated)
        return bool(seen) and expected(seen[-1])

    until(is_so, lambda: f"{handle.snapshot.stats}")
    return seen[-1]


def conversation(handle: EngineHandle) -> list[str]:
    """One at a time, then several at once, then the first goes on."""
    texts = [start(handle, LONG[:60]).wait().text, start(handle, LONG[:500]).wait().text]
    together: list[Answer] = [start(handle, LONG[n : 300 + 90 * n], max_tokens=40 + 30 * n) for n in range(5)]
    texts += [answer.wait().text for answer in together]
    return [*texts, start(handle, LONG, max_tokens=300).wait().text]


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        ("tiny", LAYOUTS[0]),
        ("windowed", LAYOUTS[1]),
        *(pytest.param(*pair, marks=pytest.mark.real) for pair in (("tiny", LAYOUTS[1]), ("windowed", LAYOUTS[0]))),
    ],
)
def test_a_cache_that_grows_gives_the_same_text(
    load: Load, request: pytest.FixtureRequest, tiny_draft: Path, name: str, layout: KVLayout
) -> None:
    path = request.getfixturevalue(name)
    options = {"kv_layout": layout, "draft_length": 3, "context": 2048, **EXACT}
    if name == "tiny":
        options["draft_model"] = tiny_draft
    plain = load(path, name="at once", kv_grow=False, **options)
    expected = conversation(plain)
    allocated(plain, lambda cells: cells >= 2048)
    handle = load(path, name="growing", **options)
    allocated(handle, lambda cells: cells == 512)
    assert conversation(handle) == expected
    allocated(handle, lambda cells: cells > 1024)


def test_a_first_question_takes_one_slot_and_a_long_one_what_it_needs(load: Load, tiny: Path) -> None:
    handle = load(tiny, kv_layout=KVLayout.STREAMS, draft=DraftMode.OFF)
    start(handle, LONG[:100], max_tokens=9).wait()
    start(handle, LONG[:160], max_tokens=9).wait()
    stats = handle.snapshot.stats
    assert stats
    assert stats.cells == Cells(stats.cells.used, 512, 5 * 2048), "the next turn goes on in its slot"
    assert timings(start(handle, LONG[:600], max_tokens=9)).cache_n == 160
    allocated(handle, lambda cells: cells == 768)
    start(handle, LONG[300:400], max_tokens=9).wait()
    allocated(handle, lambda cells: cells == 2 * 768)  # the first conversation stays beside the second
    start(handle, LONG[200:290], max_tokens=9).wait()
    assert timings(start(handle, LONG[:600], max_tokens=9)).cache_ram_n > 0, "the third one took its place"
    allocated(handle, lambda cells: cells == 2 * 768)


def test_an_answer_that_rolls_is_the_same_in_a_cache_that_grows(load: Load, tiny: Path) -> None:
    texts = []
    for grows in (False, True):
        handle = load(tiny, name=f"{grows}", context=512, draft=DraftMode.OFF, kv_grow=grows, **EXACT)
        answers = [start(handle, LONG[n : 100 + n], max_tokens=700, overflow=Overflow.ROLL) for n in range(3)]
        texts.append([answer.wait().text for answer in answers])
    assert texts[0] == texts[1]


def test_what_nothing_needs_is_given_back_after_a_while(load: Load, tiny: Path) -> None:
    handle = load(tiny, draft=DraftMode.OFF, kv_idle_seconds=1, **EXACT)
    first = start(handle, LONG, max_tokens=1000).wait().text
    start(handle, LONG[100:180]).wait()
    allocated(handle, lambda cells: cells > 2 * 1700)  # for as long as the first conversation lies beside it
    start(handle, LONG[200:280]).wait()  # displaces it
    allocated(handle, lambda cells: cells == 2 * 512)
    again = start(handle, LONG, max_tokens=1000)
    assert again.wait().text == first
