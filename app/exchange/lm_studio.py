"""LM Studio's chats, as they lie in its folder: <milliseconds>.conversation.json. Told nowhere; seen in 0.3 and 0.4.

A row of messages, each with its versions, of which one is shown; what follows follows the version that is shown.
"""

from collections.abc import Mapping
from typing import Any

from app.conversation import Chat, Role, Turn
from app.exchange.fields import count, items, mapping, name, number, text, when
from app.exchange.linking import Node, link
from backends.protocol import Timings

ROLES = {"user": Role.USER, "assistant": Role.ASSISTANT}


def is_lm_studio(document: Any) -> bool:
    return any("versions" in mapping(message) for message in items(mapping(document).get("messages")))


def from_lm_studio(document: Any) -> Chat:
    document = mapping(document)
    nodes: dict[str, Node] = {}
    shown: str | None = None
    for number_, message in enumerate(map(mapping, items(document["messages"]))):
        versions = list(map(mapping, items(message.get("versions"))))
        selected = min(count(message.get("currentlySelected")), len(versions) - 1)
        keys = [f"{number_}.{version}" for version in range(len(versions))]
        nodes |= {key: Node(shown, _turn(version)) for key, version in zip(keys, versions, strict=True)}
        shown = keys[selected] if keys else shown
    linked = link(nodes, shown)
    moments = [document.get(key) for key in ("assistantLastMessagedAt", "userLastMessagedAt", "createdAt")]
    title, pinned = name(document.get("name")) or "", document.get("pinned") is True
    return Chat(title, linked.turns, linked.chosen, max(map(when, moments)), is_pinned=pinned)


def _turn(version: Mapping[str, Any]) -> Turn | None:
    role = ROLES.get(text(version.get("role")))
    if role is None:
        return None
    steps = [step for step in map(mapping, items(version.get("steps"))) if step.get("type") == "contentBlock"]
    blocks = steps or [version]
    thoughts = [block for block in blocks if text(mapping(block.get("style")).get("type")) == "thinking"]
    said = "\n\n".join(filter(None, (_said(block) for block in blocks if block not in thoughts)))
    reasoning = "\n\n".join(filter(None, map(_said, thoughts)))
    if not said.strip() and not reasoning.strip():
        return None
    made = [info for info in (mapping(block.get("genInfo")) for block in blocks) if info]
    stats = mapping(made[-1].get("stats")) if made else {}
    model = name(made[-1].get("identifier")) if made else None
    return Turn(
        0,
        role,
        said,
        max((_moment(block) for block in blocks), default=0.0),
        model or (name(mapping(version.get("senderInfo")).get("senderName")) if role is Role.ASSISTANT else None),
        _timings(stats),
        stopped=text(stats.get("stopReason")) == "userStopped",
        reasoning=reasoning or None,
    )


def _said(block: Mapping[str, Any]) -> str:
    """Of files, their names alone: their content lies elsewhere."""
    pieces = []
    for part in map(mapping, items(block.get("content"))):
        file = name(part.get("fileIdentifier"))
        pieces.append(f"[{file}]\n" if file else text(part.get("text")))
    return "".join(pieces).strip()


def _moment(block: Mapping[str, Any]) -> float:
    """A step is named after the millisecond of its making."""
    milliseconds = text(block.get("stepIdentifier")).split("-")[0]
    return (
        when(int(milliseconds)) if milliseconds.isascii() and milliseconds.isdigit() and len(milliseconds) < 16 else 0
    )


def _timings(stats: Mapping[str, Any]) -> Timings | None:
    num_predicted, rate = count(stats.get("predictedTokensCount")), number(stats.get("tokensPerSecond"))
    if not num_predicted or not rate:
        return None
    return Timings(
        prompt_n=count(stats.get("promptTokensCount")),
        predicted_n=num_predicted,
        prompt_ms=1000 * (number(stats.get("timeToFirstTokenSec")) or 0.0),
        predicted_ms=1000 * (num_predicted - 1) / rate,
    )
