"""An engine that has answered a thousand holds no more than one that has answered two hundred."""

import gc
import random
from pathlib import Path

from backends.engine.news import Counts
from backends.engine.sequence import Sequence
from backends.engine.stops import Stops
from backends.fake.loader import FakeModel
from backends.prompt_cache.host_cache import HostCache
from backends.prompt_cache.state_store import StateStore
from backends.protocol import Cells, Drafting, EngineOptions, Generate, KVLayout, Load, Stats
from tests.engine.saying import Saying

NUM_FIRST, NUM_REST = 200, 800
MAX_OBJECTS = 100  # some measured costs and lost prompts more
PARALLEL, CONTEXT = 8, 1024


def answer(saying: Saying, numbers: range, pick: random.Random) -> None:
    """A third of them are called off somewhere."""
    engine = saying.engine
    for uid in numbers:
        tokens = engine.model.encode(Generate(f"user: Question {uid % 50}"))
        engine.add(Sequence(uid, tokens, max_tokens=pick.randint(1, 12)), Stops.of(("engine",), {}))
        if uid % 3 == 0:
            saying.step()
            engine.abort(uid - pick.randrange(PARALLEL))
    while not engine.is_idle:
        saying.step()
    saying.told.clear()


def num_accepted(saying: Saying) -> int:
    saying.news.append(Counts(0, 0, Cells(0, 0, 0), Drafting(), KVLayout.UNIFIED))
    saying.tell_all()
    (stats,) = saying.told
    assert isinstance(stats, Stats)
    return stats.num_accepted


def test_a_thousand_answers_leave_no_object_behind() -> None:
    options = EngineOptions(context=CONTEXT, parallel=PARALLEL, draft_length=4)
    store = StateStore(HostCache(budget=20_000), min_tokens=8)
    model = FakeModel(Load(Path("fake"), "fake", options), 0.0)
    saying = Saying(model, options, store)
    counts = []
    for numbers in (range(NUM_FIRST), range(NUM_FIRST, NUM_FIRST + NUM_REST)):
        answer(saying, numbers, random.Random(1))
        assert saying.engine.cells.used == 0
        gc.collect()
        counts.append(len(gc.get_objects()))
    assert num_accepted(saying) > NUM_REST
    assert counts[1] - counts[0] < MAX_OBJECTS
