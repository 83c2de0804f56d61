"""Grammars that explode, never end or only look it, and plain ones that must still be followed to their end.

One real engine meets them all: each is answered in time, and others are meanwhile, with grammars and without.
"""

# ruff: noqa: E501  (a template, or a grammar, is read best as one line)

import json
import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from backends.protocol import FailureKind, Finish, Generate, Grammar, GrammarKind, Output, Priority, SamplingParams
from tests.bench.attacks import stand
from tests.bench.attacks.case import Case
from tests.bench.attacks.stand import Stand
from tests.inference.conftest import Answer

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)
MANY = 64
DATE = Grammar(GrammarKind.REGEX, r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
REFUSED = stand.refused((FailureKind.BAD_REQUEST,))
Judge = Callable[[Answer], str | None]


def cases() -> Iterator[Case]:
    with Stand(CHATML) as engine:
        for name, (grammar, judge) in {**_hostile(), **_innocent()}.items():
            yield Case(name, partial(_attack, engine, grammar, judge))
        for name, grammars in _crowds().items():
            yield Case(f"{MANY} at once: {name}", partial(_attack_in_a_crowd, engine, grammars))


def _attack(engine: Stand, grammar: Grammar, judge: Judge) -> str | None:
    answer, fault = engine.attacked_by(_held(grammar, max_tokens=120), _neighbours())
    return fault or judge(answer)


def _attack_in_a_crowd(engine: Stand, grammars: list[Grammar]) -> str | None:
    """All wait already when the neighbours come, and a person's grammar that is as new as theirs; who has waited too
    long goes away, as clients do."""
    neighbours = _neighbours()
    for neighbour in neighbours.values():
        engine.send(neighbour).wait()
    waiting = [engine.send(_held(grammar)) for grammar in grammars]
    try:
        new = _regex(f"[a-z]{{4}}|{grammars[0].text[:9].encode().hex()}")
        answer, fault = engine.attacked_by(_held(new, priority=Priority.WINDOW), neighbours, done_before=True)
        begin = time.monotonic()
        if fault or (fault := stand.answered(answer)):
            return fault
    finally:
        for answer in waiting:
            engine.abort(answer)
    late = [answer for answer in waiting if not answer.ended.wait(max(0.0, begin + 2 - time.monotonic()))]
    return f"{len(late)} were not called off" if late else None


def _held(grammar: Grammar, **fields: Any) -> Generate:
    return stand.chat("hello", grammar=grammar, **{"sampling": SamplingParams(seed=3), **fields})


def _neighbours() -> dict[str, Generate]:
    return {
        "a chat": stand.chat("hello"),
        "a text": stand.request("once upon a time"),
        "a date": stand.chat("hello", grammar=DATE, max_tokens=12),
    }


def _regex(text: str) -> Grammar:
    return Grammar(GrammarKind.REGEX, text)


def _gbnf(text: str) -> Grammar:
    return Grammar(GrammarKind.GBNF, text)


def _lark(text: str) -> Grammar:
    return Grammar(GrammarKind.LARK, text)


def _schema(value: Any) -> Grammar:
    return Grammar(GrammarKind.JSON_SCHEMA, value if isinstance(value, str) else json.dumps(value))


def _nested(value: Any, depth: int, wrap: Callable[[Any], Any]) -> Any:
    for _ in range(depth):
        value = wrap(value)
    return value


def _doubling(last: str, depth: int = 40, join: str = " ") -> str:
    rules = [f"r{n} ::= r{n + 1}{join}r{n + 1}" for n in range(depth)]
    return "\n".join(["root ::= r0", *rules, f"r{depth} ::= {last}"])


def _defs(depth: int, rule: Callable[[dict[str, str]], Any]) -> dict[str, Any]:
    rules = {f"r{n}": rule({"$ref": f"#/$defs/r{n + 1}"}) for n in range(depth)}
    return {"$defs": {**rules, f"r{depth}": {"type": "object"}}, "$ref": "#/$defs/r0"}


REGEXES = {
    "^a{100000}$": stand.answered,
    "a{100000}": stand.answered,
    "a{1000000000}": stand.either,
    "((a{100}){100}){100}": stand.answered,
    "(((a{1,100}){1,100}){1,100}){1,100}": stand.either,
    "(.{1,300}b){1,300}": stand.either,
    "(a|a)*{1000}": stand.either,
    "(x+x+)+y": stand.answered,
    "(a*)*b": stand.answered,
    "(a|aa)+$": stand.answered,
    "((a?){200}){200}a{200}": stand.either,
    ".*a.{3000}": stand.answered,
    "(.*a.{14}){9}x": stand.either,
    ".*.*.*.*.*.*.*x": stand.either,
    r"\p{L}{5000}": stand.either,
    r"(\w\W\s\S\d\D){3000}": stand.either,
    "[^a]{60000}": stand.either,
    "(?i)" + "straße" * 2000: stand.either,
    "|".join(f"(.*{chr(97 + n % 26)}.{{{n}}})" for n in range(600)): stand.either,
    "|".join(f"word{n}" for n in range(7000)): stand.either,
    "(" * 5000 + "a" + ")" * 5000: REFUSED,
    "(" * 5000: REFUSED,
    "[" * 9000: REFUSED,
    "(?=a)b": REFUSED,
    r"(a)\1": REFUSED,
    "(?P<n>a)(?P<n>b)": REFUSED,
    "a{9,1}": REFUSED,
    "a{99999999999999999999}": REFUSED,
    "*": REFUSED,
    "\ud800": REFUSED,
    "a" * 70_000: REFUSED,
    "\0{9}": stand.either,
    "": stand.either,
    "(a*)|b": stand.either,
}
SCHEMAS: dict[str, tuple[Any, Judge]] = {
    "pattern ^a{100000}$": ({"type": "string", "pattern": "^a{100000}$"}, stand.answered),
    "pattern of a million": ({"type": "string", "pattern": "^((a{100}){100}){100}$"}, stand.either),
    "least length of a billion": ({"type": "string", "minLength": 10**9}, stand.either),
    "greatest length of a billion": ({"type": "string", "maxLength": 10**9}, stand.answered),
    "fifty thousand items": ({"type": "array", "minItems": 50_000}, stand.answered),
    "a billion items": ({"type": "array", "minItems": 10**9}, stand.either),
    "multiples": ({"type": "integer", "multipleOf": 999983}, REFUSED),
    "multiples, negative": ({"type": "integer", "multipleOf": -999983}, REFUSED),
    "multiples, exponent": ('{"type": "integer", "multipleOf": 999983e0}', REFUSED),
    "multiples, escaped": ('{"type": "integer", "multipl\\u0065Of": 999983}', REFUSED),
    "multiples, escaped and negative": ('{"type": "integer", "\\u006dultipleOf": -9.99983e5}', REFUSED),
    "multiples of two": ({"allOf": [{"type": "integer", "multipleOf": n} for n in (997, 991)]}, REFUSED),
    "multiples of a fraction": ({"type": "number", "multipleOf": 0.123457}, REFUSED),
    "multiples of nothing": ({"type": "integer", "multipleOf": 0}, stand.either),
    "multiples by the hundred": (
        {"anyOf": [{"type": "integer", "multipleOf": 9973, "minimum": n} for n in range(300)]}, stand.either),
    "multiples in ranges": (
        {"type": "array", "prefixItems": [{"type": "integer", "multipleOf": 9973, "minimum": n} for n in range(300)]},
        stand.either),
    "multiples of 1e400": ('{"type": "integer", "multipleOf": 1e400}', REFUSED),
    "ranges by the hundred": (
        {"anyOf": [{"type": "integer", "minimum": n, "maximum": n * 10**12 + 7} for n in range(500)]}, stand.either),
    "a range of thirty digits": ({"type": "integer", "minimum": 10**29, "maximum": 10**30}, stand.either),
    "a range of nothing": ({"type": "integer", "minimum": 9, "maximum": 1}, REFUSED),
    "depth 100": (_nested({}, 100, lambda s: {"type": "object", "properties": {"a": s}, "required": ["a"]}), REFUSED),
    "depth 960": ('{"items":' * 960 + "{}" + "}" * 960, REFUSED),
    "depth 5000": ('{"items":' * 5000 + "{}" + "}" * 5000, REFUSED),
    "anyOf in anyOf": (_nested({"type": "null"}, 30, lambda s: {"anyOf": [s, {"type": "string"}]}), stand.either),
    "allOf of patterns": (
        {"allOf": [{"type": "string", "pattern": f"^.*{c}.{{12}}$"} for c in "abcdefgh"]}, stand.either),
    "a product of choices": (
        {"allOf": [{"anyOf": [{"properties": {f"x{i}{j}": {}}} for j in range(8)]} for i in range(8)]}, REFUSED),
    "an enum of thousands": ({"enum": [f"v{n}" for n in range(5000)]}, stand.either),
    "an enum of long ones": ({"enum": ["x" * 6000 + str(n) for n in range(10)]}, stand.either),
    "an enum of nothing": ({"enum": []}, REFUSED),
    "a const of depth": ({"const": _nested(1, 60, lambda v: [v])}, stand.either),
    "properties by the thousand": ({"type": "object", "properties": {f"p{n}": {} for n in range(1500)}}, stand.either),
    "required by the hundred": (
        {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(300)},
         "required": [f"p{n}" for n in range(300)]}, stand.either),
    "itself": ({"$ref": "#"}, REFUSED),
    "a list of itself": ({"type": "array", "items": {"$ref": "#"}, "minItems": 1}, stand.either),
    "each other": (
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}, REFUSED),
    "doubling allOf": (_defs(28, lambda ref: {"allOf": [ref, ref]}), stand.either),
    "doubling anyOf": (_defs(28, lambda ref: {"anyOf": [ref, ref]}), stand.either),
    "doubling lists": (_defs(28, lambda ref: {"type": "array", "prefixItems": [ref, ref], "minItems": 2}), stand.either),
    "not": ({"not": {"type": "string"}}, stand.either),
    "oneOf": ({"oneOf": [{"type": "object", "properties": {f"p{n}": {}}} for n in range(60)]}, stand.either),
    "if and then": ({"if": {"type": "string"}, "then": {"minLength": 3}}, stand.either),
    "another machine": ({"$ref": "http://127.0.0.1:1/schema.json"}, REFUSED),
    "a file": ({"$ref": "file:///etc/passwd"}, REFUSED),
    "nowhere": ({"$ref": "#/nowhere"}, REFUSED),
    "no such type": ({"type": "nonsense"}, REFUSED),
    "string and number": ({"allOf": [{"type": "string"}, {"type": "integer"}]}, REFUSED),
    "formats at once": ({"allOf": [{"type": "string", "format": f} for f in ("uri", "email")]}, REFUSED),
    "no schema": ('{"type":', REFUSED),
    "a list": ("[1]", stand.either),
    "own options": ({"x-guidance": {"lenient": True, "whitespace_pattern": "(a{1000}){1000}"}}, stand.either),
    "pattern properties": (
        {"type": "object", "patternProperties": {f"^.*{chr(97 + n)}.{{{n}}}$": {} for n in range(20)}}, stand.either),
}  # fmt: skip
GBNFS: dict[str, tuple[str, Judge]] = {
    "doubling": (_doubling('"a"'), REFUSED),
    "doubling classes": (_doubling("[a-z]"), REFUSED),
    "doubling words": (_doubling('"abcdefgh"'), REFUSED),
    "doubling choices": (_doubling('"a" | "b"', join=" | "), stand.either),
    "doubling options": (_doubling('"a"', join="? "), stand.either),
    "doubling stars": (_doubling("[a-z]*", 14), stand.either),
    "ambiguous": ("root ::= " + "[a-z]* " * 3000, REFUSED),
    "ambiguous without end": ('root ::= "a" | root root | root root root', stand.either),
    "left recursion": ('root ::= root "a" | "a"', stand.either),
    "nothing but itself": ("root ::= root", REFUSED),
    "empty loop": ('root ::= a root | "b"\na ::= ""', stand.either),
    "parentheses": ("root ::= " + "(" * 9000 + '"a"' + ")" * 9000, REFUSED),
    "stars on stars": ("root ::= " + "(" * 300 + '"a"' + ")*" * 300, stand.either),
    "four thousand rules": ("\n".join([*(f'r{n} ::= "a{n}"' for n in range(3500)), "root ::= r0"]), stand.either),
    "four thousand choices": ("root ::= " + " | ".join(f'"w{n}"' for n in range(7000)), stand.either),
    "long text": ('root ::= "' + "a" * 60_000 + '"', stand.either),
    "long name": ("root ::= " + "a" * 60_000, REFUSED),
    "no rule": ("root ::= nowhere", REFUSED),
    "half a rule": ("root ::= (", REFUSED),
    "half a class": ("root ::= [a-", REFUSED),
    "odd escapes": ('root ::= "\\xZZ"', REFUSED),
    "counted": ('root ::= ("a" | "b"){1,100000}', stand.either),
    "counted in counted": ('root ::= ((("a"){100}){100}){100}', stand.either),
}
LARKS: dict[str, tuple[str, Judge]] = {
    "multiples in %json": ('start: %json {"type": "integer", "multipleOf": 999983}', REFUSED),
    "negative multiples in %json": ('start: %json {"type": "integer", "multipleOf": -999983}', REFUSED),
    "escaped multiples in %json": ('start: %json {"type": "integer", "multipl\\u0065Of": 999983}', REFUSED),
    "multiples in the second %json": (
        'start: a b\na: %json {"type": "null"}\nb: %json\n\n{"type": "integer", "multipleOf": 1e6}', REFUSED),
    "intersection": ("start: A\nA: /.*a.{12}/ & /.*b.{12}/ & /.*c.{13}/", stand.either),
    "complement": ("start: A\nA: ~/.*a.{20}b.*/ & /(a|b)*c{300}/", stand.either),
    "complements": ("start: A\nA: " + "~(" * 40 + "/a/" + ")" * 40, stand.either),
    "substring": ('start: A\nA: %regex {"substring_chars": "' + "ab" * 20_000 + '"}', stand.either),
    "import of nothing": ("%import nothing.WORD\nstart: WORD", REFUSED),
    "import of a file": ("%import .secrets.WORD\nstart: WORD", REFUSED),
    "import": ("%import common.INT\nstart: INT", stand.answered),
    "ignored blanks": ("%ignore /[ \\n]{0,1000}/\nstart: /[a-z]{9}/ /[a-z]{9}/", stand.either),
    "forcing on": ('%llguidance {"no_forcing": false}\nstart: /a{100000}/', stand.answered),
    "late ambiguity": ("start: /[0-9]{12}/ " + "r? " * 3000 + '\nr: "a" | "b" r', stand.either),
    "late doubling": (
        "start: /[0-9]{9}/ r0\n" + "\n".join(f"r{n}: r{n + 1} r{n + 1}" for n in range(2000)) + '\nr2000: "a"',
        stand.either),
    "parentheses": ("start: " + "(" * 20_000 + '"a"' + ")" * 20_000, REFUSED),
    "a rule that only names itself": ('start: start "a"', REFUSED),
    "llguidance's own format": ('{"grammars": [{"lark_grammar": "start: /a/"}]}', stand.either),
    "special tokens": ("start: <|im_end|> /a/", stand.either),
    "special tokens that are not": ("start: <|nothing|>", stand.either),
    "parameters": ('start: r::0\nr::_: "a" r::incr(_) %if lt(_, 100000) | "b"', stand.either),
}  # fmt: skip


