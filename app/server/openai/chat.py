"""POST /v1/chat/completions, as OpenAI's clients know it."""

from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema, model_validator
from starlette.responses import Response

from app.server.core.answer import answer
from app.server.core.fields import MAX_ALTERNATIVES, Prompt, TextFields, not_supported
from app.server.core.limits import MAX_QUOTED
from app.server.core.sampling import text
from app.server.core.switchboard import Switchboard
from app.server.openai.form import Choice, Chunk, Form
from app.server.openai.logprobs import chat_logprobs
from backends.bounds import as_name
from backends.protocol import Finish, Generate, Message

MAX_MESSAGES = 10_000


def _content(content: Any) -> str:
    """A string, or the text parts of a list, each a line as with llama-server; null is a turn without words."""
    if isinstance(content, str):
        return text(content)
    if content is None:
        return ""
    if not isinstance(content, list):
        raise ValueError("a string or a list of parts is expected")
    return "\n".join(_part_text(part) for part in content)


def _part_text(part: Any) -> str:
    if not isinstance(part, dict) or not isinstance(part.get("type"), str):
        raise ValueError("each part is an object with a type")
    if part["type"] != "text":
        raise not_supported(f"parts of type “{as_name(part['type'], MAX_QUOTED)}” are not supported, only text")
    if not isinstance(part.get("text"), str):
        raise ValueError("a text part has a text")
    return text(part["text"])


PARTS_SCHEMA = {"type": "array", "items": {"type": "object"}}
CONTENT_SCHEMA = {"anyOf": [{"type": "string"}, PARTS_SCHEMA, {"type": "null"}]}


class ChatMessage(BaseModel):
    model_config = ConfigDict(strict=True)

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: Annotated[Any, PlainValidator(_content), WithJsonSchema(CONTENT_SCHEMA)] = ""

    def message(self) -> Message:
        """`developer` is OpenAI's newer name of what templates call `system`."""
        return Message("system" if self.role == "developer" else self.role, self.content)


class ChatRequest(TextFields):
    messages: list[ChatMessage] = Field(min_length=1, max_length=MAX_MESSAGES)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=MAX_ALTERNATIVES)
    continue_final_message: bool | None = Field(
        None, description="go on with the last message, the assistant's; the default where it is that"
    )
    add_generation_prompt: bool | None = Field(
        None, description="true: a new turn of the assistant, also after one; false: as continue_final_message"
    )

    @model_validator(mode="after")
    def _alternatives_need_logprobs(self) -> Self:
        if self.top_logprobs is not None and not self.logprobs:
            raise ValueError("top_logprobs needs logprobs to be true")
        return self

    @model_validator(mode="after")
    def _only_a_turn_of_the_assistant_goes_on(self) -> Self:
        if self.continue_final_message and self.add_generation_prompt:
            raise ValueError("continue_final_message and add_generation_prompt cannot both be true")
        wants_to_go_on = self.continue_final_message or self.add_generation_prompt is False
        if wants_to_go_on and self.messages[-1].role != "assistant":
            raise ValueError("to go on with the last message, it must be the assistant's")
        return self

    @property
    def continues(self) -> bool:
        """As with llama-server, an assistant's turn at the end is the beginning of the answer unless it is said
        otherwise (vLLM adds a turn, but many templates refuse two in a row, and none was trained on them). An empty
        one only if it is said: most programs mean that no answer came."""
        last = self.messages[-1]
        wants_a_turn = self.add_generation_prompt or self.continue_final_message is False
        wants_to_go_on = self.continue_final_message or self.add_generation_prompt is False
        return last.role == "assistant" and bool(last.content or wants_to_go_on) and not wants_a_turn

    def generate(self, prompt: Prompt) -> Generate:
        return replace(super().generate(prompt), continues=self.continues)

    @property
    def num_alternatives(self) -> int | None:
        return (self.top_logprobs or 0) if self.logprobs else None


class ChatForm(Form):
    prefix, kind, chunk_kind = "chatcmpl", "chat.completion", "chat.completion.chunk"

    def head(self) -> list[Chunk]:
        first = {"role": "assistant", "content": ""}
        return [self._chunk(_choice(choice, delta=first)) for choice in self.choices]

    def text_choice(self, choice: Choice, said: str) -> Chunk:
        return _choice(choice, delta={"content": said})

    def final_choice(self, choice: Choice) -> Chunk:
        return _choice(choice, choice.finish, delta={})

    def whole_choice(self, choice: Choice) -> Chunk:
        message = {"role": "assistant", "content": choice.text, "refusal": None}
        return _choice(choice, choice.finish, message=message)


def chat_router(switchboard: Switchboard) -> APIRouter:
    router = APIRouter()

    @router.post("/v1/chat/completions")
    async def create_chat_completion(body: ChatRequest, request: Request) -> Response:
        prompt = tuple(message.message() for message in body.messages)
        exchange = switchboard.connect(body.model, [body.choices(prompt)])
        form_for = partial(ChatForm, num_choices=body.num_choices, includes_usage=body.includes_usage)
        return await answer(request, exchange, form_for, bool(body.stream))

    return router


def _choice(choice: Choice, finish: Finish | None = None, **said: Any) -> Chunk:
    return {"index": choice.index, **said, "logprobs": chat_logprobs(choice.take_logprobs()), "finish_reason": finish}
