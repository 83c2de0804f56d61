"""The fields of llama-server's own routes, and how they become a Generate."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Self

from pydantic import AfterValidator, AliasChoices, ConfigDict, Field, PlainValidator, WithJsonSchema, model_validator

from app.server.core.conditions import exactly_one
from app.server.core.fields import Fields, Refused, Whole, not_supported, text
from app.server.core.prompt import TOKEN_SCHEMA, as_tokens
from app.server.core.prompts import as_prompts
from app.server.core.prompts import schema as prompts_schema
from app.server.core.text_fields import MAX_ALTERNATIVES, MAX_CHOICES, MAX_MODEL, Prompt, TextFields
from app.server.core.tools import MAX_OPTIONS, MAX_TOOLS
from app.server.llama_server.biases import SCHEMA as BIAS_SCHEMA
from app.server.llama_server.biases import Bias, as_biases
from app.server.llama_server.settings import SAMPLERS
from app.server.openai.messages import ChatMessage, messages
from app.server.openai.tools import Object, OfferedTool
from backends.protocol import Generate, Infill, Reads

MAX_READ = 2**20  # tokens
MAX_MESSAGES = 10_000
MAX_RESPONSE_FIELDS, MAX_FIELD_NAME = 64, 128
MAX_FILES = 64
MAX_MILLISECONDS = 24 * 3600 * 1000
MAX_PROMPTS = 128
MAX_REQUESTS = 128  # prompts times completions

Text = Annotated[str, AfterValidator(text)]
Model = Annotated[Text, Field(max_length=MAX_MODEL)]
FieldName = Annotated[Text, Field(min_length=1, max_length=MAX_FIELD_NAME)]

PromptField = Annotated[
    Any, PlainValidator(partial(as_prompts, most=MAX_PROMPTS)), WithJsonSchema(prompts_schema(MAX_PROMPTS))
]


def _tokens(value: Any) -> tuple[int, ...]:
    """Any number of ids, none of them too."""
    if value == []:
        return ()
    if not isinstance(value, list) or (tokens := as_tokens(value)) is None:
        raise ValueError("a list of token ids is expected")
    if len(tokens) > MAX_READ:
        raise ValueError(f"at most {MAX_READ:,} are allowed, and {len(tokens):,} came")
    return tokens


READ_SCHEMA = {"type": "array", "items": TOKEN_SCHEMA, "maxItems": MAX_READ}
Tokens = Annotated[Any, PlainValidator(_tokens), WithJsonSchema(READ_SCHEMA)]

RAW = "a raw prompt has no thoughts that are told apart"
OF_CHATS = frozenset(
    {"chat_template_kwargs", "continue_final_message", "generation_prompt", "parse_tool_calls"}
    | {"reasoning_control", "reasoning_effort", "reasoning_format"}
)
DONE = {"n_cmpl", "post_sampling_probs", "response_fields", "return_tokens", "t_max_predict_ms"}  # here, not in chats
FIRST_BEAM = [["dry", "top_k", "typ_p", "top_p", "min_p", "xtc", "temperature"], SAMPLERS]


class AnswerFields(TextFields):
    """What /completion and /infill share."""

    ignored = TextFields.ignored | OF_CHATS | {"verbose"}
    refused = {name: refused for name, refused in TextFields.refused.items() if name not in DONE} | {
        "echo": Refused("the prompt is not repeated; /v1/completions does", (False,)),
        "reasoning_budget_tokens": Refused(RAW, (-1,)),
        "thinking_budget_tokens": Refused(RAW, (-1,)),
        "samplers": Refused("the order of the filters is llama.cpp's", ([], *FIRST_BEAM)),
    }

    asked_by = TextFields.asked_by | {"logprobs": ("n_probs",)}

    n: Whole | None = Field(None, ge=1, le=MAX_CHOICES, validation_alias=AliasChoices("n", "n_cmpl"))
    n_probs: Whole | None = Field(
        None,
        ge=0,
        le=MAX_ALTERNATIVES,
        validation_alias=AliasChoices("n_probs", "logprobs"),
        description="alternatives to each token; 0: none",
    )
    post_sampling_probs: bool | None = Field(
        None, description="true: n_probs tells what was left to draw from, and the chances then"
    )
    return_tokens: bool | None = Field(None, description="true: the ids of the answer's tokens, too")
    t_max_predict_ms: Whole | None = Field(
        None,
        ge=-1,
        le=MAX_MILLISECONDS,
        description="after so long from the first token it ends as soon as it has a second line; 0: off",
    )
    response_fields: list[FieldName] | None = Field(
        None, max_length=MAX_RESPONSE_FIELDS, description="only these of the answer; a/b: b of the object a"
    )
    logit_bias: Annotated[Any, PlainValidator(as_biases), WithJsonSchema(BIAS_SCHEMA)] | None = None

    @property
    def num_alternatives(self) -> int | None:
        return self.n_probs or None

    @property
    def biases(self) -> Sequence[Bias]:
        return self.logit_bias or ()

    def wanted(self, prompt: Prompt, biases: tuple[tuple[int, float], ...]) -> list[Generate]:
        """One for each completion. biases: with those of texts as their tokens'."""
        answers = self.choices(prompt)
        return [replace(each, sampling=replace(each.sampling, logit_bias=biases)) for each in answers]

    def generate(self, prompt: Prompt) -> Generate:
        wanted = super().generate(prompt)
        limit = self.t_max_predict_ms
        return replace(
            wanted,
            after_filters=bool(self.post_sampling_probs),
            tells_tokens=bool(self.return_tokens or self.stream),
            max_seconds=limit / 1000 if limit and limit > 0 else None,
        )