def _hostile() -> dict[str, tuple[Grammar, Judge]]:
    return {
        **{f"regex {n}: {text[:30]}": (_regex(text), judge) for n, (text, judge) in enumerate(REGEXES.items())},
        **{f"schema: {name}": (_schema(value), judge) for name, (value, judge) in SCHEMAS.items()},
        **{f"gbnf: {name}": (_gbnf(text), judge) for name, (text, judge) in GBNFS.items()},
        **{f"lark: {name}": (_lark(text), judge) for name, (text, judge) in LARKS.items()},
    }


def _innocent() -> dict[str, tuple[Grammar, Judge]]:
    person = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 8},
            "age": {"type": "integer", "maximum": 99, "minimum": 0},
        },
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    whole = partial(partial, _followed)
    return {
        "innocent: a date": (DATE, whole(re.compile(DATE.text).fullmatch)),
        "innocent: yes or no": (_gbnf('root ::= ("yes" | "no") "."'), whole(re.compile(r"(yes|no)\.").fullmatch)),
        "innocent: letters": (_regex("[äöü日本]{3,5}"), whole(re.compile("[äöü日本]{3,5}").fullmatch)),
        "innocent: a person": (_schema(person), whole(lambda text: json.loads(text).keys() == {"name", "age"})),
        "innocent: three flags": (
            _schema({"type": "array", "items": {"type": "boolean"}, "minItems": 3, "maxItems": 3}),
            whole(lambda text: len(json.loads(text)) == 3),
        ),
        "innocent: a choice": (
            _schema({"enum": ["red", "green"]}),
            whole(lambda text: json.loads(text) in ("red", "green")),
        ),
        "innocent: a multiple": (
            _schema({"type": "integer", "multipleOf": 25, "minimum": 1, "maximum": 10**5}),
            whole(lambda text: json.loads(text) % 25 == 0),
        ),
        "innocent: a call": (
            _lark('start: "call(" /[a-z]{1,5}/ ")"'),
            whole(re.compile(r"call\([a-z]{1,5}\)").fullmatch),
        ),
    }


def _followed(is_right: Callable[[str], Any], answer: Answer) -> str | None:
    if not isinstance(answer.last, Output):
        return answer.last.message
    if answer.last.finish is not Finish.STOP:
        return f"it had no end: {answer.text[:60]!r}"
    return None if is_right(answer.text) else f"it was not followed: {answer.text[:60]!r}"


def _crowds() -> dict[str, list[Grammar]]:
    return {
        "one doubling grammar": [_gbnf(_doubling('"same"'))] * MANY,
        "doubling grammars": [_gbnf(_doubling(f'"a{n}"')) for n in range(MANY)],
        "ambiguous grammars": [_gbnf("root ::= " + "[a-z]* " * (2900 + n)) for n in range(MANY)],
        "enums": [_schema({"enum": [f"v{n}-{k}" for k in range(3000)]}) for n in range(MANY)],
    }
