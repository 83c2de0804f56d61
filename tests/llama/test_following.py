"""Contexts compute in the mode that is chosen for the moment, and say the same in each."""

from pathlib import Path

import llama_cpp as lib
import numpy as np
import pytest

from backends.engine.threads import ThreadMode
from backends.llama import native
from backends.llama.context import ContextParams, NativeContext
from backends.llama.native import NativeModel
from backends.llama.threads import ALIKE, NativeThreads
from backends.protocol import Processor


class Choice:
    """In place of one that measures: the test says which mode it is."""

    is_crowded = False
    is_trying = True

    def __init__(self) -> None:
        self.mode = self.settled = ThreadMode(2, True)
        self.kinds: list[tuple[object, float]] = []

    def observe(self, kind: object, seconds: float, now: float, size: float = 1.0) -> None:
        assert 0 < seconds <= now
        self.kinds.append((kind, size))


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> NativeThreads:
    result = NativeThreads(2)
    for name in ("_few", "_many"):
        monkeypatch.setitem(result.__dict__, name, Choice())
    return result


def decode(context: NativeContext, first: int, count: int) -> np.ndarray:
    context.batch.put(0, range(300 + first, 300 + first + count), first, 0)
    context.batch.outputs[:count] = 1
    assert context.decode(count) == 0
    return context.logits(count)[-1].copy()


def test_each_batch_is_computed_with_the_threads_of_its_mode(smollm2: Path, threads: NativeThreads) -> None:
    native.start()
    few, many = threads._few, threads._many
    assert isinstance(few, Choice)
    assert isinstance(many, Choice)
    with NativeModel(smollm2) as model:
        with NativeContext(model, ContextParams(256, 1, 64, 2, following=threads.of_target())) as target:
            decode(target, 0, 20)
            alone = decode(target, 20, 1)
            assert lib.llama_n_threads(target.pointer) == 2
            few.mode = ThreadMode(1, False)
            target.memory.truncate(0, 20)
            assert np.array_equal(decode(target, 20, 1), alone)
            assert lib.llama_n_threads(target.pointer) == 1
            decode(target, 21, 20)
            assert lib.llama_n_threads(target.pointer) == 2, "a prompt has a mode of its own"
        assert few.kinds == [(1, 1.0), (1, 1.0)]
        assert many.kinds == [(5, 20), (5, 20)]
        with NativeContext(model, ContextParams(256, 1, 64, 2, following=threads.of_draft())) as draft:
            decode(draft, 0, 1)
            assert lib.llama_n_threads(draft.pointer) == 1
        assert len(few.kinds) == 2, "a draft says nothing of the target"
    threads.close()


def test_short_steps_that_are_alike_are_told_now_and_then_and_others_at_once(
    threads: NativeThreads, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = threads._few
    assert isinstance(few, Choice)
    clock = [1.0]
    monkeypatch.setattr("backends.llama.threads.time.perf_counter", lambda: clock[0])

    def told(seconds: float, times: int = 1, num_rows: int = 1) -> int:
        before = len(few.kinds)
        for _ in range(times):
            clock[0] += seconds
            threads.observe(num_rows, clock[0] - seconds)
        return len(few.kinds) - before

    assert told(0.01, 80) == 80, "while another mode is tried"
    few.is_trying = False
    assert told(0.01, 80) == 80 // (ALIKE + 1)
    assert told(0.02) == 1, "slower"
    assert told(0.02, num_rows=2) == 1, "of another kind"
    assert told(0.01, num_rows=2) == 1, "quicker"
    assert told(0.2, 8, num_rows=2) == 8, "one that takes long"
    threads.close()


@pytest.mark.parametrize(
    ("seconds", "beside_load", "since", "is_busy"),
    [
        (1.0, 1.5, 0.0, False),
        (1.0, 0.0, 1.5, True),
        (0.1, 1.5, 0.0, True),
        (0.1, 0.0, 1.5, False),
    ],
)
def test_an_engine_begins_beside_those_who_run_since_its_load_if_that_was_long_enough_to_see(
    monkeypatch: pytest.MonkeyPatch, seconds: float, beside_load: float, since: float, is_busy: bool
) -> None:
    clock, looked = [1.0], iter([beside_load, since])
    monkeypatch.setattr("backends.llama.threads.time.perf_counter", lambda: clock[0])
    both = iter([lambda: next(looked), lambda: 0.0])
    threads = NativeThreads(2, neighbours=lambda: next(both))
    threads.end_load()
    clock[0] += seconds
    threads.mode(1)
    assert threads._few._is_busy == is_busy
    threads.close()


def test_a_sentence_says_what_is_in_the_way() -> None:
    assert str(Processor(2, 2)) == ""
    assert str(Processor(2, 2, is_crowded=True)) == "The processor is busy with other programs."
    assert str(Processor(1, 2, is_crowded=True)) == "The processor is busy with other programs: 1 of 2 threads."
