"""The rows of conversations and turns: read and written one by one, in the transaction of whoever asks for several."""

import sqlite3
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from app.conversation import Chat, ConversationInfo, Turn
from app.conversation_tree import Tree
from app.history_rows import (
    INFO_COLUMNS,
    MAX_TITLE,
    TURN_COLUMNS,
    info_from,
    moment,
    row_of,
    storable,
    turn_from,
    unreadable,
)

ORDER = "ORDER BY updated DESC, id DESC"
CHANGE = "(SELECT coalesce(max(changed), 0) + 1 FROM turn)"  # of one text more; its index gives it at once


@dataclass(frozen=True, slots=True)
class Removed:
    """What a deletion has taken away, as it was, to be put back. adopted: turns that follow its parent since then;
    chosen: what was shown after each of its turns, and after its parent (None: first of all)."""

    conversation: int
    turns: tuple[Turn, ...]
    adopted: tuple[int, ...]
    chosen: dict[int | None, int]


class Tables:
    """Raises sqlite3.Error, and KeyError for a row that is not there. told: is told of each turn whose text is new."""

    def __init__(self, database: sqlite3.Connection, told: Callable[[int], None]):
        self._database = database
        self._told = told

    def infos(self) -> list[ConversationInfo]:
        """Newest first."""
        try:
            return [
                info_from(row) for row in self._database.execute(f"SELECT {INFO_COLUMNS} FROM conversation {ORDER}")
            ]
        except sqlite3.DataError:  # one of the titles is larger than any text may be
            ids = self._database.execute(f"SELECT id FROM conversation {ORDER}").fetchall()
            return [self.info(row_id) for (row_id,) in ids]

    def info(self, conversation_id: int) -> ConversationInfo:
        query = f"SELECT {INFO_COLUMNS} FROM conversation WHERE id = ?"
        try:
            return info_from(self._row(query, conversation_id))
        except sqlite3.DataError:
            return ConversationInfo(conversation_id, "A chat with a damaged title", 0.0)

    def tree(self, conversation_id: int) -> Tree:
        """Of a conversation that is not there, an empty one."""
        query = "SELECT id, parent, chosen FROM turn WHERE conversation = ?"
        rows = self._database.execute(query, (conversation_id,)).fetchall()
        first = self._database.execute("SELECT chosen FROM conversation WHERE id = ?", (conversation_id,)).fetchone()
        chosen: dict[int | None, int] = {turn: child for turn, _, child in rows if child is not None}
        if first and first[0] is not None:
            chosen[None] = first[0]
        return Tree(((turn, parent) for turn, parent, _ in rows), chosen)

    def turns(self, conversation_id: int, tree: Tree, ids: Iterable[int]) -> tuple[Turn, ...]:
        """With their places as the tree has mended them. A row that cannot be read is a turn that says so."""
        wanted = list(ids)
        try:
            rows = self._database.execute(f"SELECT {TURN_COLUMNS} FROM turn WHERE conversation = ?", (conversation_id,))
            turns = {turn.id: turn for turn in map(turn_from, rows)}
        except sqlite3.DataError:  # one of them is larger than any text may be
            turns = {turn_id: self.turn(turn_id) for turn_id in wanted}
        return tuple(_placed(turns[turn_id], tree.parent(turn_id)) for turn_id in wanted)

    def turn(self, turn_id: int) -> Turn:
        try:
            return turn_from(self._row(f"SELECT {TURN_COLUMNS} FROM turn WHERE id = ?", turn_id))
        except sqlite3.DataError:
            return unreadable(turn_id, "it is too large")

    def conversation_of(self, turn_id: int) -> int:
        return int(self._row("SELECT conversation FROM turn WHERE id = ?", turn_id)[0])

    def create(self, chat: Chat) -> ConversationInfo:
        """Without its turns; with its own time, or now where it has none."""
        title, folder = storable(chat.title)[:MAX_TITLE], storable(chat.folder)
        updated = moment(chat.updated) or time.time()
        cursor = self._database.execute(
            "INSERT INTO conversation (title, updated, folder, pinned) VALUES (?, ?, ?, ?)",
            (title, updated, folder, chat.is_pinned),
        )
        assert cursor.lastrowid is not None
        return ConversationInfo(cursor.lastrowid, title, updated, folder, chat.is_pinned)

    def add(self, chat: Chat) -> ConversationInfo:
        """All of it, under ids of its own."""
        info, tree = self.create(chat), chat.tree
        ids: dict[int | None, int] = {}
        for turn in sorted(chat.turns, key=lambda turn: turn.id):
            parent = tree.parent(turn.id)
            ids[turn.id] = self.insert(info.id, replace(turn, parent=ids.get(parent))).id
        for turn_id, child in tree.choices().items():
            self.choose(info.id, ids.get(turn_id), ids[child])
        return info

    def insert(self, conversation_id: int, turn: Turn, turn_id: int | None = None) -> Turn:
        """Under a new id, or one that is free. Follows its `parent`, without being chosen."""
        row = {"id": turn_id, **row_of(turn), "parent": turn.parent, "conversation": conversation_id}
        names, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
        try:
            cursor = self._database.execute(f"INSERT INTO turn ({names}, changed) VALUES ({marks}, {CHANGE})", row)
        except sqlite3.IntegrityError as error:  # the conversation is gone
            raise KeyError(conversation_id) from error
        assert cursor.lastrowid is not None
        self._told(cursor.lastrowid)
        return replace(turn, id=cursor.lastrowid)

    def follow(self, parent: int | None, turns: Iterable[int]) -> None:
        """From now on they follow this turn."""
        self._database.executemany("UPDATE turn SET parent = ? WHERE id = ?", [(parent, turn) for turn in turns])

    def choose(self, conversation_id: int, parent: int | None, child: int) -> None:
        if parent is None:
            self.change("conversation", conversation_id, chosen=child)
        else:
            self.change("turn", parent, chosen=child)

    def touch(self, conversation_id: int, now: float) -> None:
        """News, unless it has some that are newer."""
        query = "UPDATE conversation SET updated = max(updated, ?) WHERE id = ?"
        _require(self._database.execute(query, (now, conversation_id)), conversation_id)

    def change(self, table: str, row_id: int, **values: Any) -> None:
        columns = ", ".join(f"{name} = :{name}" for name in values)
        if "text" in values:
            columns += f", changed = {CHANGE}"
        cursor = self._database.execute(f"UPDATE {table} SET {columns} WHERE id = :id", {**values, "id": row_id})
        _require(cursor, row_id)
        if "text" in values:
            self._told(row_id)

    def delete_turns(self, turns: Iterable[int]) -> None:
        self._database.executemany("DELETE FROM turn WHERE id = ?", ((turn,) for turn in turns))

    def _row(self, query: str, row_id: int) -> tuple[Any, ...]:
        row: tuple[Any, ...] | None = self._database.execute(query, (row_id,)).fetchone()
        if row is None:
            raise KeyError(row_id)
        return row


def _placed(turn: Turn, parent: int | None) -> Turn:
    return turn if turn.parent == parent else replace(turn, parent=parent)  # a replace of thousands takes its time


def _require(cursor: sqlite3.Cursor, row_id: int) -> None:
    if not cursor.rowcount:
        raise KeyError(row_id)
