"""Slipstream's own file of chats: JSON with all branches, and how each answer was made.

{"format": "slipstream-chats", "version": 1, "chats": [{"title", "updated", "folder", "pinned",
"chosen": [[turn or null, child]…], "turns": [{"id", "parent", "role", "text", "created", …}]}]}
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from app.conversation import Chat, Role, Turn
from app.exact_json import exact_json
from app.exchange.fields import items, mapping, name, text, when
from app.history_rows import row_of, sampling_from, steps_from, timings_from

FORMAT, VERSION = "slipstream-chats", 1
ROLES = {role.value: role for role in Role}
MADE = ("timings", "sampling", "steps")


def to_json(chats: Sequence[Chat]) -> str:
    return exact_json({"format": FORMAT, "version": VERSION, "chats": [_document(chat) for chat in chats]})


def is_own(document: Any) -> bool:
    return mapping(document).get("format") == FORMAT


def from_own(document: Any) -> list[Chat]:
    """Of a later version, what this one understands."""
    return [_chat(mapping(chat)) for chat in items(mapping(document).get("chats"))]


def _document(chat: Chat) -> dict[str, Any]:
    return {
        "title": chat.title,
        "updated": chat.updated,
        "folder": chat.folder,
        "pinned": chat.is_pinned,
        "chosen": sorted(chat.chosen.items(), key=lambda choice: choice[1]),
        "turns": [_turn_document(turn) for turn in chat.turns],
    }


def _turn_document(turn: Turn) -> dict[str, Any]:
    row = {"id": turn.id, "parent": turn.parent, **row_of(turn)}
    row |= {key: json.loads(row[key]) for key in MADE if row[key]}
    return {key: value for key, value in row.items() if value is not None and value is not False}


def _chat(document: Mapping[str, Any]) -> Chat:
    turns = {turn.id: turn for turn in map(_turn, map(mapping, items(document.get("turns")))) if turn}
    pairs = (pair for pair in items(document.get("chosen")) if isinstance(pair, list) and len(pair) == 2)
    chosen = {turn: child for turn, child in pairs if (turn is None or type(turn) is int) and type(child) is int}
    return Chat(
        name(document.get("title")) or "",
        tuple(turns[number] for number in sorted(turns)),
        chosen,
        when(document.get("updated")),
        name(document.get("folder")),
        document.get("pinned") is True,
    )


def _turn(document: Mapping[str, Any]) -> Turn | None:
    number, parent, role = document.get("id"), document.get("parent"), ROLES.get(text(document.get("role")))
    if type(number) is not int or role is None or not isinstance(document.get("text"), str):
        return None
    return Turn(
        number,
        role,
        text(document["text"]),
        when(document.get("created")),
        name(document.get("model")),
        timings_from(document.get("timings")),
        document.get("stopped") is True,
        name(document.get("problem")),
        parent if type(parent) is int else None,
        text(document.get("reasoning")) or None,
        sampling_from(document.get("sampling")),
        document.get("edited") is True,
        steps_from(document.get("steps")),
    )
