"""Responses that were answered, so that the next may go on from them: in a SQLite file for the eyes of this machine's
person alone, bounded in number, bytes and age. Each belongs to the key that asked for it, and is not there for another.
What is deleted is overwritten with zeros."""

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from app.own_database import NotOurDatabase, check_schema, clear_the_way, is_damage, set_database_aside
from app.server.core.client import OWNER, Client
from app.server.keys import Key, Keys, seconds_of
from app.server.responses.items import CALL, Item, as_items
from app.server.responses.output_items import COMPLETED
from app.whole_file import changing_file
from backends.ownership.private import make_private_file

# one entry per version, compared word for word: a released entry is never edited, a change is a new one
MIGRATIONS = (
    """
CREATE TABLE responses (
    id TEXT PRIMARY KEY, used INTEGER NOT NULL, bytes INTEGER NOT NULL, input TEXT NOT NULL, response TEXT NOT NULL
);
CREATE TABLE items (id TEXT PRIMARY KEY, response TEXT NOT NULL) WITHOUT ROWID;
""",
    """
ALTER TABLE responses ADD COLUMN key TEXT;
""",
    """
ALTER TABLE responses RENAME COLUMN key TO key_id;
""",  # and `_name_no_more`
)
NAMED = 2  # the last version that kept a key's name
SCRIPTS = {version: "".join(MIGRATIONS[:version]) for version in range(1, len(MIGRATIONS) + 1)}
NOBODY = ""  # in place of a key's id: of one that is gone
SECONDS = 5.0  # to wait for another process that writes
MAX_RESPONSES, MAX_BYTES, MAX_AGE = 2000, 64 << 20, 30 * 24 * 3600
MAX_UNSAVED = 64  # that are remembered where the disk takes none
MAX_HISTORY = 8 << 20  # characters of a conversation: as much as the body of a request
# the newest of each key stay, then the second of each: none crowds out what others have kept
EVICT = """
DELETE FROM responses WHERE used < ? OR id IN (
    SELECT id FROM (
        SELECT id, row_number() OVER (ORDER BY place, used DESC, age DESC) AS number,
            sum(bytes) OVER (ORDER BY held, used DESC, age DESC) AS total
        FROM (
            SELECT id, used, bytes, rowid AS age, row_number() OVER own AS place, sum(bytes) OVER own AS held
            FROM responses WINDOW own AS (PARTITION BY key_id ORDER BY used DESC, rowid DESC)
        )
    ) WHERE number > ? OR total > ?
)
"""
SEEN = "WHERE id = ? AND (? OR key_id = ?)"
FORGET_ITEMS = "DELETE FROM items WHERE response NOT IN (SELECT id FROM responses)"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """input: its own items, without those of the responses before. key_id: whose it is; None: nobody was asked for
    a key."""

    input: list[Item]
    response: dict[str, Any]
    key_id: str | None = None

    @property
    def id(self) -> str:
        return str(self.response["id"])

    @property
    def previous(self) -> str | None:
        previous = self.response.get("previous_response_id")
        return previous if isinstance(previous, str) else None

    @property
    def answered(self) -> list[Item]:
        """What goes into the prompts of those that go on from it: calls that were cut short do not."""
        output = self.response["output"]
        return as_items([item for item in output if item["type"] != CALL or item["status"] == COMPLETED])


@dataclass(frozen=True, slots=True)
class Bounds:
    responses: int = MAX_RESPONSES
    bytes: int = MAX_BYTES
    age: float = MAX_AGE  # seconds since it was last gone on from


