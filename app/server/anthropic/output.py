"""What an answer must look like, and how hard a model works for it, as Anthropic writes them."""

from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, WithJsonSchema

from app.server.core.fields import Fields, Part, Refused
from app.server.core.grammar import schema


class Format(Part):
    """Held by a grammar, whole."""

    type: Literal["json_schema"]
    schema_: Annotated[Any, PlainValidator(schema), WithJsonSchema({"type": "object"})] = Field(alias="schema")


class OutputConfig(Fields):
    refused = {  # noqa: RUF012
        "task_budget": Refused("set max_tokens"),
    }

    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = Field(
        None, description="where the model's template asks for it"
    )
    format: Format | None = None
