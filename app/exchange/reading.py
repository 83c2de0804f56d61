"""Chats from a file that another program, or Slipstream, has written: which one is told by what stands in it."""

import json
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.conversation import Chat, title_from
from app.errors import ChatFileError
from app.exchange.chatgpt import from_chatgpt, is_chatgpt
from app.exchange.fields import items
from app.exchange.lm_studio import from_lm_studio, is_lm_studio
from app.exchange.open_webui import from_open_webui, is_open_webui
from app.exchange.own import from_own, is_own
from app.whole_file import reason
from backends.regular_file import TooLargeError, check_regular, read_regular

MAX_FILE = 256 << 20  # bytes
MAX_CHATS = 20_000  # of one file
MAX_TURNS = 500_000
MEMBER = "conversations"  # how the name of those parts of ChatGPT's archive begins that hold chats
MAX_MEMBERS = 100
READABLE = (
    "Files of Slipstream, ChatGPT (conversations.json, or the whole archive), LM Studio and Open WebUI can be read."
)
DAMAGES = (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError, zlib.error)  # of an archive
KINDS: tuple[tuple[str, Callable[[Any], bool], Callable[[Any], Chat]], ...] = (
    ("ChatGPT", is_chatgpt, from_chatgpt),
    ("LM Studio", is_lm_studio, from_lm_studio),
    ("Open WebUI", is_open_webui, from_open_webui),
)


@dataclass(frozen=True, slots=True)
class Read:
    """num_empty: chats in which nothing was said that can be shown; they are left out."""

    source: str
    chats: tuple[Chat, ...]
    num_empty: int


def read_chats(path: Path) -> Read:
    """Raises ChatFileError."""
    documents = [_parsed(content, path) for content in _contents(path)]
    sources, chats = set(), []
    for document in documents:
        for source, chat in _chats(document):
            sources.add(source)
            chats.append(chat)
            if len(chats) > MAX_CHATS:
                raise ChatFileError(f"{path.name} holds more than {MAX_CHATS:,} chats. Split it, and import the parts.")
    if not chats:
        raise ChatFileError(f"{path.name} holds no chats that Slipstream knows. {READABLE}")
    said = [_titled(chat) for chat in chats if chat.turns]
    if sum(len(chat.turns) for chat in said) > MAX_TURNS:
        raise ChatFileError(f"{path.name} holds more than {MAX_TURNS:,} messages. Split it, and import the parts.")
    return Read(" and ".join(sorted(sources)), tuple(said), len(chats) - len(said))


def _chats(document: Any) -> Iterator[tuple[str, Chat]]:
    """With the program that has written them; nothing of what is none."""
    if is_own(document):
        yield from (("Slipstream", chat) for chat in from_own(document))
        return
    for item in items(document) or [document]:
        for source, is_its, chat_from in KINDS:
            if is_its(item):
                yield source, chat_from(item)
                break


def _titled(chat: Chat) -> Chat:
    if chat.title:
        return chat
    first = chat.path()[0]
    return Chat(title_from(first.text), chat.turns, chat.chosen, chat.updated, chat.folder, chat.is_pinned)


def _contents(path: Path) -> list[bytes]:
    try:
        check_regular(path)
        if zipfile.is_zipfile(path):
            return list(_members(path))
        return [read_regular(path, MAX_FILE)]
    except TooLargeError as error:
        raise _too_large(path) from error
    except (OSError, *DAMAGES) as error:
        why = reason(error) if isinstance(error, OSError) else "the archive is damaged"
        raise ChatFileError(f"{path.name} cannot be read: {why}.") from error


def _members(path: Path) -> Iterator[bytes]:
    """What it says to hold may be less than what it holds: it is read as far as the bound."""
    left = MAX_FILE
    with zipfile.ZipFile(path) as archive:
        names = [each for each in archive.namelist() if _is_member(each)][:MAX_MEMBERS]
        for each in sorted(names):
            with archive.open(each) as member:
                content = member.read(left + 1)
            left -= len(content)
            if left < 0:
                raise _too_large(path)
            yield content
    if not names:
        raise ChatFileError(f"{path.name} is an archive without {MEMBER}.json. {READABLE}")


def _is_member(name: str) -> bool:
    last = name.rsplit("/", 1)[-1]
    return last.startswith(MEMBER) and last.endswith(".json")


def _too_large(path: Path) -> ChatFileError:
    return ChatFileError(f"{path.name} is larger than {MAX_FILE >> 20} MiB. Split it, and import the parts.")


def _parsed(content: bytes, path: Path) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ChatFileError(f"{path.name} is not JSON, or is damaged. {READABLE}") from error
