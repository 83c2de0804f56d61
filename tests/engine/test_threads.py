"""The thread mode follows the machine: quick beside other programs, back when they end, cheap on a quiet machine."""

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.engine.threads import ThreadMode, Threads, thread_modes
from tests.engine.busy_machine import Machine, bursts

NOISE = 1.05  # what hiccups alone add
BACK_SECONDS = 90.0  # a pause between trials is a minute at most

machines = st.fixed_dictionaries(
    {
        "cores": st.sampled_from((2, 4, 8, 16)),
        "step": st.sampled_from((0.02, 0.1, 0.4)),
        "is_seen": st.booleans(),
        "noise": st.integers(0, 1000).map(random.Random),
    }
)


def test_modes_go_from_a_quiet_machine_to_the_busiest() -> None:
    assert thread_modes(1, can_sleep=True) == (ThreadMode(1, True),)
    assert thread_modes(2, can_sleep=True) == (ThreadMode(2, True), ThreadMode(2, False), ThreadMode(1, False))
    assert thread_modes(2, can_sleep=False) == (ThreadMode(2, True), ThreadMode(1, True))
    assert [mode.num_threads for mode in thread_modes(16, can_sleep=True)] == [16, 16, 12, 8, 4, 1]


@given(machines, st.booleans())
@settings(max_examples=12, deadline=None, derandomize=True)
def test_a_quiet_machine_pays_little_for_the_trials(machine: dict[str, object], can_sleep: bool) -> None:
    quiet = Machine(others=lambda _: 0, can_sleep=can_sleep, **machine)  # type: ignore[arg-type]
    steps = quiet.drive(quiet.threads(), 120.0)
    assert sum(step[2] for step in steps) < 1.04 * NOISE * sum(step[3] for step in steps)


@pytest.mark.parametrize("seed", range(6))
def test_noise_of_a_quiet_machine_changes_no_mode_for_good(seed: int) -> None:
    quiet = Machine(2, 0.02, lambda _: 0, noise=random.Random(seed), spread=0.2)
    threads = quiet.threads()
    for until in range(1, 61):
        quiet.drive(threads, until)
        assert threads.settled == quiet.modes[0]


@given(machines, st.integers(1, 4))
@settings(max_examples=12, deadline=None, derandomize=True)
def test_beside_others_it_is_soon_as_quick_as_the_best_mode(machine: dict[str, object], others: int) -> None:
    busy = Machine(others=lambda _: others, **machine)  # type: ignore[arg-type]
    threads = busy.threads()
    busy.drive(threads, 30.0)
    steps = busy.drive(threads, 180.0)
    assert sum(step[2] for step in steps) < 1.12 * NOISE * sum(step[3] for step in steps)


@given(machines, st.integers(1, 4), st.floats(5, 60))
@settings(max_examples=12, deadline=None, derandomize=True)
def test_it_comes_back_when_the_others_have_ended(machine: dict[str, object], others: int, end: float) -> None:
    machine["is_seen"] = True
    freed = Machine(others=lambda now: others if now < end else 0, **machine)  # type: ignore[arg-type]
    threads = freed.threads()
    freed.drive(threads, end + BACK_SECONDS)
    assert threads.settled == freed.modes[0]
    assert not threads.is_crowded


def test_where_nobody_says_what_others_use_it_comes_back_within_two_pauses() -> None:
    freed = Machine(2, 0.02, lambda now: 2 if now < 60 else 0, is_seen=False)
    threads = freed.threads()
    freed.drive(threads, 60.0)
    assert threads.settled != freed.modes[0]
    freed.drive(threads, 200.0)
    assert threads.settled == freed.modes[0]


@given(machines, st.lists(st.tuples(st.integers(0, 4), st.floats(1, 20)), min_size=2, max_size=12))
@settings(max_examples=12, deadline=None, derandomize=True)
def test_it_does_not_wander_however_others_come_and_go(
    machine: dict[str, object], spells: list[tuple[int, float]]
) -> None:
    def others(now: float) -> int:
        for count, seconds in spells:
            if now < seconds:
                return count
            now -= seconds
        return 0

    total = sum(seconds for _, seconds in spells)
    changing = Machine(others=others, **machine)  # type: ignore[arg-type]
    threads = changing.threads()
    modes = [step[1] for step in changing.drive(threads, total + 60)]
    changes = sum(a != b for a, b in pairwise(modes))
    assert changes < 20 * len(spells) + (total + 60)


def test_a_longer_context_is_no_reason_for_fewer_threads() -> None:
    """From one step to the next a conversation of eight times the cost goes on."""
    deep = Machine(2, 0.02, lambda _: 0, work=lambda now: 1.0 if now % 20 < 10 else 8.0)
    steps = deep.drive(deep.threads(), 200.0)
    assert sum(step[2] for step in steps) < 1.04 * NOISE * sum(step[3] for step in steps)


def test_steps_of_many_rows_are_no_reason_either() -> None:
    machine = Machine(2, 0.02, lambda _: 0)
    threads = machine.threads()
    lost = 0
    for number in range(4000):
        rows = 1 if number % 50 < 25 else 8
        mode = threads.mode
        lost += mode != machine.modes[0]
        threads.observe(rows, rows**0.8 * machine.run(mode), machine.now)
    assert lost < 0.02 * 4000
    assert threads.settled == machine.modes[0]


def test_a_model_that_sleeps_better_than_it_spins_is_let_sleep() -> None:
    tiny = Machine(2, 0.002, lambda _: 0, asleep=0.7)
    threads = tiny.threads()
    tiny.drive(threads, 60.0)
    assert threads.settled == ThreadMode(2, False)
    assert not threads.is_crowded, "nobody else is there"


