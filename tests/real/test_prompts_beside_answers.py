"""Prompts of some hundred tokens that arrive beside answers of a real model: what is read when, counted in tokens."""

import time

from app.inference.supervisor import EngineHandle
from backends.protocol import GREEDY, Generate, Output, Stats
from tests.inference.conftest import SECONDS, Answer

LONG = 600  # tokens
Asked = tuple[int, Answer]
ENDLESS = {"max_tokens": 1900, "ignore_eos": True, "sampling": GREEDY}


def prompt(first: int, length: int) -> tuple[int, ...]:
    """One that begins like no other."""
    return tuple(1000 + (first * 7919 + n * 31) % 40_000 for n in range(length))


def ask(handle: EngineHandle, tokens: tuple[int, ...], **fields: object) -> Asked:
    answer = Answer()
    request = Generate(tokens, **{"sampling": GREEDY, "max_tokens": 4, **fields})  # type: ignore[arg-type]
    return handle.submit(request, answer), answer


def num_said(answer: Answer) -> int:
    return sum(event.num_tokens for event in answer.events if isinstance(event, Output))


def stats_when(handle: EngineHandle, num_running: int) -> Stats:
    """The first of those that say so."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        stats = handle.snapshot.stats
        if stats is not None and stats.num_running == num_running:
            return stats
        time.sleep(0.01)
    raise AssertionError("nothing of the kind was told")


def test_a_stream_goes_on_while_a_long_prompt_is_read_beside_it(engine: EngineHandle) -> None:
    stream = ask(engine, prompt(1, 20), **ENDLESS)
    assert stream[1].begun.wait(SECONDS)
    before = num_said(stream[1])
    newcomer = ask(engine, prompt(2, LONG))
    assert newcomer[1].begun.wait(SECONDS)
    assert num_said(stream[1]) - before >= 3, "a token between any two of its chunks, and these are small"
    call_off(engine, stream, newcomer)


def test_a_short_prompt_is_answered_before_the_long_ones_that_came_first(engine: EngineHandle) -> None:
    stream = ask(engine, prompt(3, 20), **ENDLESS)
    assert stream[1].begun.wait(SECONDS)
    long = [ask(engine, prompt(n, LONG)) for n in (4, 5)]
    short = ask(engine, prompt(6, 40))
    short[1].wait()
    assert not any(answer.begun.is_set() for _, answer in long)
    call_off(engine, stream, *long)


def test_of_a_long_prompt_that_is_called_off_little_more_is_read(engine: EngineHandle) -> None:
    before = stats_when(engine, num_running=0).num_prompt_tokens
    newcomer = ask(engine, prompt(7, 2 * LONG))
    stats_when(engine, num_running=1)
    call_off(engine, newcomer)
    assert stats_when(engine, num_running=0).num_prompt_tokens - before < 2 * LONG


def call_off(handle: EngineHandle, *asked: Asked) -> None:
    for uid, _ in asked:
        handle.abort(uid)
    for _, answer in asked:
        answer.wait()
