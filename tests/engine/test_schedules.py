"""Batched, cached, drafted, paused, aborted, at random: every sequence must say what it says alone."""

import os
import random
from collections import Counter
from dataclasses import dataclass
from itertools import count

import pytest

from backends.drafting.drafter import Drafter, LookupDrafter, ModelDrafter
from backends.drafting.pace import FIRST_CHUNK
from backends.drafting.speculation import Speculation
from backends.engine.checkpoints import Checkpoints
from backends.engine.prefix_cache import PrefixCache
from backends.engine.runner import CellsLost, KVFull, NoMemory, Size
from backends.engine.scheduler import Scheduler
from backends.engine.sequence import Sequence
from backends.engine.turns import TURN_STEPS
from backends.fake.runner import FakeRunner, FakeSampler, adapted
from backends.prompt_cache.host_cache import HostCache
from backends.prompt_cache.state_store import StateStore
from backends.protocol import CacheMiss, Finish, Priority
from tests.engine.costs import costs
from tests.engine.restless import any_size

NUM_CHUNKS = int(os.environ.get("SLIPSTREAM_CHUNKS", 1))
MORE_CHUNKS = range(NUM_CHUNKS, 12) if "SLIPSTREAM_CHUNKS" not in os.environ else ()  # in `make real`
CHUNK = 1000  # schedules in each: enough that every kind of event is seen often
VOCABULARY, EOS = 7, frozenset({6})
MAX_STEPS = 5000


def next_token(prefix: list[int]) -> int:
    """A pure function of the whole prefix, periodic enough for guesses to hold now and then."""
    return (len(prefix) % 2 + prefix[-1] * 2 + (sum(prefix) % 19 == 0)) % VOCABULARY


def careless_token(prefix: list[int]) -> int:
    """The draft model: wrong at every fourth position."""
    return next_token(prefix) if len(prefix) % 4 else 3


