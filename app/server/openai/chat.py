"""POST /v1/chat/completions, as OpenAI's clients know it."""

from dataclasses import replace
from functools import partial
from typing import Any, Self

from fastapi import APIRouter, Request
from pydantic import Field, model_validator
from starlette.responses import Response

from app.server.core.answer import Asked, answer
from app.server.core.choice import Choice
from app.server.core.fields import Refused, Whole
from app.server.core.switchboard import Switchboard
from app.server.core.text_fields import MAX_ALTERNATIVES, Prompt, TextFields
from app.server.openai.fields import IGNORED, REFUSED
from app.server.openai.logprobs import chat_logprobs
from app.server.openai.messages import ChatMessage, messages
from app.server.openai.words import OpenAIWords, encode, quoted
from backends.protocol import Finish, Generate

MAX_MESSAGES = 10_000


class ChatRequest(TextFields):
    ignored = IGNORED | {"prediction"}  # it would only make the answer come sooner
    refused = REFUSED | {
        "audio": Refused("answers are texts; there is no speech"),
        "function_call": Refused("tools are not there yet", ("none", "auto")),
        "functions": Refused("tools are not there yet", ([],)),
        "modalities": Refused("answers are texts", (["text"],)),
        "moderation": Refused("there is no moderation"),
        "parallel_tool_calls": Refused("tools are not there yet", (True, False)),
        "reasoning_effort": Refused("how long a model thinks cannot be chosen yet"),
        "tool_choice": Refused("tools are not there yet", ("none", "auto")),
        "tools": Refused("tools are not there yet", ([],)),
        "verbosity": Refused("say in a message how long the answer may be", ("medium",)),
        "web_search_options": Refused("nothing is looked up on the web"),
    }

    messages: list[ChatMessage] = Field(min_length=1, max_length=MAX_MESSAGES)
    logprobs: bool | None = None
    top_logprobs: Whole | None = Field(None, ge=0, le=MAX_ALTERNATIVES)
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

    def asked(self) -> Asked:
        words = partial(ChatWords, num_choices=self.num_choices, includes_usage=self.includes_usage)
        return Asked(self.model, [self.choices(messages(self.messages))], words, bool(self.stream))

    def generate(self, prompt: Prompt) -> Generate:
        return replace(super().generate(prompt), continues=self.continues)

    @property
    def num_alternatives(self) -> int | None:
        return (self.top_logprobs or 0) if self.logprobs else None


class ChatWords(OpenAIWords):
    prefix, kind, chunk_kind = "chatcmpl", "chat.completion", "chat.completion.chunk"

    def begin(self) -> bytes:
        first = {"role": "assistant", "content": "", "refusal": None}
        return "".join(self._chunk(encode(_choice(choice, delta=first))) for choice in self.choices).encode()

    def text_choice(self, choice: Choice, said: str) -> str:
        if choice.logprobs:
            return encode(_choice(choice, delta={"content": said}))
        delta = f'{{"content":{quoted(said)}}}'
        return f'{{"index":{choice.index},"delta":{delta},"logprobs":null,"finish_reason":null}}'

    def final_choice(self, choice: Choice) -> dict[str, Any]:
        return _choice(choice, choice.finish, delta={})

    def whole_choice(self, choice: Choice) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": choice.text, "refusal": None, "annotations": []}
        return _choice(choice, choice.finish, message=message)


def chat_router(switchboard: Switchboard) -> APIRouter:
    router = APIRouter()

    @router.post("/chat/completions", include_in_schema=False)  # as with llama-server
    @router.post("/v1/chat/completions")
    async def create_chat_completion(body: ChatRequest, request: Request) -> Response:
        return await answer(request, switchboard, body.asked())

    return router


def _choice(choice: Choice, finish: Finish | None = None, **said: Any) -> dict[str, Any]:
    return {"index": choice.index, **said, "logprobs": chat_logprobs(choice.take_logprobs()), "finish_reason": finish}
