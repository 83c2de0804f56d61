"""Logprobs of a prompt's tokens: every one of them, once, whatever is cached, shared, batched or interrupted."""

import random
from pathlib import Path

import pytest

from backends.drafting.drafter import Drafter, LookupDrafter
from backends.drafting.speculation import Speculation
from backends.engine.prefix_cache import PrefixCache
from backends.engine.runner import KVFull
from backends.engine.scheduler import Scheduler
from backends.engine.sequence import Sequence
from backends.fake.loader import FakeModel
from backends.fake.runner import FakeRunner, scripted_logprob
from backends.prompt_cache.host_cache import HostCache
from backends.prompt_cache.state_store import StateStore
from backends.protocol import CacheMiss, DraftMode, EngineOptions, Finish, Generate, Load, Output, Priority
from tests.engine.costs import costs
from tests.engine.saying import Saying
from tests.engine.test_schedules import EOS, next_token

TEXT = "a prompt of some length, which is read in full"


@pytest.fixture
def saying() -> Saying:
    options = EngineOptions(context=512, draft=DraftMode.OFF)
    return Saying(FakeModel(Load(Path("fake"), "fake", options), 0.0), options)


def ask(saying: Saying, uid: int, text: str = TEXT, **fields: object) -> Sequence:
    request = Generate(text, uid, **fields)  # type: ignore[arg-type]
    model = saying.engine.model
    seq = Sequence.of(request, model.encode(request), 512, model.eos)
    saying.engine.add(seq)
    return seq


def run(saying: Saying) -> list[Output]:
    outputs: list[Output] = []
    while not saying.engine.is_idle:
        outputs += [word for word in saying.step() if isinstance(word, Output)]
    return outputs


def test_they_come_with_the_first_output_of_an_answer(saying: Saying) -> None:
    tokens = ask(saying, 1, max_tokens=3, prompt_logprobs=2, ignore_eos=True).tokens[:]
    first, *others = run(saying)
    assert first.prompt is not None
    assert first.prompt.first == TEXT[:1].encode()
    assert first.prompt.others == tuple(scripted_logprob(token, 2) for token in tokens[1:])
    assert first.timings
    assert not any(output.prompt for output in others)


def test_nobody_who_did_not_ask_gets_any(saying: Saying) -> None:
    ask(saying, 1, max_tokens=2)
    assert all(output.prompt is None for output in run(saying))


def test_no_token_is_said_where_none_is_wanted(saying: Saying) -> None:
    """And the prompt is in the cache: that is what some programs want of it."""
    ask(saying, 1, max_tokens=0, prompt_logprobs=0)
    (only,) = run(saying)
    assert (only.text, only.num_tokens, only.finish) == ("", 0, Finish.LENGTH)
    assert only.prompt is not None
    assert only.timings is not None
    assert only.timings.predicted_n == 0
    ask(saying, 2, max_tokens=0)
    (again,) = run(saying)
    assert again.prompt is None
    assert again.timings is not None
    assert again.timings.cache_n == len(TEXT)


def test_a_prompt_of_one_token_has_none_to_tell(saying: Saying) -> None:
    request = Generate((65,), 1, max_tokens=0, prompt_logprobs=5)
    saying.engine.add(Sequence.of(request, [65], 512, saying.engine.model.eos))
    (only,) = run(saying)
    assert only.prompt is not None
    assert only.prompt.others == ()


def test_what_the_cache_holds_is_read_again_and_says_so(saying: Saying) -> None:
    ask(saying, 1, max_tokens=1)
    run(saying)
    tokens = ask(saying, 2, max_tokens=1, prompt_logprobs=0).tokens[:]
    (only,) = run(saying)
    assert only.prompt is not None
    assert len(only.prompt.others) == len(tokens) - 1
    assert only.timings is not None
    assert (only.timings.cache_n, only.timings.cache_miss) == (0, CacheMiss.LOGPROBS)
    ask(saying, 3, max_tokens=1)
    (third,) = run(saying)
    assert third.timings is not None
    assert third.timings.cache_n == len(tokens) - 1


def test_no_step_has_more_logits_than_there_is_memory_for(saying: Saying) -> None:
    runner = saying.engine.model.runner
    assert isinstance(runner, FakeRunner)
    runner.max_scored = 5  # it asserts that none has more
    wanted = [ask(saying, uid, f"{uid} {TEXT}", max_tokens=1, prompt_logprobs=0).tokens[1:] for uid in (1, 2, 3)]
    ask(saying, 4, f"4 {TEXT}", max_tokens=1)
    found = {output.uid: output.prompt for output in run(saying) if output.prompt}
    for uid, tokens in enumerate(wanted, 1):
        assert found[uid].others == tuple(scripted_logprob(token, 0) for token in tokens)


@pytest.mark.parametrize("seed", range(150))
def test_every_token_is_scored_once_in_any_company(seed: int) -> None:
    """Small caches, guesses, pauses, readers of the same beginning: the assertions of the runner hold as well."""
    pick = random.Random(seed)
    recurrent = pick.random() < 0.2
    shares = recurrent or pick.random() < 0.7
    slots, context = pick.randint(1, 4), 60
    runner = FakeRunner(
        next_token, slots, (context + 40 if shares else context * slots), pick.randint(2, 12), 0 if recurrent else None,
        shares_cells=shares,
    )  # fmt: skip
    runner.max_scored = pick.choice([1, 3, 12])
    store = pick.choice([None, StateStore(HostCache(2000, runner.can_cut_saved, tolerance=1), min_tokens=1)])
    drafters: list[Drafter] = [LookupDrafter(ngram=1, longest=3)] if pick.random() < 0.5 else []
    speculation = Speculation(drafters, costs(slope=0.1), None)
    scheduler = Scheduler(PrefixCache(runner, store), speculation, pick.randint(1, slots), pick.randint(1, 8), 4)
    system = [pick.randrange(6) for _ in range(12)]
    asked: dict[Sequence, list[int]] = {}
    for uid in range(pick.randint(2, 8)):
        prompt = system[: pick.randint(0, 12)] + [pick.randrange(6) for _ in range(pick.randint(1, 20))]
        seq = Sequence(uid, list(prompt), pick.randint(1, 6), EOS, priority=pick.choice(list(Priority)))
        seq.num_prompt_alternatives = pick.choice([None, 0, 2])
        asked[seq] = prompt
    todo, unread = list(asked), set[Sequence]()
    for _ in range(4000):
        while todo and pick.random() < 0.5:
            scheduler.add(todo.pop())
        for seq in scheduler.sequences():
            if pick.random() < 0.1:
                (scheduler.resume if seq in unread else scheduler.pause)(seq)
                unread ^= {seq}
        if scheduler.is_idle and not todo and not unread:
            break
        if steps := scheduler.schedule():
            try:
                scheduler.update(steps, runner.run(steps))
            except KVFull:
                scheduler.make_room()
        scheduler.check_integrity()
    for seq, prompt in asked.items():
        assert seq.finish
        if (wanted := seq.num_prompt_alternatives) is not None and seq.num_completion:
            assert seq.prompt_logprobs == [scripted_logprob(token, wanted) for token in prompt[1:]]
