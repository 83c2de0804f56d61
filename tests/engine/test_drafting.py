"""Guesses: where they come from, what they save, what is left of them."""

from collections.abc import Sequence as Many

import pytest

from backends.drafting.calibration import Calibration
from backends.drafting.costs import StepCosts
from backends.drafting.drafter import Guess, LookupDrafter, ModelDrafter
from backends.drafting.speculation import MAX_LENGTH, PROBE_INTERVAL, Speculation
from backends.engine.prefix_cache import PrefixCache
from backends.engine.runner import Step
from backends.engine.scheduler import Scheduler
from backends.engine.sequence import Sequence
from backends.fake.runner import FakeRunner
from tests.engine.costs import costs


def counting(prefix: list[int]) -> int:
    return (prefix[-1] + 1) % 100


def wrong(prefix: list[int]) -> int:
    return (prefix[-1] + 2) % 100


def make(drafter: LookupDrafter | ModelDrafter, step_costs: StepCosts | None = None) -> tuple[Scheduler, FakeRunner]:
    runner = FakeRunner(counting, num_slots=3, num_cells=1000)
    speculation = Speculation([drafter], step_costs or costs(slope=0))
    return Scheduler(PrefixCache(runner), speculation, max_running=2), runner


def finish(scheduler: Scheduler, runner: FakeRunner) -> None:
    while not scheduler.is_idle:
        steps = scheduler.schedule()
        scheduler.update(steps, runner.run(steps))
        scheduler.check_integrity()


def test_an_accepted_guess_is_not_decoded_again() -> None:
    scheduler, runner = make(ModelDrafter(FakeRunner(counting, 3, 1000), "perfect"))
    seq = Sequence(1, [1, 2, 3], max_tokens=60)
    scheduler.add(seq)
    finish(scheduler, runner)
    assert seq.num_accepted == seq.num_drafted > 40
    assert runner.num_decoded == len(seq.tokens) - 1, "each token once, the last one never"
    assert runner.num_runs < 60 / 4


def test_lookup_guesses_what_followed_last_time() -> None:
    seq = Sequence(1, [4, 5, 6, 7, 8, 9, 1, 4, 5, 6], max_tokens=50)
    assert LookupDrafter().propose({seq: 3}) == {seq: Guess([7, 8, 9], "lookup of 3")}


def test_a_longer_match_is_a_better_kind_of_guess() -> None:
    seq = Sequence(1, [2, 3, 4, 5, 6, 7, 2, 3, 4, 5, 6], max_tokens=50)
    assert LookupDrafter().propose({seq: 1}) == {seq: Guess([7], "lookup of 5")}
    assert LookupDrafter().kinds["lookup of 5"] > LookupDrafter().kinds["lookup of 3"]


def test_lookup_has_no_guess_where_nothing_repeats() -> None:
    seq = Sequence(1, [1, 2, 3, 1, 2], max_tokens=50)
    assert LookupDrafter().propose({seq: 3}) == {}


def test_lookup_prefers_the_most_recent_occurrence() -> None:
    seq = Sequence(1, [4, 5, 6, 1, 4, 5, 6, 2, 4, 5, 6], max_tokens=50)
    assert LookupDrafter().propose({seq: 1}) == {seq: Guess([2], "lookup of 3")}


def test_guesses_grow_with_the_steps_whose_cost_is_known() -> None:
    scheduler, runner = make(ModelDrafter(FakeRunner(counting, 3, 1000), "perfect"), StepCosts())
    scheduler.add(Sequence(1, [1], max_tokens=200))
    lengths = []
    while not scheduler.is_idle:
        steps = scheduler.schedule()
        lengths.append(len(steps[0].draft))
        scheduler.update(steps, runner.run(steps))
        scheduler.speculation.costs.observe(steps[0].num_rows, 0.1)  # as a GPU: a row more costs nothing
    assert lengths[:5] == [0, 1, 3, 7, 15], "a plain step, then at most twice as far as is known"
    assert max(lengths) <= MAX_LENGTH


def test_where_every_row_costs_a_step_nothing_is_guessed() -> None:
    scheduler, runner = make(ModelDrafter(FakeRunner(counting, 3, 1000), "perfect"), costs(slope=1.0))
    seq = Sequence(1, [1], max_tokens=200)
    scheduler.add(seq)
    finish(scheduler, runner)
    assert seq.num_drafted <= 1, "one look, and no more for a thousand steps"


def test_the_length_follows_the_costs() -> None:
    lengths = {}
    for slope in (0.0, 0.2, 0.5):
        scheduler, runner = make(ModelDrafter(FakeRunner(counting, 3, 1000), "perfect"), costs(slope))
        seq = Sequence(1, [1], max_tokens=100)
        scheduler.add(seq)
        finish(scheduler, runner)
        lengths[slope] = seq.num_drafted / runner.num_runs
    assert lengths[0.0] > lengths[0.2] > lengths[0.5] > 0


def test_a_source_whose_guesses_fail_rests_and_is_tried_again() -> None:
    draft_runner = FakeRunner(wrong, 3, 1000)
    scheduler, runner = make(ModelDrafter(draft_runner, "wrong"), costs(slope=0.2))
    seq = Sequence(1, [1], max_tokens=400)
    scheduler.add(seq)
    finish(scheduler, runner)
    assert seq.num_accepted == 0
    assert 2 < seq.num_drafted < 2 * 400 / PROBE_INTERVAL + 40


