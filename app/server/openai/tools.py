"""The tools of a chat as OpenAI writes them, and the functions that they were before, made the protocol's own."""

from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, WithJsonSchema

from app.server.core.fields import Part, not_supported
from app.server.core.limits import MAX_QUOTED
from app.server.core.tools import as_object, chosen, tool
from app.server.openai.messages import MAX_NAME, Text
from backends.bounds import as_name
from backends.protocol import Calling, Tool, ToolChoice

NAME_SCHEMA = WithJsonSchema({"type": "string", "minLength": 1, "maxLength": MAX_NAME})
Object = Annotated[dict[str, Any], PlainValidator(as_object), WithJsonSchema({"type": "object"})]


class Function(Part):
    name: Annotated[Text, Field(min_length=1, max_length=MAX_NAME), NAME_SCHEMA]
    description: Text | None = None
    parameters: Object | None = None
    strict: bool | None = None

    def tool(self) -> Tool:
        return tool(self.name, self.description, self.parameters, self.strict)


class OfferedTool(Part):
    type: Literal["function"] = "function"
    function: Function


def as_choice(value: Any) -> ToolChoice:
    """none, auto, required, or {"type": "function", "function": {"name": …}}; of functions {"name": …}."""
    if isinstance(value, str) and value in tuple(Calling):
        return ToolChoice(Calling(value))
    if not isinstance(value, dict):
        raise ValueError("none, auto, required or an object that names a function is expected")
    if value.get("type", "function") != "function":
        raise not_supported(f"a choice of type “{as_name(str(value['type']), MAX_QUOTED)}” is not supported")
    function = value.get("function", value)
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str):
        raise ValueError("a choice of a function has its name")
    return chosen(name, is_parallel=True)


CALLINGS = {"enum": [str(each) for each in Calling]}
A_NAME = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
KIND = {"type": {"const": "function"}}
NAMED = {"type": "object", "properties": {**KIND, "function": A_NAME}, "required": ["function"]}
OF_FUNCTIONS = {
    "type": "object",
    "properties": {**KIND, "name": {"type": "string"}, "function": False},
    "required": ["name"],
}
CHOICE_SCHEMA = {"anyOf": [CALLINGS, NAMED, OF_FUNCTIONS]}
Choice = Annotated[Any, PlainValidator(as_choice), WithJsonSchema(CHOICE_SCHEMA)]
