"""Conversations on disk, in SQLite, as trees of turns. Used from one thread, the window's; knows nothing of engines.

Every method commits before it returns, so a process that dies keeps all that it was told is kept.
"""

import sqlite3
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Any, Final

from app.conversation import Chat, ConversationInfo, Found, Role, Turn
from app.conversation_tree import Tree
from app.history_database import FAULTS as FAULTS
from app.history_database import open_database, transaction
from app.history_database import why as why
from app.history_rows import (
    INFO_COLUMNS,
    MAX_TITLE,
    TURN_COLUMNS,
    info_from,
    json_of,
    moment,
    row_of,
    storable,
    turn_from,
    unreadable,
)
from app.history_salvage import salvage
from app.history_search import TurnSearch
from app.in_use import Use
from app.text_search import Excerpt, excerpt, fold
from backends.protocol import SamplingParams, Timings

INFOS = f"SELECT {INFO_COLUMNS} FROM conversation ORDER BY updated DESC, id DESC"
TURN = f"SELECT {TURN_COLUMNS} FROM turn WHERE id = ?"
TURNS = f"SELECT {TURN_COLUMNS} FROM turn WHERE conversation = ?"
CHANGE = "(SELECT coalesce(max(changed), 0) + 1 FROM turn)"  # of one text more; its index gives it at once


class _Unset(Enum):
    UNSET = "unset"


UNSET: Final = _Unset.UNSET