def test_without_sleep_it_leaves_the_cores_of_the_others_alone() -> None:
    fixed = Machine(8, 0.05, lambda _: 3, can_sleep=False)
    threads = fixed.threads()
    fixed.drive(threads, 30.0)
    assert threads.settled.num_threads == 4
    assert threads.is_crowded


@pytest.mark.parametrize("others", [1, 2, 4])
def test_an_engine_that_starts_beside_others_does_not_begin_with_spinning(others: int) -> None:
    busy = Machine(2, 0.02, lambda _: others)
    busy.run(ThreadMode(1, False))  # as its model is loaded
    assert not busy.threads().mode.is_spinning


def test_there_a_tiny_model_computes_on_one_thread_after_some_steps() -> None:
    """Two asleep take three times as long as one."""
    busy = Machine(2, 0.004, lambda _: 4, asleep=6.0)
    busy.run(ThreadMode(1, False))
    threads = busy.threads()
    modes = [step[1] for step in busy.drive(threads, 1.0)]
    assert modes.count(ThreadMode(1, False)) > 0.5 * len(modes)
    assert threads.settled == ThreadMode(1, False)


@pytest.mark.parametrize("step", [0.01, 0.04])
@pytest.mark.parametrize(
    ("spell", "pause", "share"), [(0.3, 0.3, (0.2, 0.7)), (0.1, 1.0, (0.5, 0.9)), (5, 5, (0.2, 0.6))]
)
def test_what_a_host_takes_in_bursts_costs_no_more_than_it_takes(
    spell: float, pause: float, share: tuple[float, float], step: float
) -> None:
    """Steps in a burst are slow in any mode, and those after it quick."""
    stolen = bursts(random.Random(1), spell, pause, share)
    host = Machine(2, step, lambda _: 0, work=lambda now: 1 / (1 - stolen(now)))
    steps = host.drive(host.threads(), 120.0)
    assert sum(step[2] for step in steps if step[1] != host.modes[0]) < 0.06 * 120.0
    assert sum(step[2] for step in steps) < 1.02 * NOISE * sum(step[3] for step in steps)


def test_others_who_are_not_in_the_way_cost_nothing_after_some_seconds() -> None:
    """As programs at the lowest priority."""
    polite = Machine(2, 0.02, lambda _: 1, are_polite=True)
    polite.run(ThreadMode(1, False))
    threads = polite.threads()
    polite.drive(threads, 5.0)
    steps = polite.drive(threads, 60.0)
    assert threads.settled == polite.modes[0]
    assert sum(step[2] for step in steps) < 1.02 * NOISE * sum(step[3] for step in steps)


@pytest.mark.parametrize("seed", range(3))
def test_it_comes_back_within_seconds_though_steps_differ_much(seed: int) -> None:
    freed = Machine(2, 0.02, lambda now: 2 if now < 20 else 0, noise=random.Random(seed), spread=0.3)
    threads = freed.threads()
    freed.drive(threads, 20.0)
    assert threads.settled != freed.modes[0]
    freed.drive(threads, 30.0)
    assert threads.settled == freed.modes[0]


def test_it_knows_who_is_there_a_second_after_it_has_rested() -> None:
    """What ran while it rested is not counted, and what runs now is not waited for twice."""
    visited = Machine(2, 0.02, lambda now: 2 if now > 60 else 0)
    threads = visited.threads()
    visited.drive(threads, 5.0)
    visited.now = 62.0  # others have come while it rested
    visited.drive(threads, 63.5)
    assert not threads.settled.is_spinning


def test_a_dear_trial_of_spinning_keeps_nobody_from_fewer_threads() -> None:
    """Seconds are lost with threads that spin; one thread becomes the quickest when the others share differently."""
    modes = thread_modes(2, can_sleep=True)
    spinning, asleep, one = modes
    now = 0.0
    threads = Threads(modes, now, lambda: 2.0, others=2.0)
    while now < 20.0:
        seconds = {spinning: 1.0, asleep: 0.1, one: 0.1 if now < 4.0 else 0.05}[threads.mode]
        now += seconds
        threads.observe(1, seconds, now)
    assert threads.settled == one


@pytest.mark.parametrize("moment", [3.0, 5.0, 8.0, 13.0, 21.0, 34.0])
def test_a_dear_trial_keeps_nobody_in_a_mode_that_has_become_slow(moment: float) -> None:
    """Others who share well with spinning threads are joined by others: what a trial had lost counts no longer."""
    modes = thread_modes(2, can_sleep=True)
    spinning, asleep, one = modes
    now = 0.0
    threads = Threads(modes, now, lambda: 1.5, others=0.0)
    while now < moment + 4.0:
        shared = {spinning: 0.03, asleep: 0.3, one: 0.06}
        crowded = {spinning: 0.35, asleep: 0.3, one: 0.045}
        seconds = (shared if now < moment else crowded)[threads.mode]
        now += seconds
        threads.observe(1, seconds, now)
    assert threads.settled == one


def test_threads_that_spin_beside_others_are_not_kept_because_steps_before_were_slow() -> None:
    """The system gave the cores to others for a moment, just before they were tried."""
    modes = thread_modes(2, can_sleep=True)
    spinning, asleep, one = modes
    now = 0.0
    threads = Threads(modes, now, lambda: 1.5, others=1.5)
    for number in range(2000):
        is_slow = threads.mode == asleep and number % 40 < 8
        seconds = {spinning: 0.16, asleep: 0.4 if is_slow else 0.11, one: 0.14}[threads.mode]
        now += seconds
        threads.observe(1, seconds, now)
        assert threads.settled != spinning
