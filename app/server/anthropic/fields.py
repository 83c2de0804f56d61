"""The fields of Anthropic's routes, and how they become a Generate."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from app.server.anthropic.messages import ChatMessage, Content, texts
from app.server.core.fields import MAX_INT, Fields, Refused, Whole, text
from app.server.core.sampling import SamplingFields
from app.server.core.text_fields import MAX_MODEL, MAX_STOP_LENGTH, MAX_STOPS, MAX_TOKENS
from backends.protocol import Generate, Message, Reads

MAX_MESSAGES = 10_000
NO_TOOLS = "tools are not there yet"

Stop = Annotated[str, Field(max_length=MAX_STOP_LENGTH), AfterValidator(text)]


class ChatFields(Fields):
    """Those that say what is read, which counting has too."""

    ignored = frozenset({"cache_control", "speed", "user_profile_id", "workspace_id"})
    refused = {  # noqa: RUF012
        "context_management": Refused("the chat is read as it is sent"),
        "mcp_servers": Refused("no other computer is asked", ([],)),
        "output_config": Refused("how hard a model thinks, and a format of its answer, cannot be chosen yet", ({},)),
        "output_format": Refused("a format of the answer cannot be chosen yet"),
        "thinking": Refused("how long a model thinks cannot be chosen yet", ({"type": "disabled"},)),
        "tool_choice": Refused(NO_TOOLS, ({"type": "auto"}, {"type": "none"})),
        "tools": Refused(NO_TOOLS, ([],)),
    }

    model: Annotated[str, AfterValidator(text), Field(max_length=MAX_MODEL)]
    messages: list[ChatMessage] = Field(min_length=1, max_length=MAX_MESSAGES)
    system: Content | None = None

    def prompt(self) -> tuple[Message, ...]:
        system = [Message("system", texts(self.system))] if self.system else []
        return (*system, *(message for turn in self.messages for message in turn.messages()))

    @property
    def continues(self) -> bool:
        """An assistant's turn at the end is the beginning of the answer."""
        last = self.messages[-1]
        return last.role == "assistant" and bool(texts(last.content))


class CountRequest(ChatFields):
    def wanted(self) -> Generate:
        return Generate(self.prompt(), continues=self.continues, reads=Reads.PROMPT)


class MessagesRequest(ChatFields, SamplingFields):
    ignored = ChatFields.ignored | {"diagnostics", "inference_geo", "metadata", "service_tier"}
    refused = ChatFields.refused | {"container": Refused("no code is run here")}

    max_tokens: Whole = Field(ge=0, le=MAX_INT)
    stop_sequences: list[Stop] | None = Field(None, max_length=MAX_STOPS)
    stream: bool | None = None

    def generate(self) -> Generate:
        stop: tuple[Any, ...] = tuple(each for each in self.stop_sequences or () if each)
        return Generate(
            self.prompt(),
            sampling=self.sampling(),
            max_tokens=min(self.max_tokens, MAX_TOKENS),
            stop=stop,
            continues=self.continues,
        )
