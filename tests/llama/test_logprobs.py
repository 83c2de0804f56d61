"""Logprobs of the real model: of its own distribution, complete, and the same in any company."""

import math
from pathlib import Path

import pytest

from backends.protocol import DraftMode, Failed, FailureKind, Grammar, GrammarKind, Output, SamplingParams, TokenLogprob
from tests.inference.conftest import Answer
from tests.llama.conftest import Load
from tests.llama.test_engine import EXACT, NUM_TOKENS, PROMPTS, start, timings

OPEN = SamplingParams(temperature=1, top_k=0, top_p=1, min_p=0)


def logprobs(answer: Answer) -> list[TokenLogprob]:
    return [found for event in answer.wait().events if isinstance(event, Output) for found in event.logprobs]


def test_every_token_has_its_logprob_and_the_alternatives_best_first(load: Load, tiny: Path) -> None:
    answer = start(load(tiny), PROMPTS[0], logprobs=5)
    found = logprobs(answer)
    assert len(found) == NUM_TOKENS
    shown = b"".join(token.piece for token in found if not token.piece.startswith(b"<|"))  # control tokens are not
    assert shown.decode("utf-8", "replace") == answer.text
    for token in found:
        values = [chance.logprob for chance in token.alternatives]
        assert len(values) == 5
        assert values == sorted(values, reverse=True)
        assert (token.piece, token.logprob) == (token.alternatives[0].piece, values[0]), "greedy takes the likeliest"
        assert sum(map(math.exp, values)) <= 1


def test_logprobs_are_the_frequencies_of_unfiltered_sampling(load: Load, tiny: Path) -> None:
    handle = load(tiny, draft=DraftMode.OFF, parallel=8)
    prompt = tuple(range(20, 60))
    (first,) = logprobs(start(handle, prompt, max_tokens=1, logprobs=20, sampling=OPEN))
    likely = {chance.piece: math.exp(chance.logprob) for chance in first.alternatives if chance.piece}
    share = sum(likely.values())
    answers = [
        start(handle, prompt, max_tokens=1, logprobs=0, sampling=SamplingParams(1, 0, 1, 0, seed=n)) for n in range(600)
    ]
    hits = sum(logprobs(answer)[0].piece in likely for answer in answers)
    assert 0.05 < share < 0.95
    assert hits / 600 == pytest.approx(share, abs=4 * (share * (1 - share) / 600) ** 0.5)


def test_penalties_biases_and_temperature_do_not_change_them(load: Load, tiny: Path) -> None:
    handle = load(tiny, draft=DraftMode.OFF, **EXACT)
    bent = SamplingParams(temperature=1.9, presence_penalty=50, logit_bias=((40, 60.0),), seed=1)
    (plain,) = logprobs(start(handle, PROMPTS[0], max_tokens=1, logprobs=20))
    (other,) = logprobs(start(handle, PROMPTS[0], max_tokens=1, logprobs=20, sampling=bent))
    assert [chance.piece for chance in other.alternatives] == [chance.piece for chance in plain.alternatives]
    values = [[chance.logprob for chance in token.alternatives] for token in (plain, other)]
    assert values[1] == pytest.approx(values[0], abs=1e-3)
    assert other.logprob < plain.logprob, "the bias forces a token that the model thinks unlikely"


def test_after_the_filters_they_are_of_what_was_left_to_draw_from(load: Load, tiny: Path) -> None:
    handle = load(tiny, draft=DraftMode.OFF, **EXACT)
    (plain,) = logprobs(start(handle, PROMPTS[0], max_tokens=1, logprobs=3))
    filtered = SamplingParams(temperature=0.5, top_k=3, top_p=1, min_p=0, seed=1)
    how = {"logprobs": 5, "after_filters": True}
    (found,) = logprobs(start(handle, PROMPTS[0], max_tokens=1, sampling=filtered, **how))
    assert [chance.token for chance in found.alternatives] == [chance.token for chance in plain.alternatives]
    weights = [math.exp(chance.logprob / 0.5) for chance in plain.alternatives]
    chances = [math.exp(chance.logprob) for chance in found.alternatives]
    assert chances == pytest.approx([weight / sum(weights) for weight in weights], rel=1e-3)
    assert found.logprob in [chance.logprob for chance in found.alternatives]
    greedy = logprobs(start(handle, PROMPTS[0], **how))
    assert [(each.logprob, len(each.alternatives)) for each in greedy] == [(0.0, 1)] * NUM_TOKENS
    assert [each.alternatives[0].token for each in greedy] == [each.token for each in greedy]


def test_under_a_grammar_only_what_it_allows_is_left(load: Load, tiny: Path) -> None:
    handle = load(tiny, draft=DraftMode.OFF)
    digits = Grammar(GrammarKind.REGEX, "[0-9]{4}")
    found = logprobs(start(handle, PROMPTS[0], sampling=OPEN, grammar=digits, logprobs=20, after_filters=True))
    found = [each for each in found if not each.piece.startswith(b"<|")]  # what ends it
    drawn_anew = [each for each in found if all(chance.piece.isdigit() for chance in each.alternatives)]
    assert drawn_anew, "hardly any token of an open draw is a digit"
    for each in found:
        assert each.piece.isdigit()
        assert 0 < math.exp(each.logprob) <= 1


def test_they_are_the_same_with_drafts_in_a_batch(load: Load, tiny: Path, tiny_draft: Path) -> None:
    # a length of its own: on a busy machine guesses may not pay, and then there are none
    handle = load(tiny, parallel=4, draft_model=tiny_draft, draft_length=4, **EXACT)
    alone = [logprobs(start(handle, prompt, logprobs=2, draft=False)) for prompt in PROMPTS]
    answers = [start(handle, prompt, logprobs=2) for prompt in PROMPTS]
    for answer, expected in zip(answers, alone, strict=True):
        found = logprobs(answer)
        assert [token.piece for token in found] == [token.piece for token in expected]
        assert [token.logprob for token in found] == pytest.approx([t.logprob for t in expected], abs=1e-3)
    assert sum(timings(answer).draft_accepted_n for answer in answers) > 0


def test_the_token_that_ends_an_answer_is_not_among_them(load: Load, tiny: Path) -> None:
    handle = load(tiny)
    ends = SamplingParams(temperature=0, logit_bias=((2, 1000.0),))  # <|im_end|>
    assert logprobs(start(handle, PROMPTS[0], logprobs=1, ignore_eos=False, sampling=ends)) == []
    assert logprobs(start(handle, PROMPTS[0])) == [], "nobody asked"


@pytest.mark.parametrize("wanted", [-1, 21, 10**9])
def test_an_absurd_number_of_alternatives_is_refused(load: Load, tiny: Path, wanted: int) -> None:
    last = start(load(tiny), PROMPTS[0], logprobs=wanted).wait().last
    assert isinstance(last, Failed)
    assert last.kind is FailureKind.BAD_REQUEST
