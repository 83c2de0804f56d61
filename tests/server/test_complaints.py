"""Every field of every dialect, given what it cannot be: the refusal names it, in our own words."""

from typing import Any, cast

import pytest
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError

from app.server.core.calls import CallBook
from app.server.core.complaint import from_validation
from app.server.core.fields import Fields
from app.server.core.refusal import Refusal
from app.server.dialects import DIALECTS
from app.server.native.control import Control
from app.server.native.routes import Native

HI = [{"role": "user", "content": "Hi"}]
NEEDED: dict[str, Any] = {
    "messages": HI,
    "prompt": "Hi",
    "content": "Hi",
    "input": "Hi",
    "query": "Hi",
    "documents": ["Hi"],
    "model": "m",
    "max_tokens": 1,
    "input_prefix": "a",
    "input_suffix": "b",
    "tokens": [1],
    "name": "m",
    "id": 1,
}
ALIASES = {"name": "model", "n_predict": "max_tokens"}  # each by its other name
ODD: list[Any] = [{"odd": {}}, [{"odd": 1}], [[]], "odd\n" * 1000, "", -(10**30), 0.5, True, [], [None] * 3000, 7]
FOREIGN = ("Input should", "Value error", "Field required", "valid ", "pydantic", "literal", "body.", "Python")


def request_types() -> dict[str, Any]:
    """Of all routes of the port, by their names."""

    class Hands:
        def subscribe(self, _: Any) -> Any: ...

    switchboard = cast(Any, type("Switchboard", (), {"folder": None, "keys": None})())
    routers = [router(switchboard) for dialect in DIALECTS for router in dialect.routers]
    routers.append(Native(cast(Control, Hands()), CallBook()).router(switchboard))
    routes = [route for router in routers for route in router.routes if isinstance(route, APIRoute)]
    kinds = [route.body_field.field_info.annotation for route in routes if route.body_field]
    return {f"{kind.__module__}.{kind.__name__}": kind for kind in kinds if isinstance(kind, type)}


TABLES = {name.removeprefix("app.server."): kind for name, kind in request_types().items()}
CASES = [(name, field) for name, kind in TABLES.items() for field in sorted(kind.done() | kind.refused.keys())]


def body_of(kind: type[Fields]) -> dict[str, Any]:
    """The least that it takes."""
    needed = {name: value for name, value in NEEDED.items() if name in kind.done()}
    both = {"content", "input"} <= needed.keys() or {"content", "prompt"} <= needed.keys()
    return {name: value for name, value in needed.items() if not (both and name == "content")}


def refusal_of(kind: Any, body: Any) -> Refusal | None:
    try:
        TypeAdapter(kind).validate_python(body)
    except ValidationError as error:
        return from_validation([{**each, "loc": ("body", *each["loc"])} for each in error.errors()], body)
    return None


def test_there_are_tables() -> None:
    assert len(TABLES) > 20
    for kind in TABLES.values():
        assert refusal_of(kind, body_of(kind)) is None


@pytest.mark.parametrize(("name", "field"), CASES)
def test_a_refused_field_is_named_in_our_own_words(name: str, field: str) -> None:
    kind, refusals = TABLES[name], []
    needed = {each: value for each, value in body_of(kind).items() if each != ALIASES.get(field)}
    for value in ODD:
        refusal = refusal_of(kind, {**needed, field: value})
        if refusal is None:
            continue
        assert refusal.param, refusal.message
        assert refusal.message.startswith(f"{refusal.param}: ")
        assert not any(word in refusal.message for word in FOREIGN), refusal.message
        refusals.append(refusal.param)
    assert refusals, "nothing is ever wrong with it?"
    assert any(param.partition(".")[0].partition("[")[0] == field.partition(".")[0] for param in refusals), refusals


TOO_LONG = "long " * 100_000


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": TOO_LONG}]}, "messages"),
        ("/v1/completions", {"prompt": TOO_LONG}, "prompt"),
        ("/v1/completions", {"prompt": [2**20]}, "prompt"),
        ("/v1/completions", {"prompt": "a", "suffix": "b"}, "suffix"),
        ("/v1/responses", {"input": TOO_LONG}, "input"),
        ("/v1/responses", {}, "input"),
        ("/v1/responses", {"input": "Hi", "previous_response_id": "resp_no"}, "previous_response_id"),
        ("/v1/chat/completions", {"messages": HI, "tool_choice": "required"}, "tool_choice"),
        ("/v1/chat/completions", {"messages": HI, "top_logprobs": 1}, "top_logprobs"),
        ("/v1/chat/completions", {"messages": HI, "lora": [{"id": 1, "scale": 1}]}, "lora"),
        ("/v1/chat/completions", {"messages": HI, "grammar": "a", "guided_regex": "b"}, "guided_regex"),
        ("/infill", {"input_prefix": "a", "input_suffix": "b"}, "input_suffix"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_the_engine_refuses_has_the_clients_name_too(
    port: Any, path: str, body: dict[str, Any], param: str
) -> None:
    response = port.client.post(path, json={"model": "quick", **body})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == param, response.text
