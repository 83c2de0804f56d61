"""Conversations on disk, in SQLite, as trees of turns. Used from one thread, the window's; knows nothing of engines.

Every method commits before it returns, so a process that dies keeps all that it was told is kept.
"""

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
from app.history_rows import MAX_TITLE, json_of, json_of_steps, storable
from app.history_salvage import salvage
from app.history_search import TurnSearch
from app.history_tables import Removed, Tables
from app.in_use import Use
from app.text_search import Excerpt, excerpt, fold
from backends.protocol import Message, SamplingParams, Timings


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
        self._tables = Tables(self._database, self._search.note)

    def conversations(self, search: str = "") -> list[ConversationInfo]:
        """Newest first; with `search`, those whose title or any turn contains it, whatever the case."""
        return [found.info for found in self.find(search)]

    def find(self, search: str) -> list[Found]:
        """As `conversations`, with the turns that contain it, in whatever branch."""
        needle, turns = fold(storable(search.strip())), defaultdict(list)
        if needle:
            for turn, conversation in self._search.matching(needle).items():
                turns[conversation].append(turn)
        infos = self._tables.infos()
        return [Found(info, tuple(turns[info.id])) for info in infos if info.id in turns or needle in fold(info.title)]

    def excerpt(self, turn_id: int, search: str) -> Excerpt | None:
        """Around the first place where it is said; None where it is not, or nothing is sought."""
        needle = fold(storable(search.strip()))
        return excerpt(self._tables.turn(turn_id).text, needle) if needle else None

    def index_in(self, path: Path) -> None:
        """What searching remembers lies there from now on, and not only in memory."""
        self._search.keep_in(path)

    def index_more(self) -> bool:
        """Prepare searching for some milliseconds; whether something is left to do."""
        return self._search.catch_up()

    def info(self, conversation_id: int) -> ConversationInfo:
        return self._tables.info(conversation_id)

    def create(self, title: str = "") -> ConversationInfo:
        return self._tables.create(Chat(title, ()))

    def tree(self, conversation_id: int) -> Tree:
        """Of a conversation that is not there, an empty one."""
        return self._tables.tree(conversation_id)

    def turns(self, conversation_id: int) -> list[Turn]:
        """What is shown of it, from a first turn to a last. A row that cannot be read is a turn that says so."""
        tree = self.tree(conversation_id)
        return list(self._tables.turns(conversation_id, tree, tree.path()))

    def chat(self, conversation_id: int) -> Chat:
        """All of it, as a value."""
        info, tree = self.info(conversation_id), self.tree(conversation_id)
        turns = self._tables.turns(conversation_id, tree, tree)
        return Chat(info.title, turns, tree.choices(), info.updated, info.folder, info.is_pinned)

    def add(self, chat: Chat) -> ConversationInfo:
        """All of it, under ids of its own; with its own time, or now where it has none."""
        (info,) = self.add_all([chat])
        return info

    def add_all(self, chats: Sequence[Chat]) -> list[ConversationInfo]:
        """Either all of them or none."""
        with transaction(self._database):
            return [self._tables.add(chat) for chat in chats]

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
            return self._say(conversation_id, turn)

    def edit(self, turn_id: int, text: str) -> Turn:
        """Beside it a turn with this text, which is shown; the old one stays, with all that followed it."""
        conversation_id = self.conversation_of(turn_id)
        with transaction(self._database):
            old, parent = self._tables.turn(turn_id), self.tree(conversation_id).parent(turn_id)
            turn = replace(old, text=storable(text), created=time.time(), parent=parent)
            turn = replace(
                turn, timings=None, stopped=False, problem=None, steps=(), is_edited=old.role is Role.ASSISTANT
            )
            return self._say(conversation_id, turn)

    def choose(self, turn_id: int) -> None:
        """Show it, with the last turn that was shown beneath it."""
        conversation_id = self.conversation_of(turn_id)
        with transaction(self._database):
            tree = self.tree(conversation_id)
            for each in tree.path_to(turn_id):
                self._tables.choose(conversation_id, tree.parent(each), each)

    def update(
        self,
        turn_id: int,
        *,
        text: str | _Unset = UNSET,
        reasoning: str | _Unset | None = UNSET,
        timings: Timings | _Unset | None = UNSET,
        stopped: bool | _Unset = UNSET,
        problem: str | _Unset | None = UNSET,
        steps: tuple[Message, ...] | _Unset = UNSET,
    ) -> None:
        """Change only what is given; None takes reasoning, timings or problem away."""
        given: dict[str, Any] = {"text": text, "reasoning": reasoning, "stopped": stopped, "problem": problem}
        given["timings"] = timings if timings is UNSET else json_of(timings)
        given["steps"] = steps if isinstance(steps, _Unset) else json_of_steps(steps)
        changes = {name: storable(value) for name, value in given.items() if value is not UNSET}
        if changes:
            self._tables.change("turn", turn_id, **changes)

    def delete_turns_from(self, turn_id: int) -> Removed:
        """This turn and all that follow it."""
        conversation_id = self.conversation_of(turn_id)
        return self._remove(conversation_id, self.tree(conversation_id).beneath(turn_id), adopted=())

    def delete_turn(self, turn_id: int) -> Removed:
        """This one alone: what followed it follows the one before it."""
        conversation_id = self.conversation_of(turn_id)
        return self._remove(conversation_id, [turn_id], self.tree(conversation_id).children(turn_id))

    def put_back(self, removed: Removed) -> None:
        """What was deleted is there again, as it was. KeyError: its conversation, or what it followed, has gone too."""
        conversation_id = removed.conversation
        with transaction(self._database):
            for turn in removed.turns:
                if turn.parent is not None:
                    self.conversation_of(turn.parent)  # or it is not there
                self._tables.insert(conversation_id, turn, turn.id)
            self._tables.follow(removed.turns[0].id, removed.adopted)
            for parent, child in removed.chosen.items():
                self._tables.choose(conversation_id, parent, child)

    def rename(self, conversation_id: int, title: str) -> None:
        """Does not count as news: the list keeps its order. Nor do the three that follow."""
        self._tables.change("conversation", conversation_id, title=storable(title)[:MAX_TITLE])

    def move(self, conversation_id: int, folder: str | None) -> None:
        """None: into none. A folder is there as long as something is in it."""
        name = storable(folder or "").strip()[:MAX_TITLE] or None
        self._tables.change("conversation", conversation_id, folder=name)

    def pin(self, conversation_id: int, is_pinned: bool) -> None:
        self._tables.change("conversation", conversation_id, pinned=is_pinned)

    def mark(self, conversation_id: int, is_unread: bool) -> None:
        self._tables.change("conversation", conversation_id, unread=is_unread)

    def duplicate(self, conversation_id: int) -> ConversationInfo:
        """With all its branches."""
        chat = self.chat(conversation_id)
        return self.add(replace(chat, title=f"{chat.title} (copy)", updated=time.time(), is_pinned=False))

    def branch(self, turn_id: int) -> ConversationInfo:
        """Another conversation, which begins with what leads to this turn, and it."""
        conversation_id = self.conversation_of(turn_id)
        info, tree = self.info(conversation_id), self.tree(conversation_id)
        turns = self._tables.turns(conversation_id, tree, tree.path_to(turn_id))
        return self.add(Chat(f"{info.title} (branch)", turns, updated=time.time(), folder=info.folder))

    def delete(self, conversation_id: int) -> None:
        """With its turns. One that is gone already is no error."""
        turns = list(self.tree(conversation_id))
        self._database.execute("DELETE FROM conversation WHERE id = ?", (conversation_id,))
        self._search.forget(turns)

    def conversation_of(self, turn_id: int) -> int:
        return self._tables.conversation_of(turn_id)

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

    def _say(self, conversation_id: int, turn: Turn) -> Turn:
        """After its parent, where it is shown from now on."""
        turn = self._tables.insert(conversation_id, turn)
        self._tables.touch(conversation_id, turn.created)
        self._tables.choose(conversation_id, turn.parent, turn.id)
        return turn

    def _remove(self, conversation_id: int, gone: Iterable[int], adopted: tuple[int, ...]) -> Removed:
        """gone: the oldest first; adopted: children of that one, which its parent takes over."""
        with transaction(self._database):
            tree = self.tree(conversation_id)
            turns = self._tables.turns(conversation_id, tree, gone)
            first, heir = turns[0], tree.chosen(turns[0].id)
            shown = ((each, tree.chosen(each)) for each in (first.parent, *(turn.id for turn in turns)))
            self._tables.follow(first.parent, adopted)
            self._tables.delete_turns(turn.id for turn in turns)
            if heir in adopted and heir is not None and tree.chosen(first.parent) == first.id:
                self._tables.choose(conversation_id, first.parent, heir)
        self._search.forget(turn.id for turn in turns)
        return Removed(conversation_id, turns, adopted, {parent: child for parent, child in shown if child is not None})
