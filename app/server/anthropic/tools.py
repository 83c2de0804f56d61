"""The tools of a chat as Anthropic writes them, made the protocol's own."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema, model_validator

from app.server.core.fields import MAX_INT, Part, Whole, not_supported, text
from app.server.core.limits import MAX_QUOTED
from app.server.core.tools import as_object, chosen, tool
from backends.bounds import as_name
from backends.protocol import Calling, Tool, ToolChoice

Name = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(text)]
Object = Annotated[dict[str, Any], PlainValidator(as_object), WithJsonSchema({"type": "object"})]


class OfferedTool(Part):
    name: Name
    description: Annotated[str, AfterValidator(text)] | None = None
    input_schema: Object
    strict: bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _refuse_those_of_its_makers(cls, given: Any) -> Any:
        kind = given.get("type") if isinstance(given, dict) else None
        if kind not in (None, "custom"):
            raise not_supported(f"tools of type “{as_name(str(kind), MAX_QUOTED)}” are not there: describe your own")
        return given

    def tool(self) -> Tool:
        return tool(self.name, self.description, self.input_schema, self.strict)


class Choice(Part):
    type: Literal["auto", "any", "tool", "none"]
    name: Name | None = None
    disable_parallel_tool_use: bool | None = None

    @model_validator(mode="after")
    def _a_tool_has_a_name(self) -> "Choice":
        if self.type == "tool" and self.name is None:
            raise not_supported("a choice of a tool has its name", "name")
        return self

    def choice(self) -> ToolChoice:
        is_parallel = not self.disable_parallel_tool_use
        if self.type in ("any", "tool"):
            return chosen(self.name if self.type == "tool" else None, is_parallel)
        return ToolChoice(Calling(self.type), is_parallel=is_parallel)


class Thinking(Part):
    """budget_tokens: after which the answer must begin."""

    type: Literal["enabled", "disabled", "adaptive"]
    budget_tokens: Whole | None = Field(None, ge=1, le=MAX_INT)
