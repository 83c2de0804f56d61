"""Open WebUI's export: a list of chats, each with a mapping of messages that name their parents.

https://github.com/open-webui/open-webui: backend/open_webui/models/chats.py; thoughts stand in the text as HTML.
"""

import html
import re
from collections.abc import Mapping
from typing import Any

from app.conversation import Chat, Role, Turn
from app.exchange.fields import items, mapping, name, text, texts, when
from app.exchange.linking import Linked, Node, in_a_row, link

ROLES = {"user": Role.USER, "assistant": Role.ASSISTANT}
BEGIN, SUMMARY, END = '<details type="reasoning"', "</summary>", "</details>"
QUOTE = re.compile(r"^> ?", re.MULTILINE)


def is_open_webui(document: Any) -> bool:
    chat = _chat(mapping(document))
    return isinstance(mapping(chat.get("history")).get("messages"), dict) or (
        "models" in chat and isinstance(chat.get("messages"), list)
    )


def from_open_webui(document: Any) -> Chat:
    document = mapping(document)
    chat = _chat(document)
    linked = _linked(chat)
    moments = (document.get("updated_at"), document.get("timestamp"), chat.get("timestamp"))
    title = name(document.get("title")) or name(chat.get("title")) or ""
    updated = next(filter(None, map(when, moments)), 0.0)
    return Chat(title, linked.turns, linked.chosen, updated, is_pinned=document.get("pinned") is True)


def _chat(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Within its record, or alone."""
    return mapping(document.get("chat")) or document


def _linked(chat: Mapping[str, Any]) -> Linked:
    history = mapping(chat.get("history"))
    messages = mapping(history.get("messages"))
    if not messages:  # as early versions wrote it
        turns = (_turn(mapping(message)) for message in items(chat.get("messages")))
        return in_a_row([turn for turn in turns if turn])
    nodes = {
        key: Node(text(mapping(message).get("parentId")) or None, _turn(mapping(message)))
        for key, message in messages.items()
    }
    return link(nodes, text(history.get("currentId")) or None)


def _turn(message: Mapping[str, Any]) -> Turn | None:
    role, content = ROLES.get(text(message.get("role"))), message.get("content")
    said = "\n\n".join(filter(None, texts(content))) if isinstance(content, list) else text(content)
    if role is None or not said.strip():
        return None
    answer, reasoning = _without_thoughts(said) if role is Role.ASSISTANT else (said, None)
    model = name(message.get("model")) if role is Role.ASSISTANT else None
    return Turn(0, role, answer, when(message.get("timestamp")), model, reasoning=reasoning)


def _without_thoughts(said: str) -> tuple[str, str | None]:
    """The answer, and what was thought; of several thoughts all."""
    answer, thoughts, at = [], [], 0
    while (begin := said.find(BEGIN, at)) >= 0 and (end := said.find(END, begin)) >= 0:
        answer.append(said[at:begin])
        inner = said[begin:end]
        thought = inner.split(SUMMARY, 1)[-1].strip()
        if thought.startswith("&gt;"):  # newer versions write it as HTML
            thought = html.unescape(thought)
        thoughts.append(QUOTE.sub("", thought).strip())
        at = end + len(END)
    answer.append(said[at:])
    return "".join(answer).strip(), "\n\n".join(filter(None, thoughts)) or None
