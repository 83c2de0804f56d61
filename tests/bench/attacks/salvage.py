"""50 starts on a damaged file of chats are killed at any moment: the next one shows all that could be read.

The damaged file and its log lie somewhere still, to the last byte, and nothing that was half made is left.
"""

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

from app.conversation import Role
from app.history_opening import open_history
from tests.bench.attacks.case import Case

ROOT = Path(__file__).parents[3]
NAME = "chats.db"
NUM_KILLS = 50
NUM_CHATS, NUM_LOGGED, NUM_TURNS = 60, 5, 50
PAGE = 4096
SPOILED = 400  # the page: one of messages, in the middle
SECONDS = 0.9  # as long as a start takes that salvages these
OPENING = """
import sys
from pathlib import Path
from app.history_opening import open_history
print("go", flush=True)
open_history(Path(sys.argv[1]))
"""


def cases() -> Iterator[Case]:
    pick = random.Random(1)
    for number in range(NUM_KILLS):
        yield Case(f"kill {number + 1} while it salvages", partial(_killed, pick.random() * SECONDS))


@cache
def damaged() -> dict[str, bytes]:
    """By name; the last chats are in the log alone, as after a death."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / NAME
        for numbers in (range(NUM_CHATS), range(NUM_CHATS, NUM_CHATS + NUM_LOGGED)):
            history, _ = open_history(path)
            for number in numbers:
                chat = history.create(f"Chat {number}").id
                for _ in range(NUM_TURNS):
                    history.append(chat, Role.USER, "hello " * 1000)
            files = {name: (Path(folder) / name).read_bytes() for name in (NAME, f"{NAME}-wal")}
            history.close()
    content = files[NAME]
    files[NAME] = content[: SPOILED * PAGE] + b"\xff" * PAGE + content[(SPOILED + 1) * PAGE :]
    return files


def _killed(seconds: float) -> str | None:
    with tempfile.TemporaryDirectory(prefix="attack-") as name:
        folder = Path(name)
        for each, content in damaged().items():
            (folder / each).write_bytes(content)
        command = [sys.executable, "-c", OPENING, str(folder / NAME)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout
            if child.stdout.readline() != "go\n":
                return "it did not begin"
            time.sleep(seconds)
            child.kill()
        return _judge(folder)


def _judge(folder: Path) -> str | None:
    history, sentence = open_history(folder / NAME)
    titles = {info.title for info in history.conversations()}
    history.close()
    if titles != {f"Chat {number}" for number in range(NUM_CHATS + NUM_LOGGED)}:
        return f"{len(titles)} chats are in sight: {sentence}"
    kept = [path.read_bytes() for path in folder.glob("*.broken-*")]
    if any(content not in kept for content in damaged().values()):
        return f"the damaged file or its log is gone: {sentence}"
    left = [path.name for path in folder.iterdir() if "part" in path.name or ".mended" in path.name]
    return f"left: {left}" if left else None
