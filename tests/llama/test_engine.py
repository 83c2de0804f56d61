"""The whole engine on llama.cpp with a tiny random model: exactness, sharing, types, refusals."""

import signal
from pathlib import Path

import pytest

from app.errors import EngineError, RequestError
from app.inference.supervisor import EngineHandle, EngineState, Supervisor
from backends.protocol import (
    GREEDY,
    DraftMode,
    EngineOptions,
    Failed,
    FailureKind,
    Finish,
    FlashAttention,
    Generate,
    KVLayout,
    KVType,
    Output,
    Priority,
    SamplingParams,
    Timings,
)
from tests.inference.conftest import SECONDS, Answer
from tests.llama.conftest import Load

PROMPTS = [f"def f{n}(x): return x ** {n}  # números, 数字 {n * n}" for n in range(4)]
NUM_TOKENS = 60
# random weights have many near ties, and a batch rounds otherwise than a single row: 32 bits keep them apart,
# and so does plain attention (with flash attention 3 of 28 sampled texts of 60 tokens differed, without 0 of 60)
EXACT = {"kv_type_k": KVType.F32, "kv_type_v": KVType.F32, "flash_attention": FlashAttention.OFF}


def start(handle: EngineHandle, prompt: str | tuple[int, ...], **fields: object) -> Answer:
    answer = Answer()
    settings = {"max_tokens": NUM_TOKENS, "ignore_eos": True, "sampling": GREEDY, **fields}
    answer.uid = handle.submit(Generate(prompt, **settings), answer)  # type: ignore[arg-type, attr-defined]
    return answer


def timings(answer: Answer) -> Timings:
    last = answer.wait().last
    assert isinstance(last, Output), last
    assert last.timings is not None
    return last.timings


def texts(handle: EngineHandle, **fields: object) -> list[str]:
    return [start(handle, prompt, **fields).wait().text for prompt in PROMPTS]


def test_greedy_text_is_the_same_with_and_without_drafting(load: Load, tiny: Path, tiny_draft: Path) -> None:
    plain = texts(load(tiny, draft=DraftMode.OFF, **EXACT))
    lookup = load(tiny, draft=DraftMode.LOOKUP, draft_length=4, **EXACT)
    assert texts(lookup) == plain
    drafted = load(tiny, draft=DraftMode.MODEL, draft_model=tiny_draft, draft_length=5, **EXACT)
    assert texts(drafted) == plain
    account = timings(start(drafted, PROMPTS[0]))
    assert account.draft_accepted_n > NUM_TOKENS / 2, "the draft has the very same weights"
    assert account.predicted_n == NUM_TOKENS


def test_the_same_seed_gives_the_same_text_alone_or_in_a_batch(load: Load, tiny: Path, tiny_draft: Path) -> None:
    handle = load(tiny, parallel=4, draft_model=tiny_draft, draft_length=3, **EXACT)
    params = SamplingParams(temperature=0.9, seed=5)
    alone = start(handle, PROMPTS[0], sampling=params, draft=False).wait().text
    company = [start(handle, prompt, sampling=SamplingParams(seed=n)) for n, prompt in enumerate(PROMPTS[1:])]
    together = start(handle, PROMPTS[0], sampling=params)
    assert together.wait().text == alone
    assert all(isinstance(answer.wait().last, Output) for answer in company)
    other = start(handle, PROMPTS[0], sampling=SamplingParams(temperature=0.9, seed=6)).wait().text
    assert other != alone


