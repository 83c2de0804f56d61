"""Where an answer ends is the same with guesses and without, and so is what is counted."""

from pathlib import Path

from backends.engine.sequence import Sequence
from backends.engine.stops import Stops
from backends.fake.loader import FakeModel
from backends.protocol import DraftMode, EngineOptions, Finish, Generate, Load, Output
from tests.engine.saying import Saying

STOP = "every prefix"


def last_output(mode: DraftMode, stops: Stops, **fields: object) -> tuple[str, Output]:
    """All that is said, and the last of it."""
    options = EngineOptions(context=1024, parallel=1, draft=mode, draft_length=4)
    model = FakeModel(Load(Path("fake"), "fake", options), 0.0)
    saying = Saying(model, options)
    request = Generate("user: long 3", 1, stop=stops.texts, **fields)  # type: ignore[arg-type]
    saying.engine.add(Sequence.of(request, model.encode(request), 1024, model.eos, stops.tokens), stops)
    text = ""
    while True:
        for output in saying.step():
            assert isinstance(output, Output)
            text += output.text
            if output.finish:
                saying.engine.close()
                model.close()
                return text, output


def test_guesses_that_held_behind_a_stop_string_are_not_counted() -> None:
    (text, without), (with_guesses, last) = (
        last_output(mode, Stops.of((STOP,), {})) for mode in (DraftMode.OFF, DraftMode.AUTO)
    )
    assert text == with_guesses == "The quick engine shares "
    assert last.finish is Finish.STOP
    assert last.timings
    assert without.timings
    assert last.timings.draft_accepted_n > 0
    assert last.timings.predicted_n == without.timings.predicted_n == len(text + STOP)


def test_a_token_that_the_request_names_ends_it_though_it_ignores_the_models_ends() -> None:
    period = Stops.of((".",), {".": ord(".")})
    text, last = last_output(DraftMode.OFF, period, ignore_eos=True)
    assert text == "The quick engine shares every prefix it has seen"
    assert last.finish is Finish.STOP
    assert last.timings
    assert last.timings.predicted_n == len(text) + 1
