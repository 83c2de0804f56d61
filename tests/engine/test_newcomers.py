"""Prompts beside streams, beside each other and alone, on simulated machines: who waits for whom, and how long."""

import os
import random
from dataclasses import replace

import pytest

from backends.drafting.pace import ALONE_SECONDS, MIN_CHUNK, STEADY_STEPS
from tests.engine.simulation import Machine, Reader, Simulation

ENDLESS = 1_000_000
SETTLED = 20  # chunks
SMALL = Machine()
LARGE = Machine(row=0.4, more_rows=0.02, fixed=0.3, token=0.04, pair=0.000002)
MANY = range(6 * int(os.environ.get("SLIPSTREAM_CHUNKS", 10)))


def machine(pick: random.Random) -> Machine:
    """From a GPU to a few slow cores, with short contexts dear or deep ones."""
    row = 10 ** pick.uniform(-3, -1)
    token = row * 10 ** pick.uniform(-2.5, -0.7)
    pair = token / 10 ** pick.uniform(2.8, 4)
    return Machine(row, row * pick.uniform(0, 0.3), row * pick.uniform(0, 1), token, pair, noise=0.08)


def streaming(machine: Machine, num_streams: int, seed: int = 0, max_interval: float = 0.15) -> tuple[Simulation, list]:
    """Answers that stream already."""
    simulation = Simulation(machine, seed, max_interval=max_interval)
    streams = [simulation.ask(8, ENDLESS) for _ in range(num_streams)]
    simulation.run(until=20 * machine.answers(num_streams))
    return simulation, streams


def settled(simulation: Simulation) -> float:
    """When so many chunks have been read."""
    begins = [begin for begin, steps, _ in simulation.steps if any(len(step.tokens) > 1 for step in steps)]
    return begins[min(SETTLED, len(begins) - 1)]


def worst(streams: list[Reader], begin: float, end: float) -> float:
    return max(interval for stream in streams for interval in stream.intervals(begin, end))


@pytest.mark.parametrize("seed", MANY)
def test_once_the_pace_has_settled_no_stream_waits_longer_than_it_may(seed: int) -> None:
    pick = random.Random(seed)
    num_streams, limit = pick.randint(1, 5), pick.choice([0.0, 0.15, 0.5])
    simulation, streams = streaming(machine(pick), num_streams, seed, limit)
    now, prompts = simulation.now, []
    for _ in range(pick.randint(2, 6)):
        prompts.append(simulation.ask(pick.choice([30, 300, 3000, 6000]), at=now))
        now += pick.expovariate(1.0) * simulation.machine.alone(1500)
    while not all(prompt.tokens for prompt in prompts):
        simulation.run(until=simulation.now + 1.0)
    steady = simulation.machine.answers(num_streams)
    allowed = max(STEADY_STEPS * steady, limit, 1.2 * (steady + simulation.machine.chunk(MIN_CHUNK, 6000)))
    assert worst(streams, settled(simulation), simulation.now) <= allowed


def test_a_newcomer_beside_streams_waits_little_longer_than_alone() -> None:
    simulation, _ = streaming(SMALL, 4)
    prompt = simulation.ask(4096, at=simulation.now)
    simulation.run(until=simulation.now + 30)
    assert prompt.first_token_seconds < 1.4 * SMALL.alone(4096)


def test_a_longer_interval_has_the_prompt_read_sooner() -> None:
    waits = {}
    for limit in (0.0, 0.15, 0.6):
        simulation, _ = streaming(SMALL, 4, max_interval=limit)
        prompt = simulation.ask(4096, at=simulation.now)
        simulation.run(until=simulation.now + 60)
        waits[limit] = prompt.first_token_seconds
    assert waits[0.0] > 1.5 * waits[0.15]
    assert waits[0.15] > waits[0.6]


@pytest.mark.parametrize("num_streams", [0, 3])
@pytest.mark.parametrize("num_prompts", [2, 5])
def test_long_prompts_that_come_together_share_alike(num_prompts: int, num_streams: int) -> None:
    simulation, _ = streaming(SMALL, num_streams)
    prompts = [simulation.ask(4000 + 10 * n, at=simulation.now) for n in range(num_prompts)]
    largest = 0
    while not any(prompt.tokens for prompt in prompts):
        simulation.run(until=simulation.now + 0.001)
        read = [simulation.read(prompt) for prompt in prompts]
        largest = max(len(step.tokens) for _, steps, _ in simulation.steps for step in steps)
        assert max(read) - min(read) <= 2 * largest
    assert largest < 1000


