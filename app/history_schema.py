"""The tables of the chats, version by version, as SQL. Opens no file."""

from collections.abc import Iterator
from sqlite3 import complete_statement

# one entry per version; a released entry is never edited, a change is a new one
MIGRATIONS = (
    """
    CREATE TABLE conversation (
        id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL, updated REAL NOT NULL
    ) STRICT;
    CREATE TABLE turn (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        conversation INTEGER NOT NULL REFERENCES conversation (id) ON DELETE CASCADE,
        role TEXT NOT NULL, text TEXT NOT NULL, created REAL NOT NULL,
        model TEXT, timings TEXT, stopped INTEGER NOT NULL DEFAULT 0, problem TEXT
    ) STRICT;
    CREATE INDEX turn_by_conversation ON turn (conversation, id);
    CREATE INDEX conversation_by_time ON conversation (updated, id);
    """,
    # from lists to trees; `chosen` is the one of several turns that is shown, of a conversation's first ones and of
    # those that follow a turn; `changed` counts changes of texts over the whole file, for who indexes them
    """
    ALTER TABLE conversation ADD COLUMN chosen INTEGER;
    ALTER TABLE conversation ADD COLUMN folder TEXT;
    ALTER TABLE conversation ADD COLUMN pinned INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE conversation ADD COLUMN unread INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE turn ADD COLUMN parent INTEGER;
    ALTER TABLE turn ADD COLUMN chosen INTEGER;
    ALTER TABLE turn ADD COLUMN reasoning TEXT;
    ALTER TABLE turn ADD COLUMN sampling TEXT;
    ALTER TABLE turn ADD COLUMN edited INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE turn ADD COLUMN changed INTEGER NOT NULL DEFAULT 0;
    UPDATE turn SET parent = (
        SELECT max(id) FROM turn AS earlier WHERE earlier.conversation = turn.conversation AND earlier.id < turn.id
    );
    CREATE INDEX turn_by_change ON turn (changed, id);
    """,
    # of an answer with tools: its calls and their results, as JSON
    "ALTER TABLE turn ADD COLUMN steps TEXT;",
)


def scripts() -> dict[int, str]:
    """What makes a database of each version, from nothing."""
    return {version: "".join(MIGRATIONS[:version]) for version in range(1, len(MIGRATIONS) + 1)}


def newest() -> int:
    return len(MIGRATIONS)


def statements_since(version: int) -> Iterator[str]:
    """What makes the newest of this one, one by one: each may then be part of a larger transaction."""
    for script in MIGRATIONS[version:]:
        statement = ""
        for piece in script.split(";")[:-1]:
            statement += f"{piece};"
            if complete_statement(statement):  # and not in the middle of a trigger
                yield statement
                statement = ""
