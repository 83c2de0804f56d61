"""The fields of llama-server's own routes, and how they become a Generate."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema

from app.server.core.fields import MAX_INT, Fields, Refused, Whole, text
from app.server.core.prompt import PROMPT_SCHEMA, as_prompt
from app.server.core.text_fields import MAX_MODEL, TextFields
from app.server.core.tools import MAX_OPTIONS, MAX_TOOLS
from app.server.openai.messages import ChatMessage, messages
from app.server.openai.tools import Object, OfferedTool
from backends.protocol import Generate, Reads

MAX_READ = 2**20  # tokens
MAX_MESSAGES = 10_000

Text = Annotated[str, AfterValidator(text)]
Model = Annotated[Text, Field(max_length=MAX_MODEL)]


class CompletionRequest(TextFields):
    refused = TextFields.refused | {
        "n_probs": Refused("ask for logprobs at /v1/completions", (0,)),
        "n": Refused("one answer at a time is given here", (1,)),
    }

    prompt: Annotated[Any, PlainValidator(as_prompt), WithJsonSchema(PROMPT_SCHEMA)]

    def wanted(self) -> Generate:
        return self.generate(self.prompt)


class TokenizeRequest(Fields):
    content: Text
    model: Model | None = None
    add_special: bool | None = Field(None, description="true: with the tokens that begin and end every prompt")
    parse_special: bool | None = Field(None, description="false: control tokens in the text are read as text")
    with_pieces: bool | None = None

    def wanted(self) -> Generate:
        reads = Reads.PROMPT if self.add_special else Reads.BARE
        return Generate(self.content, special=self.parse_special is not False, reads=reads)


class DetokenizeRequest(Fields):
    tokens: list[Annotated[Whole, Field(ge=0, le=MAX_INT)]] = Field(max_length=MAX_READ)
    model: Model | None = None

    def wanted(self) -> Generate:
        return Generate(tuple(self.tokens), reads=Reads.PROMPT)


class TemplateRequest(Fields):
    refused = {  # noqa: RUF012
        "chat_template": Refused("the model's own template is used"),
    }

    messages: list[ChatMessage] = Field(min_length=1, max_length=MAX_MESSAGES)
    model: Model | None = None
    tools: list[OfferedTool] | None = Field(None, max_length=MAX_TOOLS)
    chat_template_kwargs: Object | None = Field(None, max_length=MAX_OPTIONS)

    def wanted(self) -> Generate:
        last = self.messages[-1]
        continues = last.role == "assistant" and bool(last.content)
        return Generate(
            messages(self.messages),
            continues=continues,
            tools=tuple(each.function.tool() for each in self.tools or ()),
            template_options=tuple((self.chat_template_kwargs or {}).items()),
            reads=Reads.PROMPT,
        )
