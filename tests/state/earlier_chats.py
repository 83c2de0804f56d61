"""Files of chats as every released version has left them, made by its own script alone."""

import sqlite3
from contextlib import closing
from pathlib import Path

from app.history_schema import scripts

NUM_CHATS, NUM_TURNS = 5, 12


def text_of(chat: int, turn: int) -> str:
    return f"turn {turn} of chat {chat} " * 40


def make_earlier(path: Path, version: int) -> None:
    """Chats whose turns were written in turns, as two windows do; the first of chat 2 is deleted."""
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript(f"{scripts()[version]} PRAGMA user_version = {version};")
        for chat in range(1, NUM_CHATS + 1):
            database.execute("INSERT INTO conversation (title, updated) VALUES (?, ?)", (f"Chat {chat}", chat))
        for turn in range(NUM_TURNS):
            for chat in range(1, NUM_CHATS + 1):
                role, model, timings = ("assistant", "guide", '{"prompt_n": 3}') if turn % 2 else ("user", None, None)
                row = (chat, role, text_of(chat, turn), 100.0 + turn, model, timings)
                columns = "conversation, role, text, created, model, timings"
                database.execute(f"INSERT INTO turn ({columns}) VALUES (?, ?, ?, ?, ?, ?)", row)
        if version > 1:
            database.execute(f"UPDATE turn SET parent = id - {NUM_CHATS} WHERE id > {NUM_CHATS}")
        database.execute("DELETE FROM turn WHERE id = 2")


def expected() -> dict[str, list[str]]:
    """The texts of each chat by its title."""
    return {
        f"Chat {chat}": [text_of(chat, turn) for turn in range(1 if chat == 2 else 0, NUM_TURNS)]
        for chat in range(1, NUM_CHATS + 1)
    }
