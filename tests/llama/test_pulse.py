"""The real engine says that it lives, whatever it does; and how long a text can be at most."""

import time
from itertools import pairwise
from pathlib import Path

import pytest

from app.errors import RequestError
from app.inference.engine_process import EngineProcess
from backends.protocol import Close, EngineOptions, Failed, Generate, Load, Loading, Outputs, Pulse, Ready
from tests.inference.conftest import SECONDS, Answer
from tests.llama.conftest import Load as LoadModel

SILENT = 5.0  # seconds; a pulse is due every half second, and this machine may be busy


def test_it_pulses_from_its_start_to_its_end(tiny: Path, tmp_path: Path) -> None:
    process = EngineProcess("llama", tmp_path / "engine.log")
    process.connection.send(Load(tiny, "tiny", EngineOptions(context=2048)))
    heard: list[tuple[float, object]] = []
    has_asked = False
    while True:
        try:
            event = process.connection.recv()
        except EOFError:
            break
        heard.append((time.monotonic(), event))
        if isinstance(event, Ready) and not has_asked:
            has_asked = True
            process.connection.send(Generate(tuple(range(100)) * 20, uid=1, max_tokens=5))
        if isinstance(event, Outputs) and event.outputs[-1].finish:
            process.connection.send(Close())
    process.end(SECONDS)
    process.connection.close()
    assert isinstance(heard[0][1], Pulse), "before anything is loaded"
    assert not [event for _, event in heard if isinstance(event, Failed)]
    assert any(isinstance(event, Loading) for _, event in heard)
    gaps = [later - earlier for (earlier, _), (later, _) in pairwise(heard)]
    assert max(gaps) < SILENT


def test_a_text_longer_than_any_that_fits_is_refused_and_no_other(tiny: Path, load: LoadModel) -> None:
    handle, answer = load(tiny, context=256), Answer()
    most = handle.wait_ready().max_characters
    assert most is not None
    assert most % 256 == 0
    with pytest.raises(RequestError, match="characters"):
        handle.submit(Generate("x" * (most + 1)), answer)
    handle.submit(Generate("x" * most), answer)
    last = answer.wait().last
    assert isinstance(last, Failed)
    assert "tokens" in last.message, "counted by the engine itself"