@dataclass
class Case:
    seq: Sequence
    prompt: list[int]
    max_tokens: int
    seed: int | None
    window: int | None  # rolls when it has so many tokens

    def alone(self) -> list[int]:
        """What the sequence says without batch, cache and drafts."""
        sampler = FakeSampler(self.seed, VOCABULARY) if self.seed is not None else None
        seen, said = self._roll(self.prompt), list[int]()
        while len(said) < self.max_tokens and not (said and said[-1] in self.seq.eos):
            token = adapted(next_token(seen), self.seq.adapters)
            said.append(sampler.sample(token) if sampler else token)
            seen = self._roll([*seen, said[-1]])
        return said

    def _roll(self, seen: list[int]) -> list[int]:
        """What is left at the end of the window: its first quarter, or the prompt, and half of the rest."""
        if self.window is None or len(seen) < self.window:
            return seen
        head = min(len(self.prompt), self.window // 4)
        return seen[:head] + seen[len(seen) - (self.window - head) // 2 :]


class Schedule:
    """One random life of a scheduler."""

    def __init__(self, seed: int):
        self.random = random.Random(seed)
        pick = self.random
        num_slots, self.context = pick.randint(1, 6), pick.randint(30, 220)
        max_draft, window = pick.choice([(None, None)] * 7 + [(None, 5), (0, None), (2, None)])
        self.shares_cells = max_draft is not None or window is not None or pick.random() < 0.7
        batch = pick.randint(2, 24)
        spare = pick.choice([0, 0, self.context])
        limit = Size(self.context + spare if self.shares_cells else self.context, num_slots)
        self.scales = pick.choice([[()], [(0.5,)], [(0.5,), (0.0,), (1.0,)]])  # of one adapter, the load's own first
        own = self.scales[0]
        start = self._start(limit)
        self.runner = FakeRunner(
            next_token,
            start.slots,
            start.cells * (1 if self.shares_cells else start.slots),
            batch,
            max_draft,
            window,
            shares_cells=self.shares_cells,
            can_shift=pick.random() < 0.8,
            adapters=own,
            limit=limit,
            cell_step=pick.choice([1, 8, 32]),
        )
        if pick.random() < 0.25:
            self.runner.memory = pick.randint(self.runner.num_cells, limit.cells * limit.slots)
        draft_window = pick.choice([None, 6])
        draft_limit = Size(pick.randint(30, 220), num_slots)
        start = self._start(draft_limit)
        self.draft_runner = FakeRunner(
            careless_token, start.slots, start.cells, batch, window=draft_window, limit=draft_limit, cell_step=4
        )
        for runner in (self.runner, self.draft_runner):
            runner.num_until_loss = pick.choice([None] * 9 + [pick.randint(0, 3)])
        self.caches: list[PrefixCache] = []
        fixed = pick.choice([None, pick.randint(1, 6)])
        speculation = Speculation(self._drafters(), costs(slope=pick.random() / 2), fixed)
        checkpoints = Checkpoints(
            self.runner,
            interval=pick.randint(1, 12),
            tail=pick.randint(1, 4),
            budget=pick.choice([0, 100, 300, 10_000]),
        )
        store = self._store(self.runner.can_cut_saved)
        cache = PrefixCache(self.runner, store, adapters=own, checkpoints=checkpoints)
        self.caches.append(cache)
        self.num_forced = 0
        self.scheduler = Scheduler(
            cache, speculation, pick.randint(1, num_slots), pick.randint(1, 8), pick.choice([1024, pick.randint(1, 9)])
        )
        system = self._tokens(pick.randint(0, 12))
        self.uids = count()
        self.prompts: list[list[int]] = []
        self.unread: set[Sequence] = set()
        self.todo = [self._request(system) for _ in range(pick.randint(1, 10))]
        self.cases = [case for choices in self.todo for case in choices]
        self.counts: Counter[str] = Counter()

    def _start(self, limit: Size) -> Size:
        """All of it at once, or a part that grows."""
        if self.random.random() < 0.3:
            return limit
        return Size(self.random.randint(1, limit.cells), self.random.randint(1, limit.slots))

    def run(self) -> None:
        for _ in range(MAX_STEPS):
            self._interfere()
            if self.random.random() < 0.05:
                self._resize(self.random.choice(self.caches))
            if not self.scheduler.is_idle:
                self._step()
            elif not self.todo and not self.unread:
                return
        raise AssertionError("no progress")

    def _store(self, can_truncate: bool) -> StateStore | None:
        """RAM for a few states, for one, for none; or no store at all."""
        if self.random.random() < 0.1:
            return None
        budget = self.random.choice([0, 500, 2000, 10_000])
        min_tokens = self.random.randint(1, 4)
        return StateStore(HostCache(budget, can_truncate, tolerance=min_tokens), min_tokens=min_tokens)

    def _drafters(self) -> list[Drafter]:
        kind = self.random.choice(["none", "lookup", "model", "both"])
        drafters: list[Drafter] = []
        if kind in ("lookup", "both"):
            drafters.append(LookupDrafter(ngram=self.random.randint(1, 3), longest=3))
        if kind in ("model", "both"):
            drafters.append(drafter := ModelDrafter(self.draft_runner, "careless"))
            self.caches.append(drafter._cache)
        return drafters

    def _tokens(self, length: int) -> list[int]:
        return [self.random.randrange(VOCABULARY - 1) for _ in range(length)]

    def _request(self, system: list[int]) -> list[Case]:
        """One answer; or several to the same prompt that arrive together, each with a seed of its own."""
        prompt = system + self._tokens(self.random.randint(1, 15))
        if self.prompts and self.random.random() < 0.5:  # the same again, or the next turn
            prompt = [*self.random.choice(self.prompts), *self._tokens(self.random.randint(0, 3))][:29]
        rolls = self.random.random() < 0.2
        if rolls and self.random.random() < 0.3:  # longer than the window, perhaps
            prompt = [*prompt, *self._tokens(self.random.randint(0, self.context))]
        self.prompts.append(prompt[:29])
        max_tokens = self.random.randint(1, 20) + (self.context if rolls and self.random.random() < 0.5 else 0)
        if not rolls:
            max_tokens = min(max_tokens, self.context - len(prompt))
        first = self.random.randrange(1000) if self.random.random() < 0.4 else None
        num_choices = self.random.randint(2, 4) if first is not None and self.random.random() < 0.5 else 1
        seeds = [None if first is None else first + n for n in range(num_choices)]
        priority, adapters = self.random.choice(list(Priority)), self.random.choice(self.scales)
        client, reuses = self.random.choice([None, 1, 2]), self.random.random() > 0.1
        eos = frozenset[int]() if rolls else EOS
        seqs = [Sequence(next(self.uids), list(prompt), max_tokens, eos, priority=priority) for _ in seeds]
        for seq in seqs:
            seq.adapters, seq.client, seq.reuses = adapters, client, reuses
            if rolls:
                seq.make_rolling(self.context, max_tokens)
        return [self._case(prompt, seq, seed) for seq, seed in zip(seqs, seeds, strict=True)]

    def _case(self, prompt: list[int], seq: Sequence, seed: int | None) -> Case:
        seq.sampler = FakeSampler(seed, VOCABULARY) if seed is not None else None
        return Case(seq, prompt, seq.max_tokens, seed, seq.window)

    def _interfere(self) -> None:
        while self.todo and self.random.random() < 0.5:
            choices = self.todo.pop()
            self.counts["choices"] += len(choices) > 1
            for case in choices:
                self.scheduler.add(case.seq)
        for seq in self.scheduler.sequences():
            if self.random.random() < 0.01:
                self.scheduler.finish(seq, Finish.ABORT)
                self.unread.discard(seq)
            elif self.random.random() < (0.2 if seq in self.unread else 0.01):
                self._read_or_not(seq)
            elif seq.window and self.random.random() < (0.2 if seq.window - len(seq.tokens) < 4 else 0.02):
                self._imitate(seq)

    def _resize(self, cache: PrefixCache) -> None:
        """To any size that holds what is held, smaller or larger."""
        runner, slots = cache.runner, cache.slots
        assert isinstance(runner, FakeRunner)
        size = any_size(self.random, cache, runner.used_cells if runner.shares_cells else None)
        before = runner.num_resizes
        try:
            if self.random.random() < 0.3:
                self.counts["shrunk"] += cache.room.shrink()
            else:
                cache.room.resize(size)
        except (NoMemory, CellsLost):
            return
        if runner.num_resizes == before:
            return
        self.num_forced += runner is self.runner
        self.counts["forced"] += bool(slots.busy)
        self.counts["resizes"] += 1
        self.scheduler.check_integrity()

    def _read_or_not(self, seq: Sequence) -> None:
        """A reader stops, or goes on."""
        if seq in self.unread:
            self.unread.remove(seq)
            self.scheduler.resume(seq)
        else:
            self.unread.add(seq)
            self.scheduler.pause(seq)
            assert seq not in self.scheduler.running
        self.counts["unread"] += 1

    def _imitate(self, other: Sequence) -> None:
        """A prompt that begins like what a sequence has at the moment, in its slot or only by its tokens."""
        prompt = other.tokens[: self.random.randint(1, self.context - 1)]
        max_tokens = min(self.random.randint(1, 5), self.context - len(prompt))
        seq = Sequence(len(self.cases), list(prompt), max_tokens, EOS, priority=Priority.WINDOW)
        self.cases.append(Case(seq, prompt, max_tokens, None, None))
        self.scheduler.add(seq)

    def _is_held_back(self, seq: Sequence) -> bool:
        return self.scheduler.cache.keeper.is_held_back(seq)

    def _step(self) -> None:
        before, priorities = self._running(), {seq: seq.priority for seq in self.scheduler.sequences()}
        steps = self.scheduler.schedule()
        gone = before - self._running()
        self.counts["gave way"] += any(priorities[seq] is Priority.BATCH for seq in gone)
        self.counts["kept their slots"] += any(seq.slot is not None for seq in gone)
        assert not self.unread & self._running(), "what nobody reads is computed"
        waiting = set(self.scheduler.sequences()) - self._running() - self.unread
        if any(seq.priority is Priority.WINDOW and not self._is_held_back(seq) for seq in waiting):
            assert not any(seq.priority is Priority.BATCH for seq in self._running()), "the window waits for batch work"
        if not steps:
            self._wait()
            return
        for seq in (step.seq for step in steps):
            if seq.clock.started is None:
                seq.clock.started, seq.num_cached = 0.0, seq.num_computed
        self.counts["shared"] += self.runner.used_cells < self.runner.num_held
        try:
            sampled = self.runner.run(steps)
        except KVFull:
            if not self.shares_cells:
                assert self.runner.size.cells < self.runner.limit.cells, "a slot has cells for all of its sequence"
            self.counts["full"] += 1
            num_waiting = self.scheduler.num_waiting
            self.scheduler.make_room()
            self.counts["paused"] += self.scheduler.num_waiting - num_waiting
        else:
            self.counts["batched"] += len(steps) > 1
            self.scheduler.update(steps, sampled)
        self.scheduler.check_integrity()

    def _running(self) -> set[Sequence]:
        return set(self.scheduler.running)

    def _wait(self) -> None:
        raise AssertionError("nothing to do, and not idle")

    def check(self) -> None:
        for case in self.cases:
            expected = case.alone()
            if case.seq.finish is Finish.ABORT or case.seq.failure:
                expected = expected[: case.seq.num_completion]
                self.counts["aborted"] += case.seq.finish is Finish.ABORT
                self.counts["ended for want of memory"] += case.seq.failure is not None
            assert case.seq.completion == expected
            self.counts["drafted"] += case.seq.num_drafted
            self.counts["accepted"] += case.seq.num_accepted
            assert len(case.prompt) + case.seq.num_completion == len(case.seq.tokens) + case.seq.num_rolled
            self.counts["finished"] += 1
            self.counts["rolled"] += case.seq.num_rolled > 0
            self._check_account(case.seq)
        self.scheduler.cache.clear()
        assert self.runner.used_cells == 0
        self.counts["in streams"] += not self.shares_cells
        self.counts["resized"] += self.counts["resizes"] > 0
        self.counts["grown"] += self.runner.num_resizes > self.num_forced
        self.counts["draft grown"] += self.draft_runner.num_resizes > 0
        self.counts["refused"] += self.runner.num_refused > 0
        self.counts["lost"] += self.runner.num_losses
        self.counts["draft lost"] += self.draft_runner.num_losses
        self.counts["adapters changed"] += self.runner.num_adapter_changes
        self.counts["moved"] += self.runner.num_rolls
        self.counts["saved"] += self.runner.num_saves
        self.counts["restored"] += self.runner.num_restores
        if self.runner.max_draft is not None:
            self.counts["went back"] += self.runner.num_rewinds
            self.counts["guessed while recurrent"] += sum(case.seq.num_drafted for case in self.cases)

    def _check_account(self, seq: Sequence) -> None:
        account = seq.timings()
        if seq.clock.started is not None:
            assert account.prompt_n + account.cache_n == seq.num_prompt
            assert (account.cache_miss is None) == (account.prompt_n == 1)
            assert seq.reuses or (account.cache_n == 0 and account.cache_miss in (None, CacheMiss.NOT_WANTED))
        self.counts[f"miss: {account.cache_miss}"] += 1
        self.counts["from ram"] += account.cache_ram_n > 0


class Counted(int):
    """A priority that notices when it is compared."""

    num_compared = 0

    def __eq__(self, other: object) -> bool:
        Counted.num_compared += 1
        return int.__eq__(self, other)

    __hash__ = int.__hash__


@pytest.mark.parametrize("num_waiting", [2000])
def test_a_long_queue_is_not_looked_at_in_every_step(num_waiting: int, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = FakeRunner(next_token, num_slots=2, num_cells=100)
    scheduler = Scheduler(PrefixCache(runner), Speculation([]), max_running=2)
    for uid in range(num_waiting):
        scheduler.add(Sequence(uid, [1, 2, 3], max_tokens=2, priority=Counted(1)))  # type: ignore[arg-type]
    held_back = [scheduler.places.waiting.first]
    monkeypatch.setattr(scheduler.cache, "must_wait", held_back.__contains__)
    Counted.num_compared = 0
    steps = scheduler.schedule()
    assert [step.seq.uid for step in steps] == [1, 2]
    assert scheduler.num_waiting == num_waiting - 2
    assert Counted.num_compared < 200, "a few for each level of the heap"


@pytest.mark.parametrize("max_draft", [None, 0, 2])
def test_while_all_wait_for_the_disk_a_step_is_empty(max_draft: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = FakeRunner(next_token, num_slots=2, num_cells=200, max_draft=max_draft)
    scheduler = Scheduler(PrefixCache(runner), Speculation([]), max_running=2)
    monkeypatch.setattr(scheduler.cache, "must_wait", lambda _seq: True)
    scheduler.add(Sequence(1, [1, 2, 3], max_tokens=3))
    assert scheduler.schedule() == []


def test_the_window_goes_before_the_batch_work_that_waits() -> None:
    runner = FakeRunner(next_token, num_slots=1, num_cells=100)
    scheduler = Scheduler(PrefixCache(runner), Speculation([]), max_running=1)
    for uid, priority in enumerate([Priority.BATCH, Priority.BATCH, Priority.WINDOW]):
        scheduler.add(Sequence(uid, [1, 2], max_tokens=1, priority=priority))
    order = []
    while not scheduler.is_idle:
        steps = scheduler.schedule()
        order.append(steps[0].seq.uid)
        scheduler.update(steps, runner.run(steps))
    assert order == [2, 0, 1]


def _let_in(scheduler: Scheduler, runner: FakeRunner, *seqs: Sequence) -> None:
    for seq in seqs:
        scheduler.add(seq)
    _step(scheduler, runner)
    assert set(seqs) <= set(scheduler.running)


def _step(scheduler: Scheduler, runner: FakeRunner) -> list[int]:
    """The uids of those it was for."""
    steps = scheduler.schedule()
    scheduler.update(steps, runner.run(steps))
    scheduler.check_integrity()
    return [step.seq.uid for step in steps]


@pytest.mark.parametrize("num_slots", [4, 5, 12])
@pytest.mark.parametrize("shares_cells", [True, False])
def test_a_question_at_the_window_takes_the_place_of_the_newest_batch_answer_at_once(
    num_slots: int, shares_cells: bool
) -> None:
    runner = FakeRunner(next_token, num_slots, num_cells=400 * num_slots, shares_cells=shares_cells)
    scheduler = Scheduler(PrefixCache(runner), Speculation([]), max_running=4)
    endless = [Sequence(uid, [1, 2, uid], max_tokens=300) for uid in range(4)]
    _let_in(scheduler, runner, *endless)
    window = Sequence(9, [5, 4, 3], max_tokens=20, priority=Priority.WINDOW)
    scheduler.add(window)
    while not window.finish:
        assert sorted(_step(scheduler, runner)) == [0, 1, 2, 9]
    assert sorted(_step(scheduler, runner)) == [0, 1, 2, 3], "the one that gave way goes on at once"
    _run(scheduler, runner)
    for seq in endless:
        assert seq.completion == Case(seq, [1, 2, seq.uid], 300, None, None).alone()
    if num_slots > 4:
        assert runner.num_decoded == sum(len(seq.tokens) - 1 for seq in (*endless, window)), "nothing was read twice"


def test_a_cache_full_of_endless_answers_keeps_no_window_waiting() -> None:
    runner = FakeRunner(next_token, num_slots=12, num_cells=64, max_batch_tokens=32)
    scheduler = Scheduler(PrefixCache(runner), Speculation([]), max_running=4)
    for uid in range(4):
        seq = Sequence(uid, [1, 2, uid], max_tokens=2**31)
        seq.make_rolling(64, 2**31)
        scheduler.add(seq)
    for _ in range(500):
        _stumble(scheduler, runner)
    window = Sequence(9, [5, 4, 3] * 10, max_tokens=10, priority=Priority.WINDOW)
    scheduler.add(window)
    for _ in range(40):
        _stumble(scheduler, runner)
    assert window.finish
    assert window.completion == Case(window, [5, 4, 3] * 10, 10, None, None).alone()


def _stumble(scheduler: Scheduler, runner: FakeRunner) -> None:
    steps = scheduler.schedule()
    try:
        scheduler.update(steps, runner.run(steps))
    except KVFull:
        scheduler.make_room()
    scheduler.check_integrity()


def test_an_answer_that_nobody_reads_gives_its_place_away_and_goes_on_where_it_was() -> None:
    runner = FakeRunner(next_token, num_slots=3, num_cells=400)
    scheduler = Scheduler(PrefixCache(runner), Speculation([]), max_running=1)
    unread, other = Sequence(1, [1, 2, 3], max_tokens=50), Sequence(2, [3, 2, 1], max_tokens=50)
    _let_in(scheduler, runner, unread)
    scheduler.pause(unread)
    scheduler.pause(unread)
    assert scheduler.is_idle
    assert scheduler.is_blocked
    scheduler.add(other)
    _run(scheduler, runner)
    assert other.finish
    assert not unread.finish
    scheduler.resume(unread)
    scheduler.resume(unread)
    _run(scheduler, runner)
    assert unread.completion == Case(unread, [1, 2, 3], 50, None, None).alone()
    assert runner.num_decoded == len(unread.tokens) + len(other.tokens) - 2, "nothing was read twice"


def test_an_unread_answer_that_is_called_off_leaves_nothing() -> None:
    runner = FakeRunner(next_token, num_slots=2, num_cells=400)
    scheduler = Scheduler(PrefixCache(runner), Speculation([]), max_running=1)
    running, waiting = Sequence(1, [1, 2, 3], max_tokens=50), Sequence(2, [3, 2, 1], max_tokens=50)
    _let_in(scheduler, runner, running)
    scheduler.add(waiting)
    for seq in (running, waiting):
        scheduler.pause(seq)
        scheduler.finish(seq, Finish.ABORT)
        scheduler.resume(seq)
    scheduler.check_integrity()
    assert scheduler.sequences() == []
    scheduler.cache.clear()
    assert runner.used_cells == 0


def test_a_client_with_many_prompts_takes_turns_with_others() -> None:
    runner = FakeRunner(next_token, num_slots=1, num_cells=100)
    scheduler = Scheduler(PrefixCache(runner), Speculation([]), max_running=1)
    for uid in range(64):
        scheduler.add(Sequence(uid, [1, 2], max_tokens=1, client=1))
    for uid in (100, 101):
        scheduler.add(Sequence(uid, [1, 2], max_tokens=1, client=2))
    scheduler.add(Sequence(200, [1, 2], max_tokens=1))
    order = []
    while not scheduler.is_idle:
        order += _step(scheduler, runner)
    assert order[:6] == [0, 100, 200, 1, 101, 2]
    assert order[6:] == list(range(3, 64))


def test_an_answer_without_end_does_not_keep_its_place_for_ever() -> None:
    runner = FakeRunner(next_token, num_slots=3, num_cells=9000)
    scheduler = Scheduler(PrefixCache(runner), Speculation([]), max_running=1, turn_tokens=100)
    endless, single = Sequence(1, [1, 2], max_tokens=1000), Sequence(2, [3, 2, 1], max_tokens=20)
    _let_in(scheduler, runner, endless)
    scheduler.add(single)
    for _ in range(130):
        _step(scheduler, runner)
    assert single.finish
    assert scheduler.running == [endless]
    _run(scheduler, runner)
    assert endless.completion == Case(endless, [1, 2], 1000, None, None).alone()


def test_a_prompt_that_arrives_beside_an_answer_is_read_in_chunks() -> None:
    runner = FakeRunner(next_token, num_slots=2, num_cells=2000, max_batch_tokens=512)
    scheduler = Scheduler(PrefixCache(runner), Speculation([]), max_running=2)
    scheduler.add(Sequence(1, [1, 2], max_tokens=50))
    steps = scheduler.schedule()
    scheduler.update(steps, runner.run(steps))
    scheduler.add(Sequence(2, [3] * 400, max_tokens=5))
    steps = scheduler.schedule()
    assert steps[0].seq.uid == 1, "the answer comes first"
    assert len(steps[1].tokens) == FIRST_CHUNK, "before anything is known of costs"
    scheduler.update(steps, runner.run(steps))
    scheduler.speculation.costs.measured(1, 0.010)
    scheduler.speculation.costs.observe(1, 0.018, [(FIRST_CHUNK, 0)])
    assert len(scheduler.schedule()[1].tokens) == 2 * FIRST_CHUNK, "it was quicker than it might be"


def test_prompts_that_arrive_together_and_begin_alike_are_read_once() -> None:
    shared = [1, 2, 3] * 150
    runner = FakeRunner(next_token, num_slots=8, num_cells=700, max_batch_tokens=100)
    scheduler = Scheduler(PrefixCache(runner), Speculation([]), max_running=8)
    clients = [Sequence(uid, [*shared, uid % 5], max_tokens=1) for uid in range(8)]
    for seq in clients:
        scheduler.add(seq)
    _run(scheduler, runner)
    assert runner.num_decoded == len(shared) + len(clients)
    for seq in clients:
        assert seq.completion == [next_token([*shared, seq.uid % 5])]


def test_who_waits_for_a_prompt_that_is_called_off_goes_on_from_there() -> None:
    shared = [1, 2, 3] * 100
    runner = FakeRunner(next_token, num_slots=2, num_cells=700, max_batch_tokens=100)
    scheduler = Scheduler(PrefixCache(runner), Speculation([]), max_running=2)
    first, second = (Sequence(uid, [*shared, uid], max_tokens=1) for uid in range(2))
    scheduler.add(first)
    scheduler.add(second)
    steps = scheduler.schedule()
    assert [step.seq for step in steps] == [first], "the second would read the same"
    scheduler.update(steps, runner.run(steps))
    scheduler.finish(first, Finish.ABORT)
    _run(scheduler, runner)
    assert second.completion == [next_token(second.tokens[:-1])]
    assert runner.num_decoded == len(shared) + 1


def test_the_second_turn_decodes_only_new_tokens() -> None:
    runner = FakeRunner(next_token, num_slots=2, num_cells=200)
    scheduler = Scheduler(PrefixCache(runner), Speculation([]), max_running=2)
    first = Sequence(1, [1, 2, 3, 4], max_tokens=4)
    _finish(scheduler, runner, first)
    second = Sequence(2, [*first.tokens, 5, 1], max_tokens=1)
    _finish(scheduler, runner, second)
    assert runner.num_decoded == len(first.tokens) - 1 + 3  # the answer's last token was never decoded before


def test_a_prompt_shares_the_prefix_of_one_that_still_runs() -> None:
    runner = FakeRunner(next_token, num_slots=2, num_cells=200)
    scheduler = Scheduler(PrefixCache(runner), Speculation([]), max_running=2)
    scheduler.add(Sequence(1, [1, 2, 3, 4, 5], max_tokens=30))
    steps = scheduler.schedule()
    scheduler.update(steps, runner.run(steps))
    late = Sequence(2, [1, 2, 3, 4, 0], max_tokens=1)
    scheduler.add(late)
    steps = scheduler.schedule()
    assert {step.seq.uid: step.tokens for step in steps}[2] == [0]
    assert runner.used_cells == 5, "the shared cells are counted once"


def test_without_shared_cells_the_next_turn_takes_no_slot_from_another_conversation() -> None:
    runner = FakeRunner(next_token, num_slots=2, num_cells=200, shares_cells=False)
    scheduler = Scheduler(PrefixCache(runner), Speculation([]), max_running=2)
    first, other = Sequence(1, [1, 2, 3, 4], max_tokens=4), Sequence(2, [5, 0, 5, 0], max_tokens=4)
    _finish(scheduler, runner, first)
    _finish(scheduler, runner, other)
    _finish(scheduler, runner, Sequence(3, [*first.tokens, 5, 1], max_tokens=1))
    assert scheduler.cache.match(other.tokens)[1] == len(other.tokens) - 1


def test_answers_with_other_adapters_take_turns() -> None:
    runner = FakeRunner(next_token, num_slots=3, num_cells=300)
    scheduler = Scheduler(PrefixCache(runner), Speculation([]), max_running=3)
    for uid, scale in enumerate([0.0, 1.0, 0.0]):
        scheduler.add(Sequence(uid, [1, 2, uid], max_tokens=40, adapters=(scale,)))
    company: list[tuple[int, ...]] = []
    while not scheduler.is_idle:
        steps = scheduler.schedule()
        company.append(tuple(sorted(step.seq.uid for step in steps)))
        scheduler.update(steps, runner.run(steps))
    assert set(company) == {(0, 2), (1,)}
    first = company[: 2 * TURN_STEPS + 2]
    assert first == [(0, 2), (1,), *[(0, 2)] * TURN_STEPS, *[(1,)] * TURN_STEPS], "a prompt's step ends a turn"
    assert company.count((0, 2)) == company.count((1,)) == 40


def test_a_prompt_makes_answers_with_other_adapters_wait_no_longer_than_its_own_company() -> None:
    runner = FakeRunner(next_token, num_slots=2, num_cells=2000, max_batch_tokens=512)
    scheduler = Scheduler(PrefixCache(runner), Speculation([]), max_running=2)
    scheduler.add(Sequence(1, [1, 2], max_tokens=500))
    steps = scheduler.schedule()
    scheduler.update(steps, runner.run(steps))
    scheduler.add(Sequence(2, [3] * 400, max_tokens=5, adapters=(1.0,)))
    lengths = []
    while sum(lengths) < 400:
        steps = scheduler.schedule()
        lengths += [len(step.tokens) for step in steps if step.seq.uid == 2]
        scheduler.update(steps, runner.run(steps))
    assert max(lengths) == FIRST_CHUNK, "before anything is known of costs"


def test_a_prompt_takes_no_cells_that_were_made_with_other_adapters() -> None:
    runner = FakeRunner(next_token, num_slots=3, num_cells=300)
    scheduler = Scheduler(PrefixCache(runner), Speculation([]), max_running=1)
    prompt = [1, 2, 3, 4, 5]
    plain, adapted, again = (
        Sequence(uid, list(prompt), max_tokens=3, adapters=(scale,)) for uid, scale in enumerate([0.0, 1.0, 1.0])
    )
    for seq in (plain, adapted, again):
        _finish(scheduler, runner, seq)
    assert [seq.reuse.length for seq in (plain, adapted, again)] == [0, 0, 4]
    assert adapted.reuse.miss is CacheMiss.OTHER_BUILD
    assert plain.completion != adapted.completion == again.completion


@pytest.mark.parametrize(
    "chunk", [*range(NUM_CHUNKS), *(pytest.param(chunk, marks=pytest.mark.real) for chunk in MORE_CHUNKS)]
)
def test_every_sequence_says_in_any_company_what_it_says_alone(chunk: int) -> None:
    counts: Counter[str] = Counter()
    for seed in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        schedule = Schedule(seed)
        try:
            schedule.run()
            schedule.check()
        except AssertionError as error:
            raise AssertionError(f"schedule {seed}: {error}") from error
        counts += schedule.counts
    # the schedules must have been through everything they are there for
    assert counts["finished"] > 5 * CHUNK
    always = ("full", "batched", "aborted", "drafted", "accepted", "shared", "choices", "adapters changed")
    for event in (*always, "unread", "gave way", "kept their slots"):
        assert counts[event] > CHUNK / 4, counts
    assert counts["resized"] > CHUNK / 2, counts
    for event in ("forced", "grown", "draft grown", "shrunk"):
        assert counts[event] > CHUNK / 10, counts
    assert counts["refused"] > CHUNK / 500, counts
    for event in ("lost", "draft lost"):
        assert counts[event] > CHUNK / 100, counts
    misses = [f"miss: {miss}" for miss in ("evicted", "first_difference", "another_build", "no_rewind", None)]
    often = ("in streams", "rolled", "moved", "saved", "restored", "from ram", "went back", "guessed while recurrent")
    for event in (*often, *misses):
        assert counts[event] > CHUNK / 15, counts
    assert counts["paused"] > CHUNK / 100, counts


def _finish(scheduler: Scheduler, runner: FakeRunner, seq: Sequence) -> None:
    scheduler.add(seq)
    _run(scheduler, runner)


def _run(scheduler: Scheduler, runner: FakeRunner) -> None:
    while not scheduler.is_idle:
        steps = scheduler.schedule()
        scheduler.update(steps, runner.run(steps))