@dataclass(slots=True)
class ResponseStore:
    """Its methods block, and may be called on any thread. path None: in memory, as long as this object lives. `by` says
    who asks: what is another's is not there. keys: those that are kept, for a file that says their names alone.

    Under a lock: what is not saved yet must be found by whoever asks for it, and deleted with the rest. Between two
    changes nothing is open: another process may have the same file.
    """

    path: Path | None
    bounds: Bounds = Bounds()
    keys: Keys | None = None
    _unsaved: dict[str, Kept] = field(default_factory=dict)
    _memory: sqlite3.Connection | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def remember(self, kept: Kept) -> None:
        """At once, without waiting for the disk: `save` writes it down."""
        self._unsaved[kept.id] = kept
        if len(self._unsaved) > MAX_UNSAVED:
            self._unsaved.pop(next(iter(self._unsaved)), None)

    def save(self) -> None:
        """What cannot be written now is tried again with the next one."""
        with self._lock:
            waiting = list(self._unsaved.values())
            try:
                with self._changing() as database:
                    for kept in waiting:
                        _insert(database, kept)
                    _evict(database, self.bounds)
            except (sqlite3.Error, OSError) as error:
                log.warning("responses cannot be kept on disk: %s", error)
                return
            for kept in waiting:
                self._unsaved.pop(kept.id, None)

    def get(self, id_: str, by: Client = OWNER) -> Kept | None:
        if waiting := self._waiting(by, id_):
            return waiting
        with self._lock, self._reading() as database:
            return self._found(database, by, id_)

    def delete(self, id_: str, by: Client = OWNER) -> bool:
        """False when there is none. Raises Unreadable when it could not be deleted."""
        with self._lock:
            unsaved = self._unsaved.get(id_)
            was_unsaved = unsaved is not None and by.may_see(unsaved.key_id)
            if was_unsaved:
                self._unsaved.pop(id_, None)
            try:
                with self._changing() as database:
                    was_kept = database.execute(f"DELETE FROM responses {SEEN}", _seen(id_, by)).rowcount > 0
                    database.execute(FORGET_ITEMS)
            except (sqlite3.Error, OSError) as error:
                log.warning("a response cannot be deleted: %s", error)
                raise Unreadable from error
            return was_unsaved or was_kept

    def history(self, id_: str, by: Client = OWNER) -> list[Item] | None:
        """Of this one and all before it, the inputs and what was answered. None: one of them is not there any more.

        Raises TooLong."""
        conversation = _Conversation()
        missing = conversation.follow(id_, partial(self._waiting, by))
        if missing is not None:
            with self._lock, self._reading() as database:
                missing = conversation.follow(missing, partial(self._found, database, by))
                if database:
                    _touch(database, conversation.ids)
        return conversation.items() if missing is None else None

    def item(self, id_: str, by: Client = OWNER) -> Item | None:
        """One that was answered, by its own id."""
        for kept in list(self._unsaved.values()):
            if by.may_see(kept.key_id) and (found := _item(kept, id_)):
                return found
        with self._lock, self._reading() as database:
            row = database.execute("SELECT response FROM items WHERE id = ?", (id_,)).fetchone() if database else None
            holder = self._found(database, by, row[0]) if row and isinstance(row[0], str) else None
            if holder and database:
                _touch(database, {holder.id})
        return _item(holder, id_) if holder else None

    def _waiting(self, by: Client, id_: str) -> Kept | None:
        """To be saved."""
        kept = self._unsaved.get(id_)
        return kept if kept and by.may_see(kept.key_id) else None

    def _found(self, database: sqlite3.Connection | None, by: Client, id_: str) -> Kept | None:
        if waiting := self._waiting(by, id_):
            return waiting
        if database is None:
            return None
        row = database.execute(f"SELECT input, response, key_id FROM responses {SEEN}", _seen(id_, by)).fetchone()
        return _kept(*row) if row else None

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """None where there is nothing to read, or nothing that can be."""
        if self._memory is None and (self.path is None or not self.path.exists()):
            yield None
            return
        try:
            with self._changing() as database:
                yield database
        except (sqlite3.Error, OSError) as error:
            log.warning("responses cannot be read: %s", error)
            raise Unreadable from error

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """Raises sqlite3.Error and OSError."""
        if self.path is None:
            self._memory = self._memory or _made_in_memory()
            with self._memory:
                yield self._memory
            return
        with changing_file(self.path, SECONDS), closing(self._opened()) as database, database:
            yield database

    def _opened(self) -> sqlite3.Connection:
        """What is not as we wrote it is set aside, and a new one begun."""
        assert self.path
        try:
            return _open(self.path, self.keys)
        except sqlite3.Error as error:
            if not (isinstance(error, NotOurDatabase) or is_damage(error)):
                raise
            set_database_aside(self.path)
            return _open(self.path, self.keys)


