"""From messages that name the one before them, as other programs keep them, to the turns of a tree.

Some of them are not for people's eyes; what follows such a one follows the one before it. Links that lead nowhere, or
round in a circle, are cut.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from app.conversation import Role, Turn


@dataclass(frozen=True, slots=True)
class Node:
    """turn: None for a message that is not shown; reasoning: what it says of the thoughts of the answer after it."""

    parent: str | None
    turn: Turn | None = None
    reasoning: str = ""


@dataclass(frozen=True, slots=True)
class Linked:
    turns: tuple[Turn, ...]
    chosen: dict[int | None, int]


def link(nodes: Mapping[str, Node], current: str | None) -> Linked:
    """current: the message that is shown last; without one, the newest are shown."""
    placed: dict[str, int | None] = {}  # the last turn on the way to each message, with itself
    thoughts: dict[str, str] = {}  # of messages that are not shown, on the way to each
    turns: list[Turn] = []
    for key in nodes:
        for each in reversed(_way(key, nodes, placed)):
            node, parent = nodes[each], nodes[each].parent
            before = placed.get(parent) if parent is not None else None
            thought = "\n\n".join(filter(None, (thoughts.get(parent or "", ""), node.reasoning)))
            if node.turn is None:
                placed[each], thoughts[each] = before, thought
                continue
            turn = replace(node.turn, id=len(turns) + 1, parent=before)
            if turn.role is Role.ASSISTANT:
                turn = replace(turn, reasoning=turn.reasoning or thought or None)
            turns.append(turn)
            placed[each] = turn.id
    return Linked(tuple(turns), _chosen(turns, placed.get(current) if current is not None else None))


def in_a_row(turns: list[Turn]) -> Linked:
    """Each follows the one before it."""
    nodes = {str(number): Node(str(number - 1) if number else None, turn) for number, turn in enumerate(turns)}
    return link(nodes, None)


def _way(key: str, nodes: Mapping[str, Node], placed: Mapping[str, int | None]) -> list[str]:
    """From this message back to one that has its place, without that."""
    way: dict[str, None] = {}
    at: str | None = key
    while at is not None and at in nodes and at not in placed and at not in way:
        way[at] = None
        at = nodes[at].parent
    return list(way)


def _chosen(turns: list[Turn], last: int | None) -> dict[int | None, int]:
    chosen: dict[int | None, int] = {}
    while last is not None:
        parent = turns[last - 1].parent
        chosen[parent] = last
        last = parent
    return chosen
