"""The tools of a request as the Responses API writes them, made the protocol's own, and told again in the response."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import ConfigDict, PlainValidator, WithJsonSchema, model_validator

from app.server.core.fields import not_supported
from app.server.core.limits import MAX_QUOTED
from app.server.core.tools import MAX_TOOLS, chosen
from app.server.openai.tools import CALLINGS, Function
from backends.bounds import as_name
from backends.protocol import AS_IT_LIKES, Calling, ToolChoice


class OfferedTool(Function):
    model_config = ConfigDict(
        json_schema_extra={"allOf": [{"properties": {"type": {"const": "function"}}, "required": ["type"]}]}
    )

    @model_validator(mode="before")
    @classmethod
    def _refuse_those_of_its_makers(cls, given: Any) -> Any:
        kind = given.get("type") if isinstance(given, dict) else "function"
        if kind != "function":
            shown = as_name(str(kind), MAX_QUOTED)
            raise not_supported(f"tools of type “{shown}” are not there: describe functions of your own")
        return given

    def told(self) -> dict[str, Any]:
        return {"type": "function", **self.model_dump()}


@dataclass(frozen=True, slots=True)
class Choice:
    """among: names of the tools that may be called; None: all. given: as the response repeats it."""

    choice: ToolChoice = AS_IT_LIKES
    among: frozenset[str] | None = None
    given: Any = "auto"


def _choice(value: Any) -> Choice:
    """none, auto, required, {"type": "function", "name": …}, or some of the tools, as
    {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": …}]}."""
    if isinstance(value, str) and value in tuple(Calling):
        return Choice(ToolChoice(Calling(value)), given=value)
    if not isinstance(value, dict):
        raise ValueError("none, auto, required or an object that names functions is expected")
    match value.get("type"):
        case "function":
            name = _name(value)
            return Choice(chosen(name, is_parallel=True), given={"type": "function", "name": name})
        case "allowed_tools":
            return _allowed(value)
        case kind:
            raise not_supported(f"a choice of type “{as_name(str(kind), MAX_QUOTED)}” is not supported")


def _allowed(value: dict[str, Any]) -> Choice:
    mode, tools = value.get("mode"), value.get("tools")
    if mode not in ("auto", "required"):
        raise ValueError("the mode of allowed tools is auto or required")
    if not isinstance(tools, list) or not 1 <= len(tools) <= MAX_TOOLS:
        raise ValueError("allowed_tools has tools, a list")
    names = [_name(tool) for tool in tools]
    told = {"type": "allowed_tools", "mode": mode, "tools": [{"type": "function", "name": name} for name in names]}
    return Choice(ToolChoice(Calling(mode)), frozenset(names), told)


def _name(value: Any) -> str:
    name = value.get("name") if isinstance(value, dict) and value.get("type") == "function" else None
    if not isinstance(name, str):
        raise ValueError("a choice of a function has its name")
    return name


NAMED = {
    "type": "object",
    "properties": {"type": {"const": "function"}, "name": {"type": "string"}},
    "required": ["type", "name"],
}
ALLOWED = {
    "type": "object",
    "properties": {
        "type": {"const": "allowed_tools"},
        "mode": {"enum": ["auto", "required"]},
        "tools": {"type": "array", "items": NAMED, "minItems": 1, "maxItems": MAX_TOOLS},
    },
    "required": ["type", "mode", "tools"],
}
ChoiceField = Annotated[Any, PlainValidator(_choice), WithJsonSchema({"anyOf": [CALLINGS, NAMED, ALLOWED]})]
