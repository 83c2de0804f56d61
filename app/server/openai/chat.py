"""POST /v1/chat/completions, as OpenAI's clients know it."""

from dataclasses import replace
from functools import cached_property, partial
from typing import Any, Literal, Self

from fastapi import APIRouter, Request
from pydantic import AliasChoices, ConfigDict, Field, model_validator
from starlette.responses import Response

from app.server.core.answer import Asked, answer, streamed
from app.server.core.choice import Choice, first_call_only
from app.server.core.conditions import both, needs
from app.server.core.fields import MAX_INT, Refused, Whole, not_supported
from app.server.core.grammar import HOLDERS
from app.server.core.reading import read
from app.server.core.switchboard import Switchboard
from app.server.core.text_fields import MAX_ALTERNATIVES, Prompt, TextFields
from app.server.core.tools import MAX_OPTIONS, MAX_TOOLS, NO_CALL, Effort, check_choice, check_held, thinking
from app.server.openai.fields import IGNORED, REFUSED
from app.server.openai.logprobs import chat_logprobs
from app.server.openai.messages import ChatMessage, messages
from app.server.openai.tools import Choice as ToolChoiceField
from app.server.openai.tools import Function, Object, OfferedTool
from app.server.openai.words import OpenAIWords, encode, quoted
from backends.protocol import (
    AS_IT_LIKES,
    Arguments,
    CallBegun,
    CallBroken,
    Finish,
    Generate,
    Markup,
    Output,
    Part,
    Reads,
    Text,
    Thought,
    Tool,
    ToolCall,
    ToolChoice,
)

MAX_MESSAGES = 10_000


SOME: dict[str, Any] = {"type": "array", "minItems": 1}
CONDITIONS = both(
    needs("top_logprobs", {"logprobs": {"const": True}}),
    needs("tool_choice", {"tools": SOME, "functions": SOME}, {"enum": list(NO_CALL)}),
)


