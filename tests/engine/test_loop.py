"""What the loop tells of itself, without a process around it."""

import threading
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from backends.engine.encoder import Note
from backends.engine.engine import Engine
from backends.engine.process import Loop
from backends.engine.sequence import Sequence
from backends.engine.stops import NO_STOPS
from backends.fake.loader import FakeModel
from backends.protocol import Abort, DraftMode, EngineOptions, Generate, Load, Pause, Stats


class Told:
    """A sender that keeps what it is given."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.send = self.events.append

    @property
    def stats(self) -> Stats:
        return next(event for event in reversed(self.events) if isinstance(event, Stats))


@pytest.mark.parametrize("note", [Abort(1), Pause(1)])
def test_an_engine_that_comes_to_rest_by_an_abort_or_a_pause_says_so_before_it_sleeps(note: Abort | Pause) -> None:
    model = FakeModel(Load(Path("fake"), "fake", EngineOptions(context=256)), 0.0)
    told, notes = Told(), SimpleQueue[Note]()
    engine = Engine(model, 2, DraftMode.OFF)
    engine.calibration.give_up()
    loop = Loop(told, model, notes, engine, threading.Lock())  # type: ignore[arg-type]
    seq = Sequence.of(Generate("a question", 1), list(b"a question"), 256, model.eos)
    notes.put((seq, NO_STOPS))
    loop._take_notes()
    loop._step()
    loop._send_stats()
    assert told.stats.num_running == 1
    notes.put(note)
    loop._take_notes()
    loop._take_notes()
    assert told.stats.num_running == 0
    engine.close()
    model.close()