class CompletionRequest(AnswerFields):
    prompt: PromptField

    @model_validator(mode="after")
    def _not_too_many(self) -> Self:
        if len(self.prompt.prompts) * self.num_choices > MAX_REQUESTS:
            raise not_supported(f"at most {MAX_REQUESTS} completions can be asked for at once", "prompt")
        return self


class ExtraFile(Fields):
    filename: Text | None = None
    text: Text


class InfillRequest(AnswerFields):
    asked_by = AnswerFields.asked_by | {"prompt": ("input_prefix",), "suffix": ("input_suffix",)}

    input_prefix: Text
    input_suffix: Text
    input_extra: list[ExtraFile] | None = Field(None, max_length=MAX_FILES, description="other files of the project")
    prompt: Text | None = Field(None, description="stands behind the prefix")

    def infill(self) -> Infill:
        files = tuple((each.filename or "tmp", each.text) for each in self.input_extra or ())
        return Infill(self.input_prefix + (self.prompt or ""), self.input_suffix, files)


class TokenizeRequest(Fields):
    """llama-server's content, or vLLM's prompt; lm-eval asks in the second way."""

    model_config = ConfigDict(json_schema_extra=exactly_one(("content", "prompt"), {"type": "string"}))

    asked_by = {"prompt": ("content", "prompt")}  # noqa: RUF012

    content: Text | None = None
    prompt: Text | None = None
    model: Model | None = None
    add_special: bool | None = Field(
        None,
        validation_alias=AliasChoices("add_special", "add_special_tokens"),
        description="true: with the tokens that begin and end every prompt; the default of a prompt, not of a content",
    )
    parse_special: bool | None = Field(None, description="false: control tokens in the text are read as text")
    with_pieces: bool | None = None
    return_token_strs: bool | None = None

    @model_validator(mode="after")
    def _one_text(self) -> Self:
        if (self.content is None) == (self.prompt is None):
            raise not_supported("either content or prompt is expected", "content" if self.prompt is None else "prompt")
        return self

    def wanted(self) -> Generate:
        adds = self.add_special if self.add_special is not None else self.prompt is not None
        read = self.content if self.content is not None else self.prompt or ""
        return Generate(read, special=self.parse_special is not False, reads=Reads.PROMPT if adds else Reads.BARE)


class DetokenizeRequest(Fields):
    asked_by = {"prompt": ("tokens",)}  # noqa: RUF012

    tokens: Tokens
    model: Model | None = None

    def wanted(self) -> Generate:
        return Generate(self.tokens, reads=Reads.PROMPT)


class TemplateRequest(Fields):
    refused = {  # noqa: RUF012
        "chat_template": Refused("the model's own template is used"),
    }

    asked_by = {"prompt": ("messages",)}  # noqa: RUF012

    messages: list[ChatMessage] = Field(min_length=1, max_length=MAX_MESSAGES, fail_fast=True)
    model: Model | None = None
    tools: list[OfferedTool] | None = Field(None, max_length=MAX_TOOLS)
    chat_template_kwargs: Object | None = Field(None, max_length=MAX_OPTIONS)
    add_generation_prompt: bool | None = Field(None, description="false: only with an assistant's turn at the end")

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