@pytest.mark.parametrize("layout", [KVLayout.UNIFIED, KVLayout.STREAMS])
def test_who_gives_way_to_the_window_or_is_not_read_says_the_same(load: Load, tiny: Path, layout: KVLayout) -> None:
    long = {"max_tokens": 400, "logprobs": 0}
    plain = load(tiny, draft=DraftMode.OFF, kv_layout=layout, parallel=1, **EXACT)
    alone = [start(plain, prompt, **long).wait().text for prompt in PROMPTS]
    asked = start(plain, "Quick, a question:").wait().text
    handle = load(tiny, name="crowd", draft=DraftMode.OFF, kv_layout=layout, parallel=2, **EXACT)
    batch = [start(handle, prompt, **long) for prompt in PROMPTS]
    for number in (1, 3):
        handle.pause(batch[number].uid)
    for _ in range(4):
        window = start(handle, "Quick, a question:", priority=Priority.WINDOW, max_tokens=NUM_TOKENS)
        assert window.wait().text == asked
        account = timings(window)
        assert account.queue_ms < 2000, "it waited for batch work"
    assert any(not answer.ended.is_set() for answer in batch)
    for number in (1, 3):
        handle.resume(batch[number].uid)
    assert [answer.wait().text for answer in batch] == alone


def test_a_second_prompt_decodes_only_what_is_new(load: Load, tiny: Path) -> None:
    handle = load(tiny, draft=DraftMode.OFF)
    tokens = tuple(range(20, 120))
    first = start(handle, tokens)
    assert timings(first).cache_n == 0
    longer = timings(start(handle, (*tokens, 7, 8, 9)))
    assert (longer.cache_n, longer.prompt_n) == (100, 3)
    same = timings(start(handle, tokens))
    assert (same.cache_n, same.prompt_n) == (99, 1), "the last token must be decoded for its logits"


def test_a_reused_prefix_gives_the_same_text_as_a_fresh_one(load: Load, tiny: Path) -> None:
    handle = load(tiny, draft=DraftMode.OFF, **EXACT)
    prompts = [tuple(range(20, 80 + n)) for n in range(6)]
    fresh = []
    for prompt in prompts:
        start(handle, tuple(range(300, 310))).wait()
        fresh.append(start(handle, prompt).wait().text)
    again = load(tiny, name="again", draft=DraftMode.OFF, **EXACT)
    for prompt, expected in zip(prompts, fresh, strict=True):
        single = load(tiny, name="single", draft=DraftMode.OFF, **EXACT)
        assert start(single, prompt).wait().text == expected
        assert start(again, prompt).wait().text == expected


@pytest.mark.parametrize("kv_type", [KVType.BF16, KVType.Q8_0, KVType.Q5_1, KVType.Q4_0, KVType.IQ4_NL])
def test_every_kv_type_loads_and_answers(load: Load, tiny: Path, kv_type: KVType) -> None:
    handle = load(tiny, kv_type_k=kv_type, kv_type_v=kv_type)
    ready = handle.snapshot.ready
    assert ready is not None
    assert (ready.kv_type_k, ready.kv_type_v) == (kv_type, kv_type)
    assert timings(start(handle, PROMPTS[0])).predicted_n == NUM_TOKENS


def test_a_forbidding_penalty_lets_no_token_come_twice(load: Load, tiny: Path) -> None:
    handle = load(tiny, draft=DraftMode.OFF)
    params = SamplingParams(temperature=0, presence_penalty=1000, penalty_last_n=512)
    outputs = start(handle, (5,), max_tokens=100, sampling=params).wait().events
    texts = [output.text for output in outputs if isinstance(output, Output) and output.text and "�" not in output.text]
    plain = start(handle, (5,), max_tokens=100).wait().events
    repeated = [output.text for output in plain if isinstance(output, Output) and output.text]
    assert len(set(texts)) == len(texts)
    assert len(set(repeated)) < len(repeated)


def test_a_draft_with_another_vocabulary_is_named_and_left_out(load: Load, tiny: Path, other_vocabulary: Path) -> None:
    ready = load(tiny, draft_model=other_vocabulary).snapshot.ready
    assert ready is not None
    assert ready.draft == "lookup"
    assert any("other.gguf cannot draft" in note and "vocabulary" in note for note in ready.notes)


