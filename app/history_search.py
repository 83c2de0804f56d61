"""Which turns contain what a person types. Asks the index for those that it knows, and reads the others.

The index is brought up to date in small steps, so that nobody waits for it: until it is, searching only takes longer.
"""

import sqlite3
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from app.history_index import SearchIndex, open_index
from app.own_database import is_damage
from app.text_search import fold

MAX_INDEXED = 1 << 16  # characters; what is longer is read whenever something is sought: indexing it takes too long
MANY = 1000  # turns, from which on it is quicker to ask for all
STEP = 0.02  # seconds that a step of catching up takes, or as long as one text
INDEX_FAULTS = (sqlite3.Error, OSError)


class TurnSearch:
    """Raises sqlite3.Error where the chats themselves cannot be read; without an index it reads all of them."""

    def __init__(self, chats: sqlite3.Connection):
        self._chats = chats
        self._index: SearchIndex | None = None
        self._path: Path | None = None
        self._is_open = False
        self._seen: int | None = None  # the state of the file as others have changed it, when it was looked through
        self._behind: dict[int, None] = {}  # turns that the index does not know yet, in the order of their coming
        self._long: set[int] = set()  # turns that it never will

    def keep_in(self, path: Path) -> None:
        """From now on the index lies there; without this, in memory."""
        self.close()
        self._path = path

    def matching(self, needle: str) -> dict[int, int]:
        """The conversation by the turn that contains this folded text, which is not empty; the oldest turn first."""
        self.catch_up()
        found = self._indexed(needle)
        unread = self._all() if found is None else (*self._behind, *self._long)
        found = {turn for turn in unread if self._contains(turn, needle)} | (found or set())
        if len(found) > MANY:
            conversations = self._all()
        else:
            rows = (self._chats.execute("SELECT id, conversation FROM turn WHERE id = ?", (turn,)) for turn in found)
            conversations = dict(row for each in rows for row in each)
        return {turn: conversations[turn] for turn in sorted(found) if turn in conversations}

    def _all(self) -> dict[int, int]:
        """The conversation of each turn."""
        return dict(self._chats.execute("SELECT id, conversation FROM turn").fetchall())

    def catch_up(self, seconds: float = STEP) -> bool:
        """Index some of what is new; whether something is left to do."""
        try:
            index = self._opened()
            if index is None:
                return False
            if self._behind:
                index.put(self._new_texts(time.monotonic() + seconds))
        except INDEX_FAULTS as error:
            self._lose(error)
        return bool(self._behind)

    def note(self, turn: int) -> None:
        """Its text is new."""
        if self._seen is not None:
            self._long.discard(turn)
            self._behind[turn] = None

    def forget(self, turns: Iterable[int]) -> None:
        """They are deleted, and leave the index."""
        gone = list(turns)
        for turn in gone:
            self._behind.pop(turn, None)
            self._long.discard(turn)
        try:
            if gone and (index := self._opened()):
                index.forget(gone)
        except INDEX_FAULTS as error:
            self._lose(error)

    def close(self) -> None:
        if self._index:
            self._index.close()
        self._index, self._is_open, self._seen = None, False, None

    def _indexed(self, needle: str) -> set[int] | None:
        """None: without an index."""
        try:
            return self._index.matching(needle) if self._index else None
        except INDEX_FAULTS as error:
            self._lose(error)
            return None

    def _opened(self) -> SearchIndex | None:
        """Looked through anew when another window has changed the chats."""
        if not self._is_open:
            self._is_open, self._index = True, open_index(self._path)
        (state,) = self._chats.execute("PRAGMA data_version").fetchone()
        if self._index and state != self._seen:
            turns = dict(self._chats.execute("SELECT id, changed FROM turn ORDER BY id").fetchall())
            known = self._index.known()
            self._index.forget(known.keys() - turns.keys())
            self._behind = {turn: None for turn, changed in turns.items() if known.get(turn) != changed}
            self._long = set()
            self._seen = state
        return self._index

    def _lose(self, error: Exception) -> None:
        """For this run all is read; the next one makes another index where this one was damaged."""
        if self._index and is_damage(error):
            self._index.discard()
        elif self._index:
            self._index.close()
        self._index = None

    def _new_texts(self, deadline: float) -> Iterator[tuple[int, int, str]]:
        """One at least."""
        while self._behind:
            turn = next(iter(self._behind))
            row = self._read(turn)
            del self._behind[turn]
            if row is None or len(row[1]) > MAX_INDEXED:
                self._long.add(turn)
            else:
                yield turn, *row
            if time.monotonic() > deadline:
                return

    def _contains(self, turn: int, needle: str) -> bool:
        row = self._read(turn)
        return row is not None and needle in row[1]

    def _read(self, turn: int) -> tuple[int, str] | None:
        """Its change and its folded text; None for one that cannot be read, or is gone."""
        try:
            row = self._chats.execute("SELECT changed, text FROM turn WHERE id = ?", (turn,)).fetchone()
        except sqlite3.DataError:  # it is larger than any text may be
            return None
        return (row[0], fold(row[1])) if row and isinstance(row[1], str) else None
