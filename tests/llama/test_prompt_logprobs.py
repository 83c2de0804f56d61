"""Logprobs of a prompt's tokens by a real model: those of `evaluate`, in any company."""

import math
from pathlib import Path

import numpy as np
import pytest

from app.jobs.child import run_in_child
from app.lab.text import read_text
from backends.protocol import DraftMode, Failed, FailureKind, Finish, Output, TokenLogprob
from tests.inference.conftest import Answer
from tests.llama.conftest import Load
from tests.llama.test_engine import EXACT, PROMPTS, start, timings

LENGTH = 128


def of_prompt(answer: Answer) -> tuple[TokenLogprob, ...]:
    found = [event.prompt for event in answer.wait().events if isinstance(event, Output) and event.prompt]
    assert len(found) == 1, answer.last
    return found[0].others


def values(answer: Answer) -> list[float]:
    return [token.logprob for token in of_prompt(answer)]


def test_they_are_what_evaluate_makes_of_the_same_text(load: Load, smollm2: Path, tmp_path: Path) -> None:
    text = read_text()[:4000]
    chunks, nll = run_in_child(
        "tests.llama.pooling:nll", log_path=tmp_path / "log", path=smollm2, text=text, length=LENGTH
    )
    handle = load(smollm2, parallel=4, context=1024, draft=DraftMode.OFF, **EXACT)
    answers = [start(handle, tuple(chunk), max_tokens=0, prompt_logprobs=0) for chunk in chunks[:4]]
    for answer, wanted in zip(answers, nll, strict=False):
        got = -np.array(values(answer)[LENGTH // 2 : LENGTH - 1])
        assert got == pytest.approx(wanted, abs=1e-3)
        assert isinstance(last := answer.last, Output)
        assert (last.text, last.finish) == ("", Finish.LENGTH)


def test_alternatives_come_best_first_and_hold_the_likeliest(load: Load, tiny: Path) -> None:
    found = of_prompt(start(load(tiny), PROMPTS[0], max_tokens=1, prompt_logprobs=4))
    for token in found:
        chances = [chance.logprob for chance in token.alternatives]
        assert chances == sorted(chances, reverse=True)
        assert len(chances) == 4
        assert token.logprob <= chances[0] + 1e-6
        assert sum(map(math.exp, chances)) <= 1
    shown = b"".join(token.piece for token in found).decode("utf-8", "replace")
    assert PROMPTS[0].endswith(shown)


def test_they_are_the_same_in_any_company_and_after_the_cache_knows_the_prompt(load: Load, tiny: Path) -> None:
    handle = load(tiny, parallel=4, **EXACT)
    long = "".join(PROMPTS) * 8
    alone = [values(start(handle, prompt, max_tokens=1, prompt_logprobs=0)) for prompt in (*PROMPTS, long)]
    together = [start(handle, prompt, prompt_logprobs=0) for prompt in (*PROMPTS, long)]
    for answer, expected in zip(together, alone, strict=True):
        assert values(answer) == pytest.approx(expected, abs=1e-3)
        assert timings(answer).cache_n == 0
    assert timings(start(handle, long, max_tokens=1)).cache_n > 0, "who wants none reads what is there"


def test_an_absurd_number_of_alternatives_is_refused(load: Load, tiny: Path) -> None:
    last = start(load(tiny), PROMPTS[0], prompt_logprobs=21).wait().last
    assert isinstance(last, Failed)
    assert last.kind is FailureKind.BAD_REQUEST