@pytest.mark.parametrize("seed", MANY)
def test_a_short_prompt_never_waits_for_long_ones(seed: int) -> None:
    pick = random.Random(seed)
    computer, num_streams, short = replace(machine(pick), noise=0.0), pick.randint(0, 3), pick.choice([20, 200, 800])
    alone = _wait_of(short, 0, computer, num_streams, pick.random())
    beside = _wait_of(short, pick.randint(1, 5), computer, num_streams, pick.random())
    step = max(STEADY_STEPS * computer.answers(num_streams), 0.15) if num_streams else 2 * ALONE_SECONDS
    assert beside <= 2 * alone + step, "and the step that ran when it came"


def _wait_of(length: int, num_long: int, computer: Machine, num_streams: int, after: float) -> float:
    """For the first token, when so many long prompts are being read."""
    simulation, _ = streaming(computer, num_streams)
    simulation.ask(3000, at=simulation.now)  # which settles the pace
    simulation.run(until=simulation.now + 10 * computer.alone(3000) + 1)
    for _ in range(num_long):
        simulation.ask(8000, at=simulation.now)
    short = simulation.ask(length, at=simulation.now + after * computer.alone(8000) * num_long)
    while not short.tokens:
        simulation.run(until=simulation.now + 0.5)
    return short.first_token_seconds


def test_short_prompts_without_end_do_not_stop_a_long_one() -> None:
    simulation = Simulation(SMALL, num_slots=3)
    long = simulation.ask(4000)
    short = [simulation.ask(200, at=n * 0.05) for n in range(800)]
    simulation.run(until=100)
    assert any(not prompt.tokens for prompt in short), "there were always some"
    assert long.first_token_seconds < 2 * 3 * SMALL.alone(4000), "twice what a third of the time would give it"


def test_who_calls_off_a_prompt_waits_for_no_long_step_even_on_a_slow_machine() -> None:
    simulation = Simulation(LARGE)
    simulation.ask(6000)
    simulation.run()
    assert max(seconds for _, _, seconds in simulation.steps[3:]) < 2 * ALONE_SECONDS
    assert sum(seconds for _, _, seconds in simulation.steps) < 1.3 * LARGE.alone(6000)


def test_where_steps_are_quick_a_prompt_alone_takes_the_whole_batch() -> None:
    simulation = Simulation(Machine(row=0.005, fixed=0.005, token=0.0001, pair=0.00000001))
    simulation.ask(6000)
    simulation.run()
    sizes = [len(step.tokens) for _, steps, _ in simulation.steps for step in steps]
    assert sizes[:3] == [128, 256, 512]
    assert set(sizes[3:-1]) == {512}


def test_a_busy_machine_shrinks_the_chunks_and_a_quiet_one_lets_them_grow_again() -> None:
    simulation, streams = streaming(SMALL, 2)
    simulation.ask(200_000, at=simulation.now)
    simulation.run(until=simulation.now + 3)
    simulation.machine = replace(SMALL, fixed=3 * SMALL.fixed, token=3 * SMALL.token, pair=3 * SMALL.pair)
    simulation.run(until=simulation.now + 1)
    assert worst(streams, simulation.now, _later(simulation, 3)) < 0.15
    simulation.machine = SMALL
    simulation.run(until=simulation.now + 2)
    assert worst(streams, simulation.now, _later(simulation, 3)) > 0.1


def test_steps_that_the_system_holds_up_now_and_then_do_not_shrink_the_chunks() -> None:
    steps = {}
    for share in (0.0, 0.25):
        simulation, _ = streaming(replace(SMALL, held_up=share), 4)
        prompt = simulation.ask(4096, at=simulation.now)
        simulation.run(until=simulation.now + 60)
        assert prompt.tokens
        steps[share] = sum(1 for _, steps, _ in simulation.steps if any(step.seq is prompt.seq for step in steps[4:]))
    assert steps[0.25] < 2 * steps[0.0]


def _later(simulation: Simulation, seconds: float) -> float:
    simulation.run(until=simulation.now + seconds)
    return simulation.now
