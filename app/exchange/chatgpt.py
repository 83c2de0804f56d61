"""ChatGPT's export: conversations.json, a list of conversations, each a mapping of nodes that name their parents.

Its format is told nowhere by OpenAI; this follows exports of 2023 to 2026.
"""

from collections.abc import Mapping
from typing import Any

from app.conversation import Chat, Role, Turn
from app.exchange.fields import items, mapping, name, number, text, texts, when
from app.exchange.linking import Node, link

ROLES = {"user": Role.USER, "assistant": Role.ASSISTANT}
UNSEEN = {"user_editable_context", "model_editable_context", "reasoning_recap"}  # kinds of content that nobody sees


def is_chatgpt(document: Any) -> bool:
    return isinstance(mapping(document).get("mapping"), dict)


def from_chatgpt(document: Any) -> Chat:
    document = mapping(document)
    nodes = {key: _node(mapping(value)) for key, value in mapping(document["mapping"]).items()}
    linked = link(nodes, text(document.get("current_node")) or None)
    updated = when(document.get("update_time")) or when(document.get("create_time"))
    return Chat(name(document.get("title")) or "", linked.turns, linked.chosen, updated)


def _node(value: Mapping[str, Any]) -> Node:
    parent = text(value.get("parent")) or None
    message = mapping(value.get("message"))
    content, metadata = mapping(message.get("content")), mapping(message.get("metadata"))
    kind, role = text(content.get("content_type")), text(mapping(message.get("author")).get("role"))
    if kind == "thoughts":
        return Node(parent, reasoning=_thoughts(content))
    is_hidden = bool(metadata.get("is_visually_hidden_from_conversation")) or number(message.get("weight")) == 0
    said = _said(kind, content)
    if role not in ROLES or is_hidden or kind in UNSEEN or not said.strip():
        return Node(parent)
    is_stopped = text(mapping(metadata.get("finish_details")).get("type")) == "interrupted"
    turn = Turn(
        0, ROLES[role], said, when(message.get("create_time")), name(metadata.get("model_slug")), stopped=is_stopped
    )
    return Node(parent, turn)


def _said(kind: str, content: Mapping[str, Any]) -> str:
    if kind == "code":
        language = text(content.get("language"))
        return (
            f"```{language if language.isalnum() and language != 'unknown' else ''}\n{text(content.get('text'))}\n```"
        )
    return "\n\n".join(filter(None, texts(content.get("parts")))) or text(content.get("text"))


def _thoughts(content: Mapping[str, Any]) -> str:
    thoughts = map(mapping, items(content.get("thoughts")))
    return "\n\n".join(filter(None, (text(each.get("content")) or text(each.get("summary")) for each in thoughts)))