def test_token_ids_out_of_range_are_refused_and_the_others_go_on(load: Load, tiny: Path) -> None:
    handle = load(tiny)
    good = start(handle, PROMPTS[0])
    for tokens in ((1, 2, 100_000), (-1,)):
        with pytest.raises(RequestError, match="lie between 0 and") as refused:
            start(handle, tokens)
        assert refused.value.kind is FailureKind.BAD_REQUEST
    assert timings(good).predicted_n == NUM_TOKENS
    assert handle.snapshot.state is EngineState.READY


def test_more_answers_than_the_cache_holds_are_all_given(load: Load, tiny: Path) -> None:
    handle = load(tiny, context=256, parallel=4, draft=DraftMode.OFF, **EXACT)
    answers = [start(handle, tuple(range(20 + n, 80 + n)), max_tokens=100) for n in range(8)]
    alone = load(tiny, name="alone", draft=DraftMode.OFF, parallel=1, **EXACT)
    for n, answer in enumerate(answers):
        account = timings(answer)
        assert account.predicted_n == 100
        assert account.prompt_n + account.cache_n == 60
        if n in (0, 5):
            assert answer.text == start(alone, tuple(range(20 + n, 80 + n)), max_tokens=100).wait().text


def test_quantized_values_without_flash_attention_are_refused_with_the_reason(
    supervisor: Supervisor, tiny: Path
) -> None:
    handle = supervisor.load("tiny", tiny, EngineOptions(kv_type_v=KVType.Q8_0, flash_attention=FlashAttention.OFF))
    with pytest.raises(EngineError, match="needs flash attention"):
        handle.wait_ready(SECONDS)


def test_a_native_death_in_mid_answer_is_survived(load: Load, tiny: Path) -> None:
    if not hasattr(signal, "SIGKILL"):
        pytest.skip("Windows has no SIGKILL")
    import os

    handle = load(tiny)
    answer = start(handle, PROMPTS[0], max_tokens=1500)
    assert answer.begun.wait(SECONDS)
    assert handle.pid is not None
    os.kill(handle.pid, signal.SIGSEGV)
    assert isinstance(answer.wait().last, Failed)
    assert "segmentation fault" in str(handle.snapshot.crash)
    handle.wait_ready(SECONDS)
    assert timings(start(handle, PROMPTS[0])).predicted_n == NUM_TOKENS


@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "text", "no-tokenizer"])
def test_a_bad_model_file_is_one_sentence_and_never_reaches_native_code(
    supervisor: Supervisor, tiny: Path, tmp_path: Path, damage: str
) -> None:
    path = tmp_path / "bad model é.gguf"
    if damage == "empty":
        path.write_bytes(b"")
    elif damage == "truncated":
        path.write_bytes(tiny.read_bytes()[:-5000])
    elif damage == "text":
        path.write_text("<html>not a model</html>")
    elif damage == "no-tokenizer":
        from backends.llama.selftest import write_tiny_model

        write_tiny_model(path)
    handle = supervisor.load("bad", path)
    with pytest.raises(EngineError) as caught:
        handle.wait_ready(SECONDS)
    assert "bad model é.gguf" in str(caught.value)
    assert caught.value.crash is None
    assert handle.snapshot.state is EngineState.FAILED


def test_finish_reasons_and_abort(load: Load, tiny: Path) -> None:
    handle = load(tiny)
    last = start(handle, PROMPTS[0], max_tokens=3).wait().last
    assert isinstance(last, Output)
    assert last.finish is Finish.LENGTH


def test_flash_attention_is_left_where_it_was_measured_to_be_slow(load: Load, tiny: Path) -> None:
    assert load(tiny, flash_cost=2.5).wait_ready(SECONDS).flash_attention == "off"
    assert load(tiny, "pays", flash_cost=0.9).wait_ready(SECONDS).flash_attention == "auto"
    quantized = load(tiny, "quantized", flash_cost=2.5, kv_type_v=KVType.Q8_0).wait_ready(SECONDS)
    assert quantized.flash_attention == "on", "a quantized V cache needs it"
    wanted = load(tiny, "wanted", flash_cost=2.5, flash_attention=FlashAttention.ON).wait_ready(SECONDS)
    assert wanted.flash_attention == "on", "the person's choice stands"
