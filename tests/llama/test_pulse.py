"""The real engine says that it lives, whatever it does; and how long a text can be at most."""

from pathlib import Path

import pytest

from app.errors import RequestError
from app.inference.engine_process import EngineProcess
from backends.protocol import Close, EngineOptions, Failed, Generate, Load, Loading, Outputs, Pulse, Ready
from tests.inference.conftest import SECONDS, Answer
from tests.llama.conftest import Load as LoadModel

MOST_ASKED = 100


def test_it_pulses_from_its_start_to_its_end(tiny: Path, tmp_path: Path) -> None:
    process = EngineProcess("llama", tmp_path / "engine.log")
    process.connection.send(Load(tiny, "tiny", EngineOptions(context=2048)))
    heard: list[object] = []
    num_asked = num_before = 0
    while True:
        try:
            event = process.connection.recv()
        except EOFError:
            break
        heard.append(event)
        has_ended = isinstance(event, Outputs) and event.outputs[-1].finish
        num_pulses = sum(isinstance(each, Pulse) for each in heard)
        if has_ended and num_pulses > num_before:
            process.connection.send(Close())
        elif has_ended or isinstance(event, Ready):  # once more: a quick machine is done between two pulses
            num_asked, num_before = num_asked + 1, num_pulses
            assert num_asked < MOST_ASKED, "no pulse while it works"
            prompt = (num_asked, *tuple(range(100)) * 20)
            process.connection.send(Generate(prompt[:2000], uid=num_asked, max_tokens=5))
    process.end(SECONDS)
    process.connection.close()
    assert isinstance(heard[0], Pulse), "before anything is loaded"
    assert not [event for event in heard if isinstance(event, Failed)]
    assert any(isinstance(event, Loading) for event in heard)


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
