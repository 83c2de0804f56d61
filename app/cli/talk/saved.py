"""A conversation in a file: JSON with the messages of OpenAI's shape, for its owner's eyes alone."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.errors import SettingsError
from app.whole_file import reason, replace_file
from backends.ownership.files import is_regular
from backends.protocol import Message
from backends.regular_file import read_regular

MAX_BYTES = 64 << 20
MAX_MESSAGES = 100_000
SYSTEM = "system"
ROLES = ("user", "assistant")


def save_chat(path: Path, system: str, messages: Sequence[Message]) -> None:
    """Whole or not at all; only a chat that was saved before is replaced. Raises SettingsError."""
    if path.exists() and not _is_chat(path):
        raise SettingsError(f"{path} is there already and is no saved chat. Name another file.")
    head = [Message(SYSTEM, system)] if system else []
    document = {"messages": [{"role": each.role, "content": each.content} for each in (*head, *messages)]}
    try:
        replace_file(path, json.dumps(document, ensure_ascii=False, indent=2).encode("utf-8", "replace"))
    except OSError as fault:
        raise SettingsError(f"{path} cannot be written: {reason(fault)}. Name another file.") from fault


def load_chat(path: Path) -> tuple[str, list[Message]]:
    """The system message and the others. Raises SettingsError."""
    try:
        document = json.loads(read_regular(path, MAX_BYTES))
        messages = [_message(each) for each in document["messages"][:MAX_MESSAGES]]
    except OSError as fault:
        raise SettingsError(f"{path} cannot be read: {reason(fault)}. Name another file.") from fault
    except (ValueError, TypeError, KeyError, RecursionError):
        raise SettingsError(f"{path} is no saved chat: JSON with “messages” is expected. Name another file.") from None
    system = "\n".join(each.content for each in messages if each.role == SYSTEM)
    return system, [each for each in messages if each.role != SYSTEM]


def _message(value: Any) -> Message:
    role, content = value["role"], value["content"]
    if role not in (SYSTEM, *ROLES) or not isinstance(content, str):
        raise ValueError(role)
    content.encode()  # UnicodeEncodeError is a ValueError
    return Message(role, content)


def _is_chat(path: Path) -> bool:
    if not is_regular(path):
        return False
    try:
        load_chat(path)
    except SettingsError:
        return False
    return True
