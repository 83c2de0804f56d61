"""Answers held to a grammar by the real model, whose random weights would never follow one by themselves."""

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from backends.llama.grammar import Matcher
from backends.llama.grammars import GrammarError
from backends.protocol import (
    DraftMode,
    Failed,
    FailureKind,
    Finish,
    Grammar,
    GrammarKind,
    Output,
    SamplingParams,
)
from tests.inference.conftest import Answer
from tests.llama.conftest import Load
from tests.llama.test_engine import EXACT, NUM_TOKENS, PROMPTS, start, timings

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 8},
        "age": {"type": "integer", "minimum": 0, "maximum": 200},
        "kind": {"enum": ["cat", "dog"]},
    },
    "required": ["name", "age", "kind"],
    "additionalProperties": False,
}
DATE = Grammar(GrammarKind.REGEX, r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def schema(value: Any) -> Grammar:
    return Grammar(GrammarKind.JSON_SCHEMA, json.dumps(value))


def held(handle: Any, grammar: Grammar, prompt: str = PROMPTS[0], **fields: Any) -> Answer:
    settings = {"ignore_eos": False, "max_tokens": 200, "sampling": SamplingParams(seed=3), **fields}
    return start(handle, prompt, grammar=grammar, **settings)


def finish(answer: Answer) -> Finish | None:
    last = answer.wait().last
    assert isinstance(last, Output), last
    return last.finish


@pytest.mark.parametrize("params", [SamplingParams(temperature=0), SamplingParams(seed=1), SamplingParams(seed=2)])
def test_a_schema_is_followed_to_its_end(load: Load, tiny: Path, params: SamplingParams) -> None:
    answer = held(load(tiny), schema(SCHEMA), sampling=params)
    assert finish(answer) is Finish.STOP, answer.text
    value = json.loads(answer.text)
    assert value.keys() == {"name", "age", "kind"}
    assert 0 <= value["age"] <= 200
    assert value["kind"] in ("cat", "dog")


@pytest.mark.parametrize(
    ("grammar", "pattern"),
    [
        (DATE, DATE.text),
        (Grammar(GrammarKind.GBNF, 'root ::= ("ja" | "nein") "!"'), "(ja|nein)!"),
        (Grammar(GrammarKind.LARK, 'start: "(" start ")" | "x"'), r"\(*x\)*"),
        (Grammar(GrammarKind.REGEX, "[äöü日本]{3,5}"), "[äöü日本]{3,5}"),
        (Grammar(GrammarKind.REGEX, "a{5}b?"), "a{5}b?"),
    ],
)
def test_regex_gbnf_and_lark_are_followed(load: Load, tiny: Path, grammar: Grammar, pattern: str) -> None:
    handle = load(tiny)
    for seed in range(4):
        answer = held(handle, grammar, sampling=SamplingParams(temperature=1.5, seed=seed))
        if finish(answer) is Finish.STOP:
            assert re.fullmatch(pattern, answer.text), answer.text
        else:
            assert grammar.kind is GrammarKind.LARK, "only the parentheses may go on for ever"


def test_several_streams_with_seeds_and_drafts_say_what_they_say_alone(
    load: Load, tiny: Path, tiny_draft: Path
) -> None:
    handle = load(tiny, parallel=4, draft_model=tiny_draft, draft_length=3, **EXACT)
    grammars = [schema(SCHEMA), DATE, schema({"type": "array", "items": {"type": "boolean"}, "minItems": 9}), None]
    samplings = [SamplingParams(seed=n, repeat_penalty=1.1) for n in range(4)]
    cases = [
        {"grammar": grammar, "prompt": prompt, "sampling": params}
        for grammar, prompt, params in zip(grammars, PROMPTS, samplings, strict=True)
    ]
    alone = [held(handle, draft=False, **case).wait().text for case in cases]  # type: ignore[arg-type]
    together = [held(handle, **case) for case in cases]  # type: ignore[arg-type]
    assert [answer.wait().text for answer in together] == alone
    assert sum(timings(answer).draft_n for answer in together) > 0
    assert all(json.loads(alone[n]) for n in (0, 2))


def test_no_answer_ends_before_its_grammar_does(load: Load, tiny: Path) -> None:
    """The end is made by far the likeliest token."""
    handle = load(tiny, draft=DraftMode.OFF)
    eager = SamplingParams(temperature=0, logit_bias=((2, 1000.0),))  # <|im_end|>
    assert re.fullmatch(DATE.text, held(handle, DATE, sampling=eager).wait().text)
    lax = Grammar(GrammarKind.REGEX, "a{2,50}")
    assert held(handle, lax, sampling=eager).wait().text == "aa"


HOSTILE = {
    "not a schema": Grammar(GrammarKind.JSON_SCHEMA, '{"type":'),
    "no such type": schema({"type": "foo"}),
    "nothing fits": schema({"allOf": [{"type": "string"}, {"type": "integer"}]}),
    "a schema of itself": schema({"$ref": "#"}),
    "nested without end": Grammar(GrammarKind.JSON_SCHEMA, '{"items":' * 5000 + "{}" + "}" * 5000),
    "a product of choices": schema(
        {"allOf": [{"anyOf": [{"properties": {f"x{i}{j}": {}}} for j in range(8)]} for i in range(8)]}
    ),
    "another machine": schema({"$ref": "http://example.com/schema.json"}),
    "half a regex": Grammar(GrammarKind.REGEX, "("),
    "looks ahead": Grammar(GrammarKind.REGEX, "(?=a)b"),
    "parentheses": Grammar(GrammarKind.LARK, "start: " + "(" * 20_000 + '"a"' + ")" * 20_000),
    "parentheses in GBNF": Grammar(GrammarKind.GBNF, "root ::= " + "(" * 20_000 + '"a"' + ")" * 20_000),
    "a rule that only names itself": Grammar(GrammarKind.LARK, 'start: start "a"'),
    "unknown rule": Grammar(GrammarKind.GBNF, "root ::= nothing"),
    "too long": Grammar(GrammarKind.REGEX, "a" * 100_000),
    "surrogate": Grammar(GrammarKind.REGEX, "\ud800"),
}


def test_a_grammar_that_cannot_be_used_is_one_error_soon_and_the_others_go_on(load: Load, tiny: Path) -> None:
    handle = load(tiny, parallel=2)
    held(handle, DATE).wait()  # the vocabulary has been read
    good = start(handle, PROMPTS[0], max_tokens=1500)
    for name, grammar in HOSTILE.items():
        last = held(handle, grammar, max_tokens=30).wait().last
        assert isinstance(last, Failed), name
        assert last.kind is FailureKind.BAD_REQUEST, (name, last)
        assert "grammar" in last.message
        assert len(last.message) < 500
    assert timings(good).predicted_n == 1500


def test_an_ambiguous_grammar_ends_one_way_or_the_other_and_the_others_go_on(load: Load, tiny: Path) -> None:
    handle = load(tiny, parallel=2)
    good = start(handle, PROMPTS[0])
    ambiguous = Grammar(GrammarKind.LARK, "start: " + "r? " * 3000 + '\nr: "a" | "b" r')
    answer = held(handle, ambiguous, max_tokens=30).wait()
    if isinstance(answer.last, Failed):
        assert "grammar" in answer.last.message
    assert re.fullmatch("(b*a)*b*", answer.text)
    assert timings(good).predicted_n == NUM_TOKENS


def test_a_grammar_that_gives_out_in_mid_answer_ends_that_answer_alone(load: Load, tiny: Path) -> None:
    handle = load(tiny, parallel=2)
    good = start(handle, PROMPTS[0])
    late = "start: /[0-9]{12}/ " + "r? " * 3000 + '\nr: "a" | "b" r'
    answer = held(handle, Grammar(GrammarKind.LARK, late))
    last = answer.wait().last
    assert isinstance(last, Failed), last
    assert "cannot be followed" in last.message
    assert re.fullmatch("[0-9]{6,12}", answer.text), "it had begun well"
    assert timings(good).predicted_n == NUM_TOKENS
    assert re.fullmatch(DATE.text, held(handle, DATE).wait().text)


class Sluggish:
    """A native matcher of which each look takes a tenth of a second."""

    def is_stopped(self) -> bool:
        return False

    def is_error(self) -> bool:
        return False

    def compute_bitmask(self) -> bytes:
        begin = time.thread_time()
        while time.thread_time() - begin < 0.1:
            pass
        return b"\x02"

    def try_consume_tokens(self, tokens: list[int]) -> int:
        return len(tokens)


def test_a_grammar_that_takes_the_step_threads_time_is_ended_soon() -> None:
    matcher = Matcher(Sluggish(), [0])  # type: ignore[arg-type]
    for _ in range(10):  # a step of 0.1 s now and then is nobody's harm
        assert matcher.allowed() == [1]
        assert matcher.take(1)
    with pytest.raises(GrammarError, match="takes too long to follow"):
        _follow(matcher, num_tokens=20)


def _follow(matcher: Matcher, num_tokens: int) -> None:
    for _ in range(num_tokens):
        matcher.allowed()
        matcher.take(1)
