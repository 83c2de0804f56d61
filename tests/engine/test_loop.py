"""What the loop tells of itself, without a process around it."""

import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from backends.engine.encoder import Note
from backends.engine.engine import Engine
from backends.engine.news import Counts, Stopped
from backends.engine.process import Loop
from backends.engine.sender import MAX_BEHIND
from backends.engine.sequence import Sequence
from backends.engine.stops import NO_STOPS
from backends.fake.loader import FakeModel
from backends.protocol import Abort, Close, DraftMode, EngineOptions, Generate, Load, Pause


class Told:
    """A sender that keeps what it is given, and is behind when a test says so."""

    def __init__(self) -> None:
        self.news: list[Any] = []
        self.send = self.tell = self.news.append
        self.is_behind = False

    def num_behind(self) -> int:
        return MAX_BEHIND + self.is_behind

    @property
    def counts(self) -> Counts:
        return next(news for news in reversed(self.news) if isinstance(news, Counts))


@pytest.fixture
def engine() -> Iterator[Engine]:
    options = EngineOptions(context=256, parallel=2, draft=DraftMode.OFF)
    model = FakeModel(Load(Path("fake"), "fake", options), 0.0)
    engine = Engine(model, options)
    engine.calibration.give_up()
    yield engine
    engine.close()
    model.close()


def loop_of(engine: Engine, told: Told, notes: "SimpleQueue[Note]") -> Loop:
    return Loop(told, notes, engine, nullcontext())  # type: ignore[arg-type]


def question(engine: Engine) -> Sequence:
    return Sequence.of(Generate("a question", 1), list(b"a question"), 256, engine.model.eos)


@pytest.mark.parametrize("note", [Abort(1), Pause(1), Stopped(1)])
def test_an_engine_that_comes_to_rest_without_a_step_says_so_before_it_sleeps(engine: Engine, note: Note) -> None:
    told, notes = Told(), SimpleQueue[Note]()
    loop = loop_of(engine, told, notes)
    notes.put((question(engine), NO_STOPS, None))
    loop._take_notes()
    told.is_behind = True  # one step
    loop._work()
    told.is_behind = False
    loop._send_stats()
    assert told.counts.num_running == 1
    notes.put(note)
    loop._take_notes()
    loop._take_notes()
    assert told.counts.num_running == 0


def test_nothing_is_computed_while_nobody_takes_what_was_said(engine: Engine) -> None:
    told, notes = Told(), SimpleQueue[Note]()
    loop = loop_of(engine, told, notes)
    seq = question(engine)
    notes.put((seq, NO_STOPS, None))
    told.is_behind = True
    thread = threading.Thread(target=loop.run)
    thread.start()
    for uid in (2, 3):  # notes are taken all the same, so it has come round
        notes.put(Pause(uid))
        while not notes.empty():
            time.sleep(0.001)
    assert not seq.completion
    told.is_behind = False
    notes.put(Close())
    thread.join()