class ChatRequest(TextFields):
    model_config = ConfigDict(json_schema_extra=CONDITIONS)

    ignored = IGNORED | {"prediction"}  # it would only make the answer come sooner
    refused = REFUSED | {
        "echo": Refused("the chat is not repeated", (False,)),
        "audio": Refused("answers are texts; there is no speech"),
        "modalities": Refused("answers are texts", (["text"],)),
        "moderation": Refused("there is no moderation"),
        "parse_tool_calls": Refused("calls are told apart from text", (True,)),
        "verbosity": Refused("say in a message how long the answer may be", ("medium",)),
        "web_search_options": Refused("nothing is looked up on the web"),
    }

    asked_by = TextFields.asked_by | {
        "grammar": (*HOLDERS, "tools", "functions"),
        "logprobs": ("top_logprobs", "logprobs"),
        "prompt": ("messages",),
    }

    messages: list[ChatMessage] = Field(min_length=1, max_length=MAX_MESSAGES, fail_fast=True)
    logprobs: bool | None = None
    top_logprobs: Whole | None = Field(None, ge=0, le=MAX_ALTERNATIVES)
    tools: list[OfferedTool] | None = Field(None, max_length=MAX_TOOLS)
    tool_choice: ToolChoiceField | None = None
    parallel_tool_calls: bool | None = None
    functions: list[Function] | None = Field(
        None, max_length=MAX_TOOLS, description="what tools were before several could be called"
    )
    function_call: ToolChoiceField | None = None
    reasoning_effort: Effort | None = Field(None, description="none: the model answers without thinking")
    reasoning_budget_tokens: Whole | None = Field(
        None,
        ge=-1,
        le=MAX_INT,
        validation_alias=AliasChoices("reasoning_budget_tokens", "thinking_budget_tokens"),
        description="after so many tokens of thoughts the answer begins; -1: no limit",
    )
    reasoning_format: Literal["none", "auto", "deepseek"] | None = Field(
        None, description="none: thoughts stay in the content"
    )
    chat_template_kwargs: Object | None = Field(
        None, max_length=MAX_OPTIONS, description="what the model's template asks for, such as enable_thinking"
    )
    continue_final_message: bool | None = Field(
        None, description="go on with the last message, the assistant's; the default where it is that"
    )
    add_generation_prompt: bool | None = Field(
        None, description="true: a new turn of the assistant, also after one; false: as continue_final_message"
    )

    verbose: bool | None = Field(
        None, description="true: the prompt as the template has written it is told in __verbose, as llama-server does"
    )

    @model_validator(mode="after")
    def _alternatives_need_logprobs(self) -> Self:
        if self.top_logprobs is not None and not self.logprobs:
            raise not_supported("it needs logprobs to be true", "top_logprobs")
        return self

    @model_validator(mode="after")
    def _calls_can_be_made(self) -> Self:
        if self.tools and self.functions:
            raise not_supported("they are what tools were before: offer all of them as tools", "functions")
        check_choice(self.choice, self.offered, "function_call" if self.functions else "tool_choice")
        check_held(self.wanted_grammar(), self.may_call, "tools" if self.tools else "functions")
        if self.may_call and self.reasoning_format == "none":
            raise not_supported("thoughts are told apart where tools may be called", "reasoning_format")
        return self

    @model_validator(mode="after")
    def _only_a_turn_of_the_assistant_goes_on(self) -> Self:
        if self.continue_final_message and self.add_generation_prompt:
            reason = "continue_final_message is true, and the two cannot both be"
            raise not_supported(reason, "add_generation_prompt")
        wants_to_go_on = self.continue_final_message or self.add_generation_prompt is False
        if wants_to_go_on and self.messages[-1].role != "assistant":
            field = "continue_final_message" if self.continue_final_message else "add_generation_prompt"
            raise not_supported("to go on with the last message, it must be the assistant's", field)
        if self.continues and [each.role for each in self.messages[-2:]] == ["assistant", "assistant"]:
            reason = (
                "two turns of the assistant in a row cannot be gone on with: join them, or set add_generation_prompt "
                "to true for a new turn"
            )
            raise not_supported(reason, "messages")
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

    @cached_property  # written out once: with many tools it holds up the port's loop
    def offered(self) -> tuple[Tool, ...]:
        functions = [each.function for each in self.tools or ()] or self.functions or []
        return tuple(function.tool() for function in functions)

    @property
    def choice(self) -> ToolChoice:
        if self.functions:
            return replace(self.function_call or AS_IT_LIKES, is_parallel=False)
        return replace(self.tool_choice or AS_IT_LIKES, is_parallel=self.parallel_tool_calls is not False)

    @property
    def may_call(self) -> bool:
        return bool(self.choice.among(self.offered))

    @property
    def is_parsed(self) -> bool:
        """What a grammar holds is all answer, even where the template has begun with thoughts; but beside tools."""
        return self.may_call or not (self.reasoning_format == "none" or self.wanted_grammar())

    def asked(self, shown_prompt: str | None = None, begins_with_null: bool = False) -> Asked:
        """shown_prompt: where `verbose` asks for it. begins_with_null: a stream, as llama-server's does."""
        words = partial(
            ChatWords,
            num_choices=self.num_choices,
            includes_usage=self.includes_usage,
            tells_progress=bool(self.return_progress),
            times_tokens=bool(self.timings_per_token),
            has_functions=bool(self.functions),
            takes_one=not self.choice.is_parallel,
            shown_prompt=shown_prompt,
            begins_with_null=begins_with_null,
        )
        return Asked(self.model, [self.choices(messages(self.messages))], words, bool(self.stream), self.name_of)

    def generate(self, prompt: Prompt) -> Generate:
        return replace(
            super().generate(prompt),
            continues=self.continues,
            tools=self.offered,
            tool_choice=self.choice,
            max_thoughts=self.max_thoughts,
            template_options=tuple((thinking(self.reasoning_effort) | (self.chat_template_kwargs or {})).items()),
            is_parsed=self.is_parsed,
        )

    @property
    def max_thoughts(self) -> int | None:
        """Of none there is one: a limit is held at a token, and the next ends them."""
        budget = self.reasoning_budget_tokens
        return None if budget is None or budget < 0 else max(1, budget)

    @property
    def num_alternatives(self) -> int | None:
        return (self.top_logprobs or 0) if self.logprobs else None