class History:
    """Raises sqlite3.Error when the disk or the file fails, and KeyError for an id that is not there."""

    def __init__(self, path: Path | None, copy_of: Path | None = None):
        """As open_database."""
        self.path = path
        self._use: Use | None = None
        self._database = open_database(path, copy_of)
        self._search = TurnSearch(self._database)

    def conversations(self, search: str = "") -> list[ConversationInfo]:
        """Newest first; with `search`, those whose title or any turn contains it, whatever the case."""
        return [found.info for found in self.find(search)]

    def find(self, search: str) -> list[Found]:
        """As `conversations`, with the turns that contain it, in whatever branch."""
        needle, turns = fold(storable(search.strip())), defaultdict(list)
        if needle:
            for turn, conversation in self._search.matching(needle).items():
                turns[conversation].append(turn)
        infos = self._infos()
        return [Found(info, tuple(turns[info.id])) for info in infos if info.id in turns or needle in fold(info.title)]

    def excerpt(self, turn_id: int, search: str) -> Excerpt | None:
        """Around the first place where it is said; None where it is not, or nothing is sought."""
        needle = fold(storable(search.strip()))
        return excerpt(self._turn(turn_id).text, needle) if needle else None

    def index_in(self, path: Path) -> None:
        """What searching remembers lies there from now on, and not only in memory."""
        self._search.keep_in(path)

    def index_more(self) -> bool:
        """Prepare searching for some milliseconds; whether something is left to do."""
        return self._search.catch_up()

    def info(self, conversation_id: int) -> ConversationInfo:
        row = f"SELECT {INFO_COLUMNS} FROM conversation WHERE id = ?"
        try:
            return info_from(_there(self._database.execute(row, (conversation_id,)).fetchone(), conversation_id))
        except sqlite3.DataError:
            return ConversationInfo(conversation_id, "A chat with a damaged title", 0.0)

    def create(self, title: str = "") -> ConversationInfo:
        return self._create(Chat(title, (), updated=time.time()))

    def tree(self, conversation_id: int) -> Tree:
        """Of a conversation that is not there, an empty one."""
        rows = self._database.execute(
            "SELECT id, parent, chosen FROM turn WHERE conversation = ?", (conversation_id,)
        ).fetchall()
        first = self._database.execute("SELECT chosen FROM conversation WHERE id = ?", (conversation_id,)).fetchone()
        chosen: dict[int | None, int] = {turn: child for turn, _, child in rows if child is not None}
        if first and first[0] is not None:
            chosen[None] = first[0]
        return Tree(((turn, parent) for turn, parent, _ in rows), chosen)

    def turns(self, conversation_id: int) -> list[Turn]:
        """What is shown of it, from a first turn to a last. A row that cannot be read is a turn that says so."""
        tree = self.tree(conversation_id)
        return self._turns(conversation_id, tree, tree.path())

    def chat(self, conversation_id: int) -> Chat:
        """All of it, as a value."""
        info, tree = self.info(conversation_id), self.tree(conversation_id)
        turns = tuple(self._turns(conversation_id, tree, tree))
        return Chat(info.title, turns, tree.choices(), info.updated, info.folder, info.is_pinned)

    def add(self, chat: Chat) -> ConversationInfo:
        """All of it, under ids of its own; with its own time, or now where it has none."""
        with transaction(self._database):
            return self._add(chat)

    def add_all(self, chats: Sequence[Chat]) -> list[ConversationInfo]:
        """Either all of them or none."""
        with transaction(self._database):
            return [self._add(chat) for chat in chats]

    def append(
        self,
        conversation_id: int,
        role: Role,
        text: str,
        model: str | None = None,
        sampling: SamplingParams | None = None,
        *,
        parent: int | _Unset | None = UNSET,
    ) -> Turn:
        """To what is shown, or to this turn of it (None: as another beginning), and is shown itself from now on."""
        with transaction(self._database):
            tree = self.tree(conversation_id)
            if parent is UNSET:
                parent = (tree.path() or (None,))[-1]
            elif parent is not None:
                tree.parent(parent)  # or it is not there
            turn = Turn(0, role, storable(text), time.time(), model, parent=parent, sampling=sampling)
            turn = self._insert(conversation_id, turn)
            self._touch(conversation_id, turn.created)
            self._choose(conversation_id, parent, turn.id)
        return turn

    def edit(self, turn_id: int, text: str) -> Turn:
        """Beside it a turn with this text, which is shown; the old one stays, with all that followed it."""
        old = self._turn(turn_id)
        conversation_id = self.conversation_of(turn_id)
        with transaction(self._database):
            parent = self.tree(conversation_id).parent(turn_id)
            is_answer = old.role is Role.ASSISTANT
            turn = replace(old, text=storable(text), created=time.time(), parent=parent, is_edited=is_answer)
            turn = self._insert(conversation_id, replace(turn, timings=None, stopped=False, problem=None))
            self._touch(conversation_id, turn.created)
            self._choose(conversation_id, parent, turn.id)
        return turn

    def choose(self, turn_id: int) -> None:
        """Show it, with the last turn that was shown beneath it."""
        conversation_id = self.conversation_of(turn_id)
        with transaction(self._database):
            tree = self.tree(conversation_id)
            for each in tree.path_to(turn_id):
                self._choose(conversation_id, tree.parent(each), each)

    def update(
        self,
        turn_id: int,
        *,
        text: str | _Unset = UNSET,
        reasoning: str | _Unset | None = UNSET,
        timings: Timings | _Unset | None = UNSET,
        stopped: bool | _Unset = UNSET,
        problem: str | _Unset | None = UNSET,
    ) -> None:
        """Change only what is given; None takes reasoning, timings or problem away."""
        given: dict[str, Any] = {"text": text, "reasoning": reasoning, "stopped": stopped, "problem": problem}
        given["timings"] = timings if timings is UNSET else json_of(timings)
        changes = {name: storable(value) for name, value in given.items() if value is not UNSET}
        if not changes:
            return
        columns = [f"{name} = :{name}" for name in changes]
        if "text" in changes:
            columns.append(f"changed = {CHANGE}")
        self._change("turn", turn_id, ", ".join(columns), changes)
        if "text" in changes:
            self._search.note(turn_id)

    def delete_turns_from(self, turn_id: int) -> None:
        """This turn and all that follow it."""
        conversation_id = self.conversation_of(turn_id)
        with transaction(self._database):
            gone = self.tree(conversation_id).beneath(turn_id)
            self._database.executemany("DELETE FROM turn WHERE id = ?", ((each,) for each in gone))
        self._search.forget(gone)

    def delete_turn(self, turn_id: int) -> None:
        """This one alone: what followed it follows the one before it."""
        conversation_id = self.conversation_of(turn_id)
        with transaction(self._database):
            tree = self.tree(conversation_id)
            parent, heir = tree.parent(turn_id), tree.chosen(turn_id)
            links = [(parent, child) for child in tree.children(turn_id)]
            self._database.executemany("UPDATE turn SET parent = ? WHERE id = ?", links)
            self._database.execute("DELETE FROM turn WHERE id = ?", (turn_id,))
            if heir is not None and tree.chosen(parent) == turn_id:
                self._choose(conversation_id, parent, heir)
        self._search.forget([turn_id])

    def rename(self, conversation_id: int, title: str) -> None:
        """Does not count as news: the list keeps its order. Nor do the three that follow."""
        self._change("conversation", conversation_id, "title = :title", {"title": storable(title)[:MAX_TITLE]})

    def move(self, conversation_id: int, folder: str | None) -> None:
        """None: into none. A folder is there as long as something is in it."""
        name = storable(folder or "").strip()[:MAX_TITLE] or None
        self._change("conversation", conversation_id, "folder = :folder", {"folder": name})

    def pin(self, conversation_id: int, is_pinned: bool) -> None:
        self._change("conversation", conversation_id, "pinned = :pinned", {"pinned": is_pinned})

    def mark(self, conversation_id: int, is_unread: bool) -> None:
        self._change("conversation", conversation_id, "unread = :unread", {"unread": is_unread})

    def duplicate(self, conversation_id: int) -> ConversationInfo:
        """With all its branches."""
        chat = self.chat(conversation_id)
        return self.add(replace(chat, title=f"{chat.title} (copy)", updated=time.time(), is_pinned=False))

    def branch(self, turn_id: int) -> ConversationInfo:
        """Another conversation, which begins with what leads to this turn, and it."""
        conversation_id = self.conversation_of(turn_id)
        info, tree = self.info(conversation_id), self.tree(conversation_id)
        turns = tuple(self._turns(conversation_id, tree, tree.path_to(turn_id)))
        return self.add(Chat(f"{info.title} (branch)", turns, updated=time.time(), folder=info.folder))

    def delete(self, conversation_id: int) -> None:
        """With its turns. One that is gone already is no error."""
        turns = list(self.tree(conversation_id))
        self._database.execute("DELETE FROM conversation WHERE id = ?", (conversation_id,))
        self._search.forget(turns)

    def conversation_of(self, turn_id: int) -> int:
        row = self._database.execute("SELECT conversation FROM turn WHERE id = ?", (turn_id,)).fetchone()
        return int(_there(row, turn_id)[0])

    def take_over(self, damaged: Path, *, is_immutable: bool = False) -> int:
        """What can be read of a damaged file; the number of chats. This history must be new. Raises sqlite3.Error."""
        with transaction(self._database):
            return salvage(damaged, self._database, is_immutable=is_immutable).num_chats

    def hold(self, use: Use) -> None:
        """Others are told so long that the file is open."""
        self._use = use

    def close(self) -> None:
        self._search.close()
        self._database.close()
        if self._use:
            self._use.end()

    def _infos(self) -> list[ConversationInfo]:
        try:
            return [info_from(row) for row in self._database.execute(INFOS)]
        except sqlite3.DataError:  # one of the titles is larger than any text may be
            ids = self._database.execute("SELECT id FROM conversation ORDER BY updated DESC, id DESC").fetchall()
            return [self.info(row_id) for (row_id,) in ids]

    def _turns(self, conversation_id: int, tree: Tree, ids: Iterable[int]) -> list[Turn]:
        """With their places as the tree has mended them."""
        try:
            rows = self._database.execute(TURNS, (conversation_id,))
            turns = {turn.id: turn for turn in map(turn_from, rows)}
        except sqlite3.DataError:  # one of them is larger than any text may be
            turns = {turn_id: self._turn(turn_id) for turn_id in ids}
        return [_placed(turns[turn_id], tree.parent(turn_id)) for turn_id in ids]

    def _turn(self, turn_id: int) -> Turn:
        try:
            return turn_from(_there(self._database.execute(TURN, (turn_id,)).fetchone(), turn_id))
        except sqlite3.DataError:
            return unreadable(turn_id, "it is too large")

    def _create(self, chat: Chat) -> ConversationInfo:
        title, folder = storable(chat.title)[:MAX_TITLE], storable(chat.folder)
        updated = moment(chat.updated) or time.time()
        cursor = self._database.execute(
            "INSERT INTO conversation (title, updated, folder, pinned) VALUES (?, ?, ?, ?)",
            (title, updated, folder, chat.is_pinned),
        )
        assert cursor.lastrowid is not None
        return ConversationInfo(cursor.lastrowid, title, updated, folder, chat.is_pinned)

    def _add(self, chat: Chat) -> ConversationInfo:
        info, tree = self._create(chat), chat.tree
        ids: dict[int | None, int] = {}
        for turn in sorted(chat.turns, key=lambda turn: turn.id):
            parent = tree.parent(turn.id)
            ids[turn.id] = self._insert(info.id, replace(turn, parent=ids.get(parent))).id
        for turn_id, child in tree.choices().items():
            self._choose(info.id, ids.get(turn_id), ids[child])
        return info

    def _insert(self, conversation_id: int, turn: Turn) -> Turn:
        row = {**row_of(turn), "parent": turn.parent, "conversation": conversation_id}
        names, marks = ", ".join(row), ", ".join(f":{name}" for name in row)
        try:
            cursor = self._database.execute(f"INSERT INTO turn ({names}, changed) VALUES ({marks}, {CHANGE})", row)
        except sqlite3.IntegrityError as error:  # the conversation is gone
            raise KeyError(conversation_id) from error
        assert cursor.lastrowid is not None
        self._search.note(cursor.lastrowid)
        return replace(turn, id=cursor.lastrowid)

    def _choose(self, conversation_id: int, parent: int | None, child: int) -> None:
        if parent is None:
            self._change("conversation", conversation_id, "chosen = :child", {"child": child})
        else:
            self._change("turn", parent, "chosen = :child", {"child": child})

    def _touch(self, conversation_id: int, now: float) -> None:
        self._change("conversation", conversation_id, "updated = max(updated, :now)", {"now": now})

    def _change(self, table: str, row_id: int, columns: str, values: dict[str, Any]) -> None:
        cursor = self._database.execute(f"UPDATE {table} SET {columns} WHERE id = :id", {**values, "id": row_id})
        if not cursor.rowcount:
            raise KeyError(row_id)


def _placed(turn: Turn, parent: int | None) -> Turn:
    return turn if turn.parent == parent else replace(turn, parent=parent)  # a replace of thousands takes its time


def _there(row: tuple[Any, ...] | None, row_id: int) -> tuple[Any, ...]:
    if row is None:
        raise KeyError(row_id)
    return row
