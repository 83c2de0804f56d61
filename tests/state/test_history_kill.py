"""A writer that is killed at any moment has lost nothing that it was told is kept."""

import random
import subprocess
import sys
from pathlib import Path

from app.history_opening import open_history

NUM_KILLS = 12
WRITER = """
import sys
from pathlib import Path
from app.conversation import Role
from app.history import History
history = History(Path(sys.argv[1]))
chat = history.create("a new life").id
while True:
    turn = history.append(chat, Role.ASSISTANT, "")
    for n in range(5):
        history.update(turn.id, text="x" * 700 * n)
    history.update(turn.id, text="done", stopped=True)
    sys.stdout.write(f"{chat} {turn.id}\\n")
    sys.stdout.flush()
"""


def write_and_die(path: Path, num_lines: int) -> list[tuple[int, int]]:
    """(conversation, turn) of all that the writer said was kept."""
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path.cwd()) as writer:
        assert writer.stdout
        head = [writer.stdout.readline() for _ in range(num_lines)]
        writer.kill()
        lines = head + writer.stdout.readlines()
    complete = [line for line in lines if line.endswith("\n")]
    return [(int(chat), int(turn)) for chat, turn in (line.split() for line in complete)]


def test_what_was_committed_survives_sigkill(tmp_path: Path) -> None:
    path = tmp_path / "chats.db"
    moments = random.Random(7)
    kept: list[tuple[int, int]] = []
    for _ in range(NUM_KILLS):
        kept += write_and_die(path, moments.randint(0, 30))
        history, sentence = open_history(path)
        texts = {(info.id, turn.id): turn.text for info in history.conversations() for turn in history.turns(info.id)}
        history.close()
        assert sentence is None
        assert all(texts.get(key) == "done" for key in kept)
    assert len(kept) > NUM_KILLS