class ChatWords(OpenAIWords):
    prefix, kind, chunk_kind = "chatcmpl", "chat.completion", "chat.completion.chunk"

    def __init__(
        self,
        *arguments: Any,
        has_functions: bool = False,
        takes_one: bool = False,
        begins_with_null: bool = False,
        **named: Any,
    ):
        """has_functions: tools were offered under their old name, and a call is told under that, too. takes_one: calls
        behind the first are not told. begins_with_null: the first content of a stream, also before a text."""
        super().__init__(*arguments, **named)
        self._begins_with_null = begins_with_null
        self._takes_one = takes_one
        self._has_functions = has_functions
        self._begun: set[int] = set()  # choices of which something was said

    def add(self, index: int, output: Output) -> None:
        super().add(index, first_call_only(output) if self._takes_one and output.parts else output)

    def go_on(self, index: int, output: Output) -> bytes:
        return super().go_on(index, first_call_only(output) if self._takes_one and output.parts else output)

    def pieces(self, choice: Choice, output: Output) -> list[str]:
        """As with OpenAI, whose turn it is comes first, with a content of "" if a text follows, else null: programs
        that join `delta.get("content", "")` rely on it. llama-server says null always."""
        if not output.parts:
            pieces, is_text = super().pieces(choice, output), True
        else:
            pieces = [piece for part in output.parts if (piece := self._piece(choice, part))]
            is_text = not isinstance(output.parts[0], Thought | CallBegun | Markup)
        if choice.index in self._begun or not (pieces or output.finish):
            return pieces
        self._begun.add(choice.index)
        content = "" if is_text and not self._begins_with_null else None
        return [_bare_choice(choice, {"role": "assistant", "content": content, "refusal": None}), *pieces]

    def _piece(self, choice: Choice, part: Part) -> str:
        match part:
            case Text() | CallBroken():
                return self.text_choice(choice, part.text) if part.text else ""
            case Thought():
                return encode(_choice(choice, delta=_thought(part.text)))
            case CallBegun():
                function = {"name": part.name, "arguments": ""}
                return self._call_piece(choice, {"index": part.index, "id": part.id, "type": "function"}, function)
            case Arguments():
                return self._call_piece(choice, {"index": part.index}, {"arguments": part.text})
        return ""

    def _call_piece(self, choice: Choice, call: dict[str, Any], function: dict[str, str]) -> str:
        if self._has_functions:
            return encode(_choice(choice, delta={"function_call": function}))
        return encode(_choice(choice, delta={"tool_calls": [{**call, "function": function}]}))

    def _finish(self, choice: Choice) -> str | None:
        if choice.has_called and choice.finish is Finish.STOP:
            return "function_call" if self._has_functions else "tool_calls"
        return choice.finish

    def text_choice(self, choice: Choice, said: str) -> str:
        if choice.logprobs:
            return encode(_choice(choice, delta={"content": said}))
        return f'{{"index":{choice.index},"delta":{{"content":{quoted(said)}}},"logprobs":null,"finish_reason":null}}'

    def final_choice(self, choice: Choice) -> dict[str, Any]:
        return _choice(choice, self._finish(choice), delta={})

    def whole_choice(self, choice: Choice) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": choice.text, "refusal": None, "annotations": []}
        if choice.thoughts:
            message |= _thought(choice.thought)
        calls = [called.whole for called in choice.calls.values()]
        if calls:
            message["content"] = choice.text or None  # as with OpenAI
            message |= self._calls(calls)
        return _choice(choice, self._finish(choice), message=message)

    def _calls(self, calls: list[ToolCall]) -> dict[str, Any]:
        functions = [{"name": call.name, "arguments": call.arguments} for call in calls]
        if self._has_functions:
            return {"function_call": functions[0]}
        several = zip(calls, functions, strict=True)
        return {"tool_calls": [{"id": call.id, "type": "function", "function": each} for call, each in several]}


def chat_router(switchboard: Switchboard) -> APIRouter:
    router = APIRouter()

    @router.post("/v1/chat/completions", responses=streamed("text/event-stream"))
    async def create_chat_completion(body: ChatRequest, request: Request) -> Response:
        return await answer(request, switchboard, body.asked(await shown_prompt(body, request)))

    @router.post("/chat/completions", include_in_schema=False)  # llama-server's own
    async def create_as_llama_server(body: ChatRequest, request: Request) -> Response:
        asked = body.asked(await shown_prompt(body, request), begins_with_null=True)
        return await answer(request, switchboard, asked)

    async def shown_prompt(body: ChatRequest, request: Request) -> str | None:
        if not body.verbose:
            return None
        wanted = replace(body.generate(messages(body.messages)), reads=Reads.PROMPT)
        return (await read(request, switchboard, body.model, wanted, body.name_of)).text

    return router


def _bare_choice(choice: Choice, delta: dict[str, Any]) -> str:
    """Logprobs are left to what follows."""
    return encode({"index": choice.index, "delta": delta, "logprobs": None, "finish_reason": None})


def _thought(text: str) -> dict[str, str]:
    """Under both names by which programs look for it."""
    return {"reasoning_content": text, "reasoning": text}


def _choice(choice: Choice, finish: str | None = None, **said: Any) -> dict[str, Any]:
    return {"index": choice.index, **said, "logprobs": chat_logprobs(choice.take_logprobs()), "finish_reason": finish}
