"""Where all threads, spinning, are the quickest, noise and changing work do not lead away from them for long."""

import random
from collections.abc import Iterator

import pytest

from backends.engine.reading_threads import ReadingThreads
from backends.engine.threads import ThreadMode, Threads
from tests.engine.busy_machine import Machine, short_lived

SEEDS = range(3)
NOISY = 0.2  # a step's spread
LOST = 0.015  # of the time
HALF = 0.5  # of a core


def lost(machine: Machine, until: float, threads: Threads | None = None) -> float:
    """The share of the time that other modes than the best have cost, without noise."""
    threads = threads or machine.threads()
    wasted = taken = 0.0
    while machine.now < until:
        mode = threads.mode
        wasted += machine.expected(mode) - min(machine.expected(other) for other in machine.modes)
        taken += machine.expected(mode)
        threads.observe(1, machine.run(mode), machine.now)
    return wasted / taken


@pytest.mark.parametrize("asleep", [1.05, 1.25])
@pytest.mark.parametrize("step", [0.03, 0.15])
def test_on_a_quiet_machine_noise_wins_no_trial(step: float, asleep: float) -> None:
    for seed in SEEDS:
        quiet = Machine(2, step, lambda _: 0, asleep=asleep, noise=random.Random(seed), spread=NOISY)
        assert lost(quiet, 100.0) < LOST, seed


def test_what_noise_has_won_is_soon_lost_again() -> None:
    for seed in SEEDS:
        calm = Machine(2, 0.03, lambda now: 2 if now < 20 else 0, noise=random.Random(seed), spread=NOISY)
        threads = calm.threads()
        calm.drive(threads, 20.0)
        assert threads.settled != calm.modes[0]
        calm.drive(threads, 28.0)
        assert threads.settled == calm.modes[0], seed


def prompt(random_: random.Random) -> Iterator[tuple[int, int]]:
    """Chunks beside answers: rows, and pairs with those before them."""
    while True:
        depth, length = 0, random_.choice([200, 1000, 4000])
        while depth < length:
            rows = min(random_.randint(17, 96), length - depth)
            yield rows, rows * depth + rows * rows // 2
            depth += rows


@pytest.mark.parametrize("seed", SEEDS)
def test_how_deep_a_prompt_is_says_nothing_of_the_machine(seed: int) -> None:
    """A token of a 4k prompt takes three times as long at its end as at its begin."""
    pick = random.Random(seed)
    machine = Machine(2, 1.0, lambda _: 0, noise=pick, spread=0.1, is_seen=False)
    threads = ReadingThreads(machine.threads())
    wasted = taken = 0.0
    for rows, pairs in prompt(pick):
        machine.work = lambda _, work=0.025 + 0.0012 * rows + 7e-7 * pairs: work
        mode = threads.mode
        wasted += machine.expected(mode) - machine.expected(machine.modes[0])
        taken += machine.expected(mode)
        threads.observe(rows, pairs, machine.run(mode), machine.now)
        if machine.now > 100:
            break
    assert wasted < LOST * taken


@pytest.mark.parametrize("seed", SEEDS)
def test_beside_others_a_prompt_is_read_in_the_mode_that_suits_it(seed: int) -> None:
    pick = random.Random(seed)
    machine = Machine(2, 1.0, lambda _: 2, noise=pick)
    threads = ReadingThreads(machine.threads())
    for rows, pairs in prompt(pick):
        machine.work = lambda _, work=0.025 + 0.0012 * rows + 7e-7 * pairs: work
        threads.observe(rows, pairs, machine.run(threads.mode), machine.now)
        if machine.now > 20:
            break
    assert not threads.settled.is_spinning


@pytest.mark.parametrize("seed", SEEDS)
def test_a_new_number_of_rows_is_not_a_busy_machine(seed: int) -> None:
    """The first step of a size may be any; so may the last of another."""
    pick = random.Random(seed)
    machine = Machine(2, 0.02, lambda _: 0, noise=pick, spread=NOISY, is_seen=False)
    threads, wasted, taken = machine.threads(), 0.0, 0.0
    for number in range(4000):
        if number % 60 == 0:
            rows, depth = pick.randint(1, 16), pick.uniform(0.5, 2)
            machine.work = lambda _, work=rows**0.8 * depth: work
        mode = threads.mode
        wasted += machine.expected(mode) - machine.expected(machine.modes[0])
        taken += machine.expected(mode)
        threads.observe(rows, machine.run(mode), machine.now)
    assert wasted < LOST * taken


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("step", [0.02, 0.06])
def test_beside_short_lived_programs_it_goes_on_spinning(step: float, seed: int) -> None:
    """They take half a core in all, and go where room is: a thread that spins is seldom in their way for long."""
    noise = random.Random(seed)
    machine = Machine(2, step, short_lived(HALF, noise), noise=noise, fighting=1.5)
    assert lost(machine, 100.0) < LOST


def test_a_model_that_sleeps_better_is_still_let_sleep_on_a_noisy_machine() -> None:
    for seed in SEEDS:
        tiny = Machine(2, 0.002, lambda _: 0, asleep=0.6, noise=random.Random(seed), spread=0.1)
        threads = tiny.threads()
        tiny.drive(threads, 30.0)
        assert threads.settled == ThreadMode(2, False), seed