@dataclass(slots=True)
class _Conversation:
    """Turns from its end to its beginning, as far as they are found."""

    ids: set[str] = field(default_factory=set)
    _turns: list[list[Item]] = field(default_factory=list)
    _length: int = 0

    def follow(self, id_: str | None, find: Callable[[str], Kept | None]) -> str | None:
        """Take this one and all before it. The first that is not found; None: all are. Raises TooLong."""
        while id_ is not None and id_ not in self.ids and (kept := find(id_)):
            self.ids.add(id_)
            turn = [*kept.input, *kept.answered]
            self._turns.append(turn)
            self._length += len(json.dumps(turn, ensure_ascii=False))
            if self._length > MAX_HISTORY:
                raise TooLong
            id_ = kept.previous
        return id_

    def items(self) -> list[Item]:
        return [item for turn in reversed(self._turns) for item in turn]


class TooLong(Exception):
    """A conversation of more than MAX_HISTORY characters."""


class Unreadable(Exception):
    """The file with the responses could not be read, or changed, now."""


def _open(path: Path, keys: Keys | None) -> sqlite3.Connection:
    clear_the_way(path)
    if path.is_symlink():  # to whatever it leads, it is not written there
        raise OSError(f"{path} is a link")
    make_private_file(path)
    database = sqlite3.connect(path, timeout=SECONDS)
    try:
        database.execute("PRAGMA secure_delete = ON")
        check_schema(database, SCRIPTS)
        _migrate(database, keys)
    except BaseException:
        database.close()
        raise
    return database


def _made_in_memory() -> sqlite3.Connection:
    database = sqlite3.connect(":memory:", check_same_thread=False)
    _migrate(database)
    return database


def _migrate(database: sqlite3.Connection, keys: Keys | None = None) -> None:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        database.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version = {number};")
        if number == NAMED + 1:
            _name_no_more(database, keys)
        database.commit()


def _name_no_more(database: sqlite3.Connection, keys: Keys | None) -> None:
    """Each goes to the key that has its name now if that is older than it is; else it is no key's, and there for who
    needs none. Raises OSError while the keys cannot be read: whose it is would be lost."""
    made = {key.name: key for key in keys.readable()} if keys else {}
    named = database.execute("SELECT id, key_id, response FROM responses WHERE key_id IS NOT NULL").fetchall()
    for id_, name, response in named:
        key = made.get(name)
        key_id = key.digest if key and _is_older(key, response) else NOBODY
        database.execute("UPDATE responses SET key_id = ? WHERE id = ?", (key_id, id_))


def _is_older(key: Key, response: str) -> bool:
    """Than the response; False where either does not say."""
    with suppress(ValueError, LookupError, TypeError, RecursionError, OverflowError):
        return seconds_of(key.created) < float(json.loads(response)["created_at"])
    return False


def _insert(database: sqlite3.Connection, kept: Kept) -> None:
    given, response = (json.dumps(value, ensure_ascii=False) for value in (kept.input, kept.response))
    num_bytes = len(given.encode()) + len(response.encode())
    row = (kept.id, int(time.time()), num_bytes, given, response, kept.key_id)
    database.execute("INSERT OR REPLACE INTO responses VALUES (?, ?, ?, ?, ?, ?)", row)
    ids = [(item["id"], kept.id) for item in kept.answered]
    database.executemany("INSERT OR REPLACE INTO items VALUES (?, ?)", ids)


def _evict(database: sqlite3.Connection, bounds: Bounds) -> None:
    database.execute(EVICT, (int(time.time() - bounds.age), bounds.responses, bounds.bytes))
    database.execute(FORGET_ITEMS)


def _touch(database: sqlite3.Connection, ids: Collection[str]) -> None:
    """They are gone on from: once for all of a conversation, because each change waits for the disk."""
    database.executemany("UPDATE responses SET used = ? WHERE id = ?", [(int(time.time()), id_) for id_ in ids])


def _seen(id_: str, by: Client) -> tuple[str, bool, str | None]:
    return id_, by.is_owner, by.key_id


def _kept(given: object, response: object, key_id: object) -> Kept | None:
    """None for what `save` cannot have written."""
    if not isinstance(given, str) or not isinstance(response, str) or not isinstance(key_id, str | None):
        return None
    with suppress(ValueError, LookupError, TypeError, RecursionError):
        kept = Kept(as_items(json.loads(given)), json.loads(response), key_id)
        if kept.id and kept.answered is not None:
            return kept
    return None


def _item(kept: Kept, id_: str) -> Item | None:
    return next((item for item in kept.answered if item["id"] == id_), None)