def test_what_one_answer_wins_is_not_lost_on_another_that_cannot_be_guessed() -> None:
    draft_runner = FakeRunner(lambda prefix: (counting if prefix[0] == 1 else wrong)(prefix), 3, 1000)
    scheduler, runner = make(ModelDrafter(draft_runner, "one"), costs(slope=0.1))
    right, lost = Sequence(1, [1], max_tokens=400), Sequence(2, [2], max_tokens=100)
    for seq in (right, lost):
        scheduler.add(seq)
    finish(scheduler, runner)
    assert right.num_accepted > 300
    assert lost.num_drafted < 40


def test_the_draft_model_gives_its_slots_back() -> None:
    drafter = ModelDrafter(FakeRunner(counting, num_slots=2, num_cells=1000), "small")
    scheduler, runner = make(drafter)
    for uid in range(20):
        scheduler.add(seq := Sequence(uid, [uid, uid + 1], max_tokens=12))
        finish(scheduler, runner)
        assert seq.num_accepted > 0, f"sequence {uid} found no free slot"


def test_a_draft_model_without_room_costs_guesses_but_no_answer() -> None:
    scheduler, runner = make(ModelDrafter(FakeRunner(counting, num_slots=3, num_cells=20), "cramped"))
    seqs = [Sequence(uid, list(range(15)), max_tokens=60) for uid in range(2)]
    for seq in seqs:
        scheduler.add(seq)
    finish(scheduler, runner)
    assert all(seq.completion == [(15 + i) % 100 for i in range(60)] for seq in seqs)


def test_idle_steps_teach_the_costs_and_leave_nothing_in_the_cache() -> None:
    draft_runner = FakeRunner(counting, 3, 1000)
    scheduler, runner = make(ModelDrafter(draft_runner, "perfect"), StepCosts())
    calibration = Calibration(scheduler.cache, scheduler.speculation)
    while not calibration.is_done:
        calibration.step()
    assert scheduler.speculation.costs.most_rows == 16
    assert runner.used_cells == 0
    scheduler.check_integrity()
    seq = Sequence(1, [1, 2], max_tokens=9)
    scheduler.add(seq)
    finish(scheduler, runner)
    assert seq.completion == list(range(3, 12))


def test_nothing_is_measured_where_a_dummy_step_would_take_long() -> None:
    scheduler, runner = make(LookupDrafter(), StepCosts())
    scheduler.speculation.costs.observe(1, 1.0)
    calibration = Calibration(scheduler.cache, scheduler.speculation)
    while not calibration.is_done:
        calibration.step()
    assert runner.num_runs == 0


def test_a_request_can_do_without_guesses() -> None:
    scheduler, runner = make(ModelDrafter(FakeRunner(counting, 3, 1000), "perfect"))
    seq = Sequence(1, [1], max_tokens=20, max_draft=0)
    scheduler.add(seq)
    finish(scheduler, runner)
    assert seq.num_drafted == 0
    assert runner.num_runs == 20


def test_a_request_can_limit_its_guesses_and_no_other_ones() -> None:
    scheduler, runner = make(ModelDrafter(FakeRunner(counting, 3, 1000), "perfect"))
    limited, free = Sequence(1, [1], max_tokens=40, max_draft=2), Sequence(2, [5], max_tokens=40)
    lengths: dict[Sequence, list[int]] = {limited: [], free: []}
    for seq in lengths:
        scheduler.add(seq)
    while not scheduler.is_idle:
        steps = scheduler.schedule()
        for step in steps:
            lengths[step.seq].append(len(step.draft))
        scheduler.update(steps, runner.run(steps))
    assert max(lengths[limited]) == 2 < max(lengths[free])
    assert limited.completion == [(2 + n) % 100 for n in range(40)]


class Clocked(FakeRunner):
    """Its own time passes: a millisecond for each row."""

    def __init__(self) -> None:
        super().__init__(counting, num_slots=3, num_cells=5000)
        self.now = 0.0
        self.seconds: list[float] = []  # of each run

    def run(self, steps: Many[Step]) -> list[list[int]]:
        self.seconds.append(0.001 * sum(step.num_rows for step in steps))
        self.now += self.seconds[-1]
        return super().run(steps)


def test_a_draft_model_reads_a_long_prompt_in_parts_that_nobody_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    draft_runner = Clocked()
    for module in ("drafter", "speculation"):
        monkeypatch.setattr(f"backends.drafting.{module}.perf_counter", lambda: draft_runner.now)
    step_costs = costs(slope=0)
    speculation = Speculation([ModelDrafter(draft_runner, "slow")], step_costs, fixed_length=4)
    spare = step_costs.pace.spare(step_costs.answers(2))
    assert spare < step_costs.pace.max_interval / 2
    long, short = Sequence(1, [n % 100 for n in range(1000)], max_tokens=60), Sequence(2, [5, 6], max_tokens=60)
    guessed: dict[Sequence, int] = {long: 0, short: 0}
    for step in range(100):
        begin, guesses = draft_runner.now, speculation.propose({long: 4, short: 4})
        for seq in guesses:
            guessed[seq] = guessed[seq] or step
        assert draft_runner.now - begin <= spare + 4 * 0.002, "and what it drafts"
    assert guessed[short] <= 1, "it does not wait for the other"
    assert guessed[long] >= 1000 / (1000 * spare) - 1
    drafting = speculation.describe().sources[0]
    assert drafting.seconds == pytest.approx(0.002, rel=0.6), "what was read is no part of a draft's time"
