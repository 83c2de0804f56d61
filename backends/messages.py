"""What a chat consists of. Dataclasses only; knows no engine, no template and no dialect of the port."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that a model may call. parameters: its JSON schema, as text."""

    name: str
    description: str = ""
    parameters: str = "{}"
    strict: bool = False  # True: arguments that do not match the schema must be impossible


@dataclass(frozen=True, slots=True)
class ToolCall:
    """arguments: JSON text, as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Message:
    role: str
    content: str
    tool_calls: tuple[ToolCall, ...] = ()  # of an assistant's turn
    tool_call_id: str | None = None  # of a tool's turn: the call that it answers
    name: str | None = None  # who speaks; in a tool's turn, the function
    reasoning: str | None = None  # what an assistant thought before its answer
