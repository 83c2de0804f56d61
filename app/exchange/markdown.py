"""A chat for people to read: what is shown of it, as Markdown."""

from collections.abc import Iterator, Sequence

from app.conversation import Chat, Role, Turn

WRITERS = {Role.USER: "You", Role.ASSISTANT: "Assistant", Role.SYSTEM: "System"}


def to_markdown(chat: Chat) -> str:
    return turns_to_markdown(chat.path(), chat.title or "Chat")


def turns_to_markdown(turns: Sequence[Turn], title: str) -> str:
    heading = " ".join(title.split())
    return "\n\n".join([f"# {heading}", *(part for turn in turns for part in _parts(turn))]) + "\n"


def _parts(turn: Turn) -> Iterator[str]:
    yield f"## {WRITERS[turn.role]}{f' ({turn.model})' if turn.model else ''}"
    if turn.reasoning:
        quoted = "\n".join(f"> {line}".rstrip() for line in turn.reasoning.strip().splitlines())
        yield f"> *Reasoning*\n>\n{quoted}"
    if turn.text.strip():
        yield turn.text.strip("\n")
    if turn.problem:
        yield f"*{turn.problem}*"
