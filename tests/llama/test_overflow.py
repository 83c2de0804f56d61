"""Answers beyond the context on a real model: they go on, in any layout and with any type, and disturb nobody."""

from pathlib import Path

import pytest

from app.errors import RequestError
from app.inference.supervisor import EngineHandle
from backends.llama import native
from backends.llama.context import ContextParams, NativeContext
from backends.llama.native import NativeModel
from backends.llama.runner import LlamaRunner
from backends.protocol import DraftMode, Failed, FailureKind, Finish, KVLayout, KVType, Output, Overflow
from tests.inference.conftest import Answer
from tests.llama.conftest import Load, make_model
from tests.llama.test_engine import EXACT, start, timings
from tests.llama.test_kv_layout import make, sequence, step

CONTEXT, HEAD = 256, 64
KEPT = (CONTEXT - HEAD) // 2  # newest tokens that a roll leaves behind the head
PROMPT = tuple(range(20, 220))
OPTIONS = {"context": CONTEXT, "draft": DraftMode.OFF, **EXACT}
LAYOUTS = [KVLayout.UNIFIED, KVLayout.STREAMS]


@pytest.fixture(scope="session")
def flat(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One layer: its keys and values know of no other token, so a moved one is the same as one read again."""
    return make_model(tmp_path_factory, "flat", num_hidden_layers=1)


def roll(handle: EngineHandle, prompt: tuple[int, ...] = PROMPT, max_tokens: int = 300, **fields: object) -> Answer:
    return start(handle, prompt, max_tokens=max_tokens, overflow=Overflow.ROLL, logprobs=0, **fields)


def pieces(answer: Answer) -> list[bytes]:
    """Of each token that came."""
    outputs = [event for event in answer.wait().events if isinstance(event, Output)]
    return [logprob.piece for output in outputs for logprob in output.logprobs]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_answer_goes_on_beyond_the_context(load: Load, tiny: Path, layout: KVLayout) -> None:
    handle = load(tiny, kv_layout=layout, **OPTIONS)
    ended = start(handle, PROMPT, max_tokens=300)
    account = timings(ended)
    assert (account.predicted_n, account.rolled_n) == (CONTEXT - len(PROMPT), 0)
    answer = roll(handle)
    account = timings(answer)
    assert account.predicted_n == len(pieces(answer)) == 300
    assert account.prompt_n + account.cache_n == len(PROMPT)
    assert account.rolled_n == 3 * KEPT, "rolled at 256 tokens, three times: 500 are 212 and thrice 96"
    assert answer.text.startswith(ended.text.rstrip("�"))
    last = answer.last
    assert isinstance(last, Output)
    assert last.finish is Finish.LENGTH


def test_without_a_limit_it_ends_after_eight_contexts(load: Load, tiny: Path) -> None:
    answer = roll(load(tiny, **OPTIONS), max_tokens=None)  # type: ignore[arg-type]
    assert timings(answer).predicted_n == 8 * CONTEXT


@pytest.mark.parametrize("is_unified", [True, False])
def test_what_was_moved_is_as_if_it_had_been_read_there(flat: Path, is_unified: bool) -> None:
    native.start()
    with NativeModel(flat) as model, make(model, 2, 1024, is_unified) as context:
        runner = LlamaRunner(context, 2)
        assert runner.can_shift
        moved, reread = sequence(0, list(PROMPT)), sequence(1, list(PROMPT))
        for seq in (moved, reread):
            seq.make_rolling(CONTEXT, 300)
            while not seq.finish:
                step(runner, seq)
                if seq.must_roll:
                    begin, end = seq.roll()
                    if seq is moved:
                        runner.roll(0, begin, end)
                        seq.num_computed -= end - begin
                    else:
                        runner.truncate(1, begin)
                        seq.num_computed = begin
        assert moved.num_rolled == 3 * KEPT
        assert moved.completion == reread.completion


def test_only_keys_that_survive_a_turn_by_nothing_are_moved(tiny: Path) -> None:
    native.start()
    with NativeModel(tiny) as model:
        for kind in KVType:
            with NativeContext(model, ContextParams(256, 2, 64, 1, kv_type_k=kind)) as context:
                assert context.can_shift == (kind in (KVType.F32, KVType.F16))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_those_who_share_its_prompt_do_not_notice(load: Load, tiny: Path, layout: KVLayout) -> None:
    handle = load(tiny, kv_layout=layout, **{**OPTIONS, "context": 1024})
    prompt = tuple(range(20, 520))
    alone = start(handle, prompt, max_tokens=500).wait().text
    rolling = roll(handle, prompt, max_tokens=900)
    beside = start(handle, prompt, max_tokens=500)
    assert beside.wait().text == alone
    assert timings(rolling).rolled_n > 0
    after = start(handle, prompt, max_tokens=500)
    assert after.wait().text == alone, "nothing that was moved is taken for the prompt"


def test_an_earlier_conversation_in_the_same_cells_goes_to_ram_before_they_move(load: Load, tiny: Path) -> None:
    handle = load(tiny, kv_layout=KVLayout.UNIFIED, **OPTIONS)
    earlier = PROMPT[:190]  # a roll moves what stands from 160 on
    later = start(handle, (*earlier, 7)).wait().text
    fresh = load(tiny, name="fresh", kv_layout=KVLayout.UNIFIED, **OPTIONS)
    start(fresh, earlier, max_tokens=1).wait()
    roll(fresh).wait()
    again = start(fresh, (*earlier, 7)).wait()
    assert again.text == later
    assert timings(again).cache_ram_n == 190


def test_a_rolled_answer_leaves_only_its_head(load: Load, tiny: Path) -> None:
    handle = load(tiny, prompt_cache_ram=0, **OPTIONS)
    roll(handle).wait()
    assert timings(start(handle, PROMPT, max_tokens=1)).cache_n == HEAD


@pytest.mark.parametrize("kv_type", [KVType.BF16, KVType.Q8_0, KVType.Q4_0])
def test_types_that_cannot_be_turned_are_read_again(load: Load, tiny: Path, kv_type: KVType) -> None:
    handle = load(tiny, context=CONTEXT, draft=DraftMode.OFF, kv_type_k=kv_type, kv_type_v=kv_type)
    account = timings(roll(handle))
    assert (account.predicted_n, account.rolled_n) == (300, 3 * KEPT)


def test_drafts_change_no_token_of_a_rolling_answer(load: Load, tiny: Path, tiny_draft: Path) -> None:
    plain = pieces(roll(load(tiny, **OPTIONS)))
    options = {**OPTIONS, "draft": DraftMode.AUTO, "draft_model": tiny_draft, "draft_length": 4}
    answer = roll(load(tiny, name="drafted", **options))
    assert pieces(answer) == plain
    assert timings(answer).draft_accepted_n > 0


def test_a_prompt_longer_than_the_context_loses_its_middle(load: Load, tiny: Path) -> None:
    handle = load(tiny, **OPTIONS)
    prompt = tuple(20 + n % 600 for n in range(1000))
    with pytest.raises(RequestError) as unsent:
        start(handle, prompt)
    assert unsent.value.kind is FailureKind.CONTEXT_LENGTH
    refused = start(handle, prompt[: handle.wait_ready().context]).wait().last
    assert isinstance(refused, Failed)
    assert refused.kind is FailureKind.CONTEXT_LENGTH
    answer = roll(handle, prompt, max_tokens=50)
    account = timings(answer)
    assert account.prompt_n + account.cache_n == HEAD + KEPT
    assert (account.predicted_n, account.rolled_n) == (50, 1000 - HEAD - KEPT)
    same = start(handle, (*prompt[:HEAD], *prompt[-KEPT:]), max_tokens=50)
    assert same.wait().text == answer.text
