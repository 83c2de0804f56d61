"""What is seen of a grammar before it is compiled, and what is remembered after."""

import pytest

from backends.llama.grammar_source import source_of
from backends.llama.verdicts import MAX_CHARACTERS, MAX_VERDICTS, SECONDS, Verdict, Verdicts
from backends.protocol import Grammar, GrammarKind
from backends.sandbox.job import Refused


def schema(text: str) -> Grammar:
    return Grammar(GrammarKind.JSON_SCHEMA, text)


@pytest.mark.parametrize(
    "grammar",
    [
        schema('{"multipleOf": 999983}'),
        schema('{"multipleOf": -999983}'),
        schema('{"multipl\\u0065Of": 999983}'),
        schema('{"multipleOf": 99.9983e4}'),
        schema('{"multipleOf": 1e9}'),
        schema('{"multipleOf": 0.123457}'),
        schema('{"multipleOf": 1e999999999}'),
        schema('{"allOf": [{"multipleOf": -997}, {"properties": {"a": {"multipleOf": 991}}}]}'),
        Grammar(GrammarKind.LARK, 'start: %json {"multipl\\u0065Of": 999983}'),
        Grammar(GrammarKind.LARK, 'start: a b\na: %json {}\nb: %json\n {"multipleOf": -999983}'),
        Grammar(GrammarKind.GBNF, 'start: %json {"multipleOf": 999983}'),
    ],
    ids=lambda grammar: grammar.text,
)
def test_multiples_of_much_are_refused_however_they_are_written(grammar: Grammar) -> None:
    with pytest.raises(Refused, match="multipleOf"):
        source_of(grammar)


@pytest.mark.parametrize("number", ["25", "-25", "0.25", "2500e-2", "0", "1e3"])
def test_small_multiples_are_taken(number: str) -> None:
    assert '"multipleOf"' in source_of(schema(f'{{"multipleOf": {number}}}'))


def test_nothing_is_forced_whatever_the_grammar_says_itself() -> None:
    own = Grammar(GrammarKind.LARK, '%llguidance {"no_forcing": false}\nstart: "a"')
    for grammar in (own, schema("{}"), Grammar(GrammarKind.REGEX, "a/b"), Grammar(GrammarKind.GBNF, 'root ::= "a"')):
        assert source_of(grammar).rstrip().endswith('{"no_forcing": true}')


def test_verdicts_are_remembered_up_to_a_number_and_a_size() -> None:
    verdicts = Verdicts()
    for number in range(MAX_VERDICTS + 1):
        verdicts.add(schema(str(number)), Verdict(reason="it is bad"))
        verdicts.get(schema("1"))  # asked for, and so not the oldest
    assert verdicts.get(schema("0")) is None
    assert verdicts.get(schema("1"))
    verdicts.add(schema("large"), Verdict(source="x" * MAX_CHARACTERS))
    assert verdicts.get(schema("1")) is None, "it takes all the room"


def test_a_reason_that_the_machine_may_be_to_blame_for_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    verdicts, now = Verdicts(), [0.0]
    monkeypatch.setattr("backends.llama.verdicts.time.monotonic", lambda: now[0])
    verdicts.add(schema("slow"), Verdict(reason="it takes long", is_final=False))
    verdicts.add(schema("bad"), Verdict(reason="it is bad"))
    now[0] = SECONDS + 1
    assert verdicts.get(schema("slow")) is None
    assert verdicts.get(schema("bad"))
