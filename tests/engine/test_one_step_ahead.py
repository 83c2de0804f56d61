"""Text is made beside the steps, at any distance: what is said, and what is counted, is as if it were made at once."""

import random
from collections import defaultdict
from pathlib import Path

import pytest

from backends.engine.sequence import Sequence
from backends.engine.stops import Stops
from backends.fake.loader import FakeModel
from backends.protocol import DraftMode, EngineOptions, Failed, Finish, Generate, Load, Output, Timings
from tests.engine.saying import Saying

CONTEXT, PARALLEL, NUM_SEEDS = 512, 3, 150
STOPS = ((), (" guesses",), ("every prefix", "seen"), ("“", "never there"), ("é",), ("a",))


def model_of(**options: object) -> FakeModel:
    return FakeModel(Load(Path("fake"), "fake", EngineOptions(context=CONTEXT, **options)), 0.0)  # type: ignore[arg-type]


def sequence(model: FakeModel, uid: int, question: str, stops: Stops, **fields: object) -> Sequence:
    request = Generate(f"user: {question}", uid, stop=stops.texts, **fields)  # type: ignore[arg-type]
    return Sequence.of(request, model.encode(request), CONTEXT, model.eos, stops.tokens)


class Heard:
    """What was heard of each answer. Raises for a word after its end."""

    def __init__(self) -> None:
        self.text: dict[int, str] = defaultdict(str)
        self.num_tokens: dict[int, int] = defaultdict(int)
        self.ends: dict[int, Output | Failed] = {}

    def hear(self, words: list[Output | Failed]) -> None:
        for word in words:
            assert word.uid is not None
            assert word.uid not in self.ends, "a word after the end"
            if isinstance(word, Failed) or word.finish:
                self.ends[word.uid] = word
            if isinstance(word, Output):
                self.text[word.uid] += word.text
                self.num_tokens[word.uid] += word.num_tokens

    def end(self, uid: int) -> tuple[Finish | None, str, int, Timings]:
        last = self.ends[uid]
        assert isinstance(last, Output)
        assert last.timings
        return last.finish, self.text[uid], self.num_tokens[uid], last.timings


def ask(pick: random.Random, model: FakeModel, uid: int) -> tuple[Sequence, Stops]:
    stops = Stops.of(pick.choice(STOPS), {})
    question = pick.choice(["long 1", "naïve é?", "Why?", "Why not?"])
    return sequence(model, uid, question, stops, max_tokens=pick.choice([None, pick.randint(1, 90)])), stops


def alone(seed: int, mode: DraftMode) -> Heard:
    """Every word told, and every stop obeyed, before the next step."""
    pick, model = random.Random(seed), model_of(draft=mode)
    heard, saying = Heard(), Saying(model, EngineOptions(parallel=1, draft=mode, draft_length=3))
    for uid in range(6):
        saying.engine.add(*ask(pick, model, uid))
        while not saying.engine.is_idle:
            heard.hear(saying.step())
    return heard


@pytest.mark.parametrize("mode", [DraftMode.OFF, DraftMode.AUTO])
def test_however_late_text_is_made_and_stops_are_obeyed_the_same_is_said(mode: DraftMode) -> None:
    num_late = 0
    for seed in range(NUM_SEEDS):
        expected = alone(seed, mode)
        pick, model = random.Random(seed), model_of(draft=mode, parallel=PARALLEL)
        heard, saying = Heard(), Saying(model, EngineOptions(parallel=PARALLEL, draft=mode, draft_length=3))
        for uid in range(6):
            saying.engine.add(*ask(pick, model, uid))
        while not saying.engine.is_idle or saying.news:
            saying.engine.step()
            saying.engine.scheduler.check_integrity()
            while saying.news and pick.random() < 0.6:
                heard.hear(saying.tell())
            num_late += len(saying.stops)
            while saying.stops and pick.random() < 0.4:
                saying.engine.stop(saying.stops.popleft())
        for uid in range(6):
            (finish, text, count, account), (late_finish, late_text, late_count, late_account) = (
                each.end(uid) for each in (expected, heard)
            )
            assert (late_finish, late_text, late_count) == (finish, text, count)
            assert late_account.predicted_n == account.predicted_n == count
            assert late_account.prompt_n + late_account.cache_n == account.prompt_n + account.cache_n
    assert num_late > NUM_SEEDS, "the steps went on for want of an answer's end"


