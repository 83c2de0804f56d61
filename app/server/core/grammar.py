"""The fields that hold an answer to a grammar: OpenAI's response_format, llama-server's and vLLM's names beside it.

Whether a grammar can be used is the engine's to say; here only shapes and lengths are checked.
"""

import json
from collections.abc import Iterable
from itertools import islice
from typing import Annotated, Any, Self

from pydantic import AfterValidator, AliasChoices, Field, PlainValidator, WithJsonSchema, model_validator

from app.server.core.fields import Fields, not_supported, text
from backends.protocol import Grammar, GrammarKind

MAX_LENGTH = 2**16
MAX_DEPTH = 64  # of objects and lists in a schema; whatever walks through it calls itself at each
ANY_OBJECT = {"type": "object"}
HOLDERS = ("response_format", "json_schema", "grammar", "guided_regex")  # fields that hold an answer


def _short(value: str) -> str:
    if len(value) > MAX_LENGTH:
        raise ValueError(f"at most {MAX_LENGTH} characters are allowed")
    return text(value)


Text = Annotated[str, AfterValidator(_short)]


def schema(value: Any) -> Grammar:
    if not isinstance(value, dict):
        raise ValueError("a JSON schema, which is an object, is expected")
    if is_deeper(value, MAX_DEPTH):
        raise ValueError(f"a schema nested at most {MAX_DEPTH} deep is expected")
    source = json.dumps(value)
    text(json.dumps(value, ensure_ascii=False))
    if len(source) > MAX_LENGTH:
        raise ValueError(f"a schema of at most {MAX_LENGTH} characters is expected")
    return Grammar(GrammarKind.JSON_SCHEMA, source)


def is_deeper(value: Any, depth: int) -> bool:
    """Counted level by level: the value may be nested deeper than a function can call itself. Raises ValueError for
    one that is too large to be counted: nothing else goes on meanwhile."""
    level = [value]
    for _ in range(depth + 1):
        level = list(islice((inner for outer in level for inner in _inside(outer)), MAX_LENGTH + 1))
        if len(level) > MAX_LENGTH:
            raise ValueError(f"at most {MAX_LENGTH} characters are allowed")
        if not level:
            return False
    return True


def _inside(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _format(value: Any) -> Grammar | None:
    """{"type": "text"}, {"type": "json_object"}, or {"type": "json_schema", "json_schema": {"schema": …}}."""
    kind = value.get("type") if isinstance(value, dict) else None
    if kind == "text":
        return None
    if kind == "json_object":
        return schema(ANY_OBJECT if value.get("schema") is None else value["schema"])
    if kind == "json_schema":
        named = value.get("json_schema")
        if not isinstance(named, dict) or "schema" not in named:
            raise ValueError('json_schema with a schema in it is expected: {"json_schema": {"schema": {…}}}')
        return schema(named["schema"])
    raise ValueError("an object with the type text, json_object or json_schema is expected")


OBJECT = WithJsonSchema({"type": "object"})
FORMAT_SCHEMA = {
    "anyOf": [
        {"type": "object", "properties": {"type": {"const": "text"}}, "required": ["type"]},
        {
            "type": "object",
            "properties": {"type": {"const": "json_object"}, "schema": {"type": ["object", "null"]}},
            "required": ["type"],
        },
        {
            "type": "object",
            "properties": {
                "type": {"const": "json_schema"},
                "json_schema": {
                    "type": "object",
                    "properties": {"schema": {"type": "object"}},
                    "required": ["schema"],
                },
            },
            "required": ["type", "json_schema"],
        },
    ]
}


class GrammarFields(Fields):
    response_format: Annotated[Any, PlainValidator(_format), WithJsonSchema(FORMAT_SCHEMA)] | None = None
    json_schema: Annotated[Any, PlainValidator(schema), OBJECT] | None = Field(
        None, validation_alias=AliasChoices("json_schema", "guided_json")
    )
    grammar: Text | None = Field(
        None, validation_alias=AliasChoices("grammar", "guided_grammar"), description="GBNF, or llguidance's Lark"
    )
    guided_regex: Text | None = None

    @model_validator(mode="after")
    def _one_at_most(self) -> Self:
        if len(self._grammars()) > 1:
            first, second, *_ = [name for name in HOLDERS if getattr(self, name)]
            raise not_supported(f"an answer is held by one grammar, and {first} is one already", second)
        return self

    def wanted_grammar(self) -> Grammar | None:
        return next(iter(self._grammars()), None)

    def _grammars(self) -> list[Grammar]:
        given = [self.response_format, self.json_schema]
        if self.grammar:
            given.append(Grammar(GrammarKind.GBNF, self.grammar))
        if self.guided_regex:
            given.append(Grammar(GrammarKind.REGEX, self.guided_regex))
        return [grammar for grammar in given if grammar]
