"""A prompt that is to be read anew is, whatever is kept of it or is being read meanwhile."""

from pathlib import Path

import pytest

from backends.engine.sequence import Sequence
from backends.fake.loader import FakeModel
from backends.fake.runner import FakeRunner
from backends.prompt_cache.host_cache import HostCache
from backends.prompt_cache.state_store import StateStore
from backends.protocol import CacheMiss, DraftMode, EngineOptions, Generate, Load, Output, Timings
from tests.engine.saying import Saying

CONTEXT = 512
TEXT = "a prompt of some length, which is read in full; for that it has to have more than a few words " * 2


def saying(*, has_store: bool = False, max_batch_tokens: int | None = None) -> Saying:
    options = EngineOptions(context=CONTEXT, parallel=3, draft=DraftMode.OFF)
    model = FakeModel(Load(Path("fake"), "fake", options), 0.0)
    assert isinstance(model.runner, FakeRunner)
    model.runner.max_batch_tokens = max_batch_tokens or model.runner.max_batch_tokens
    store = StateStore(HostCache(1 << 20, model.runner.can_cut_saved)) if has_store else None
    return Saying(model, options, store)


def ask(saying: Saying, uid: int, text: str = TEXT, *, reuses: bool = True) -> Sequence:
    model = saying.engine.model
    request = Generate(tuple(text.encode()), uid, max_tokens=1, reuses=reuses)
    seq = Sequence.of(request, model.encode(request), CONTEXT, model.eos)
    saying.engine.add(seq)
    return seq


def accounts(saying: Saying) -> dict[int, Timings]:
    """Of all that have been asked for, by their numbers."""
    found = {}
    while not saying.engine.is_idle:
        for word in saying.step():
            if isinstance(word, Output) and word.timings:
                found[word.uid] = word.timings
    return found


@pytest.mark.parametrize("has_store", [False, True])
def test_what_is_kept_of_it_is_left_alone(has_store: bool) -> None:
    engine = saying(has_store=has_store)
    ask(engine, 1)
    accounts(engine)
    if has_store:
        while engine.engine.scheduler.cache.evict():  # into RAM
            pass
    ask(engine, 2, reuses=False)
    anew = accounts(engine)[2]
    assert (anew.prompt_n, anew.cache_n, anew.cache_miss) == (len(TEXT), 0, CacheMiss.NOT_WANTED)
    assert anew.cache_miss_text == "read again, because the request asks for that"


def test_others_have_what_was_read_anew() -> None:
    engine = saying()
    ask(engine, 1, reuses=False)
    accounts(engine)
    ask(engine, 2)
    assert accounts(engine)[2].cache_n == len(TEXT) - 1


def test_it_waits_for_nobody_who_reads_the_same() -> None:
    """Who reuses waits until another one has read what both begin with, and takes it over."""
    engine = saying(max_batch_tokens=16)
    seqs = [ask(engine, uid, reuses=uid != 3) for uid in (1, 2, 3)]
    while not seqs[2].num_computed:
        engine.step()
    assert seqs[0].num_computed < len(TEXT)
    assert seqs[1].num_computed == 0
    found = accounts(engine)
    assert [found[uid].prompt_n for uid in (1, 3)] == [len(TEXT)] * 2
    assert found[2].prompt_n < len(TEXT)


def test_a_prompt_of_one_token_has_missed_nothing() -> None:
    engine = saying()
    ask(engine, 1, "a", reuses=False)
    assert accounts(engine)[1].cache_miss is None