def test_an_answer_that_a_stop_string_ends_late_says_not_one_character_more() -> None:
    model, stops = model_of(draft=DraftMode.OFF), Stops.of(("every",), {})
    heard, saying = Heard(), Saying(model, EngineOptions(parallel=1, draft=DraftMode.OFF))
    saying.engine.add(sequence(model, 1, "long 1", stops), stops)
    for _ in range(60):
        saying.engine.step()
    while saying.news:
        heard.hear(saying.tell())
    finish, text, count, account = heard.end(1)
    assert (finish, text, count) == (Finish.STOP, "The quick engine shares ", len("The quick engine shares every"))
    assert account.predicted_n == count
    assert not saying.engine.is_idle
    assert list(saying.stops) == [1], "told once"
    saying.engine.stop(saying.stops.popleft())
    assert saying.engine.is_idle
    saying.engine.stop(1)
    heard.hear(saying.tell_all())


def test_an_abort_that_comes_while_text_is_made_ends_it_once_and_after_what_was_said_before() -> None:
    for has_stop in (False, True):
        model, stops = model_of(draft=DraftMode.OFF), Stops.of(("every",) if has_stop else (), {})
        heard, saying = Heard(), Saying(model, EngineOptions(parallel=1, draft=DraftMode.OFF))
        saying.engine.add(sequence(model, 1, "long 1", stops), stops)
        for _ in range(31):
            saying.engine.step()
        heard.hear([word for _ in range(9) for word in saying.tell()])
        saying.engine.abort(1)
        heard.hear(saying.tell_all())
        finish, text, _, account = heard.end(1)
        assert finish is (Finish.STOP if has_stop else Finish.ABORT)
        assert text == ("The quick engine shares " if has_stop else "The quick engine shares every p")
        assert account.predicted_n == (29 if has_stop else 31)
        assert saying.engine.is_idle


def test_an_answer_called_off_before_its_first_word_has_an_account_of_its_prompt() -> None:
    model = model_of(draft=DraftMode.OFF)
    heard, saying = Heard(), Saying(model, EngineOptions(parallel=1, draft=DraftMode.OFF))
    saying.engine.add(sequence(model, 1, "long 1", Stops()))
    saying.engine.abort(1)
    heard.hear(saying.tell_all())
    finish, text, count, account = heard.end(1)
    assert (finish, text, count) == (Finish.ABORT, "", 0)
    assert (account.prompt_n, account.predicted_n, account.predicted_ms) == (len("user: long 1") + 1, 0, 0)


def test_after_a_broken_step_each_answer_gets_the_apology_and_no_word_more() -> None:
    model = model_of(draft=DraftMode.OFF, parallel=2)
    heard, saying = Heard(), Saying(model, EngineOptions(parallel=2, draft=DraftMode.OFF))
    for uid in (1, 2):
        saying.engine.add(sequence(model, uid, f"long {uid}", Stops()))
    for _ in range(5):
        saying.engine.step()
    saying.engine.fail_all("It broke.")
    heard.hear(saying.tell_all())
    assert [end.message for end in heard.ends.values() if isinstance(end, Failed)] == ["It broke.", "It broke."]
    assert heard.text[1].startswith("The ")
    assert saying.engine.is_idle


def test_logprobs_are_those_of_the_tokens_however_late_they_are_asked_for() -> None:
    told = []
    for lag in (1, 40):
        model, stops = model_of(), Stops.of(("every",), {})
        saying = Saying(model, EngineOptions(parallel=1, draft=DraftMode.AUTO, draft_length=3))
        saying.engine.add(sequence(model, 1, "long 1", stops, logprobs=2), stops)
        while not saying.engine.is_idle:
            for _ in range(lag):
                saying.engine.step()
            saying.tell_all()
        outputs = [output for event in saying.told for output in getattr(event, "outputs", ())]
        told.append([logprob for output in outputs for logprob in output.logprobs])
        assert b"".join(logprob.piece for logprob in told[-1]) == b"The quick engine shares ", (
            "nothing of the stop string"
        )
    assert told[0] == told[1]
