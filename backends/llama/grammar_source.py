"""Turns a request's grammar into llguidance's own, inside a sandbox's child: the converters are foreign code's to feed.

A schema becomes a Lark grammar around it, for Lark alone can switch "forcing" off: else each step of `a{100000}`
goes through all of the letters that must follow.
"""

import json
import math
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from llguidance import LLMatcher, grammar_from

from backends.chat.narrowing import BLANK, narrowed
from backends.protocol import Grammar, GrammarKind
from backends.sandbox.job import Refused

MAX_TEXT = 2**16  # characters; ten times as many alternatives were measured to compile for seconds
MAX_SOURCE = 2**20  # characters of what becomes of it
OPTIONS = '\n%llguidance {"no_forcing": true}\n'  # at the end, where nothing of the grammar's own takes it back
BLANKS: Any = {"whitespace_pattern": BLANK}  # JsonCompileOptions, a type that exists for the type checker alone
# one state of an automaton for each remainder, some 15 µs apiece, and none of the limits counts them
MAX_REMAINDERS, MAX_DIGITS = 10_000, 20
INLINE_JSON = "%json"
WHOLE_JSON = f"start: {INLINE_JSON} "
INLINE_SCHEMA = re.compile(r"%json\s*(?=[{\[])")


def source_of(grammar: Grammar) -> str:
    """Raises Refused and ValueError for what cannot be read."""
    if _num_remainders(grammar) > MAX_REMAINDERS:
        raise Refused(f"its multipleOf, all taken together, has more than {MAX_REMAINDERS} remainders")
    source = _converted(grammar)
    if len(source) > MAX_SOURCE:
        raise Refused("it grows too long when its rules are written out")
    return source + OPTIONS


def _converted(grammar: Grammar) -> str:
    match grammar.kind:
        case GrammarKind.JSON_SCHEMA:
            read = json.loads(LLMatcher.grammar_from_json_schema(grammar.text, overrides=BLANKS))
            return WHOLE_JSON + json.dumps(narrowed(read["grammars"][0]["json_schema"]))
        case GrammarKind.REGEX:
            read = json.loads(LLMatcher.grammar_from_regex(grammar.text))
            return str(read["grammars"][0]["lark_grammar"])
        case GrammarKind.LARK:
            return LLMatcher.grammar_from_lark(grammar.text)
        case GrammarKind.GBNF:
            return grammar_from("gbnf", grammar.text)


def _num_remainders(grammar: Grammar) -> int:
    """The least common multiple of all under "multipleOf": a number may have to be a multiple of each."""
    found = (number for schema in _schemas(grammar) for number in _multiples(schema))
    return math.lcm(*filter(None, map(_coefficient, found)))


def _schemas(grammar: Grammar) -> Iterator[Any]:
    """As Python reads them; what it cannot read llguidance refuses as well."""
    decoder = json.JSONDecoder(parse_float=Decimal, parse_int=Decimal)
    begins = [0] if grammar.kind is GrammarKind.JSON_SCHEMA else _inline(grammar.text)
    for begin in begins:
        try:
            yield decoder.raw_decode(grammar.text, begin)[0]
        except ValueError:
            continue


def _inline(text: str) -> list[int]:
    return [found.end() for found in INLINE_SCHEMA.finditer(text)]


def _multiples(value: Any) -> Iterator[Decimal]:
    if isinstance(value, dict):
        number = value.get("multipleOf")
        if isinstance(number, Decimal) and number.is_finite():
            yield number
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _multiples(part)


def _coefficient(number: Decimal) -> int:
    """The number without its decimal point: 0.25 is told by 25 remainders."""
    _, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int), "it is finite"
    whole = "".join(map(str, digits))
    if exponent < 0:  # 0.2500 is 0.25
        shorter = whole.rstrip("0")
        return int(shorter[:MAX_DIGITS] or "0")
    return int(whole[:MAX_DIGITS] + "0" * min(exponent, MAX_DIGITS))
