"""What is wrong with a grammar is said in our words, whatever the libraries say of it."""

import json
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from llguidance import LLMatcher, LLTokenizer

from backends.llama.grammar_faults import NO_TOKEN, UNREADABLE, reason_of
from backends.llama.grammar_source import source_of
from backends.llama.grammar_trial import LIMITS
from backends.protocol import Grammar, GrammarKind
from backends.sandbox.job import Refused

FOREIGN = ("Lark", "llguidance", "at 1(", "registry", "retriev", "f64", "Unimpl", "lexer", "compile", "coerce", "got ")
GBNF = {
    'root ::= "a': "it ends in the middle of line 1",
    'root = "a"': "in line 1 ::= is missing",
    "root ::= foo": "it has no rule “foo”",
    "": "it has no rule “root”",
    'root ::= ( "a"': "in line 1 ')' is missing",
    'root ::= "a"{2,1}': "a repetition ends below its beginning: (2, 1)",
    "root ::= root": NO_TOKEN,
    'root ::= "\\x"': "an escape sequence in line 1 is none",
    "start: foo": "it has no rule “foo”",
    "start: %json {": "what stands behind %json is no JSON",
    "start: %regex {}": "%regex says nothing",
}
REGEX = {
    "(": "a group of the regex has no end",
    ")": "a group of the regex has no beginning",
    "[a": "a character class of the regex has no end",
    "*": "a repetition of the regex repeats nothing",
    "a{2,1}": "a repetition count is none",
    "(?<=a)b": "a regex cannot look ahead or behind, and needs no ^ and $",
    "x$y": "a regex cannot look ahead or behind, and needs no ^ and $",
    "\\1": "a regex cannot refer back to a group",
    "[z-a]": "a range of characters ends below its beginning",
    "\\p{Foo}": "the regex names a Unicode property that is not known",
}
SCHEMAS: list[tuple[Any, str]] = [
    ({"type": "foo"}, "“foo” is no type of JSON"),
    ({"type": 5}, "“type” is a string or a list of strings"),
    ({"$ref": "#/definitions/x"}, "a “$ref” leads to “/definitions/x”, and nothing is there"),
    ({"$ref": "http://a/b"}, "it leads to “http://a/b”, and nothing is fetched from elsewhere"),
    ({"$schema": "foo"}, "it leads to “foo”, and nothing is fetched from elsewhere"),
    ({"enum": []}, "nothing can fulfil it"),
    ({"pattern": "("}, "a group of the regex has no end"),
    ({"not": {}}, "“not” is not supported in schemas"),
    ({"allOf": 5}, "“allOf” is a list"),
    ({"properties": []}, "“properties” is an object"),
    ({"minimum": "a"}, "“minimum” is a number"),
    ({"minLength": -1, "type": "string"}, "“minLength” is a whole number from 0 up"),
    ({"required": "a"}, "“required” is a list"),
    ({"type": "integer", "minimum": 5, "maximum": 1}, "nothing can fulfil it: minimum 5 is above maximum 1"),
    ({"format": "foo", "type": "string"}, "the format “foo” is not known"),
    ({"oneOf": [{"type": "string"}, {"type": "string"}]}, "“oneOf” is not supported where two of its schemas may"),
    ({"additionalProperties": 5, "type": "object"}, "a schema is an object, true or false"),
    ({"multipleOf": 0, "type": "integer"}, "“multipleOf” is a number above 0"),
    ({"required": ["a"], "properties": {"a": False}, "type": "object"}, "“a” is needed and can have no value"),
]
CASES = [
    *((Grammar(GrammarKind.GBNF, text), ours) for text, ours in GBNF.items()),
    *((Grammar(GrammarKind.REGEX, text), ours) for text, ours in REGEX.items()),
    *((Grammar(GrammarKind.JSON_SCHEMA, json.dumps(schema)), ours) for schema, ours in SCHEMAS),
]


@pytest.mark.parametrize(("grammar", "ours"), CASES, ids=str)
def test_a_fault_is_said_in_our_words(grammar: Grammar, ours: str) -> None:
    try:
        matcher = LLMatcher(LLTokenizer("byte"), source_of(grammar), log_level=0, limits=LIMITS)
        if not matcher.is_error():
            matcher.compute_bitmask()
        said = reason_of(matcher.get_error())
    except ValueError as error:
        said = reason_of(str(error))
    assert ours in said
    assert not any(word in said for word in FOREIGN)


def test_what_nobody_has_foreseen_is_not_passed_on() -> None:
    assert reason_of("thread 'main' panicked at src/lib.rs") == UNREADABLE
    assert reason_of("") == UNREADABLE


@pytest.mark.parametrize("place", ["$ref", "$schema", "$id with a $ref", "$dynamicRef"])
def test_a_schema_fetches_nothing(place: str) -> None:
    """Also not what only the library would look for: a server of this machine is never asked, and no file is read."""
    with socket.create_server(("127.0.0.1", 0)) as bait:
        bait.setblocking(False)
        url = f"http://127.0.0.1:{bait.getsockname()[1]}/x.json"
        for target in (url, Path(__file__).as_uri()):
            inner: dict[str, Any] = {"$id": target, "$ref": "y.json"} if "$id" in place else {place: target}
            for schema in (inner, {"type": "object", "properties": {"a": inner}}, {"$defs": {"a": inner}, **inner}):
                _tried(Grammar(GrammarKind.JSON_SCHEMA, json.dumps(schema)))
                _tried(Grammar(GrammarKind.GBNF, f"start: %json {json.dumps(schema)}"))
        with pytest.raises(BlockingIOError):
            bait.accept()


def _tried(grammar: Grammar) -> None:
    with suppress(ValueError, Refused):
        LLMatcher(LLTokenizer("byte"), source_of(grammar), log_level=0, limits=LIMITS).compute_bitmask()
