"""Runs one attack in a process of its own: one that hangs or dies is a fault, and not the end of the others."""

import os
import pickle
import select
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

SECONDS = 2.0
LENGTH = 300


def alone(attack: Callable[[Path], str | None], seconds: float = SECONDS) -> str | None:
    """`attack` gets an empty folder, which is removed. Its answer, or what became of it."""
    with tempfile.TemporaryDirectory(prefix="attack-") as folder:
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            _be_the_child(attack, Path(folder), writer)
        os.close(writer)
        try:
            return _await(pid, reader, seconds)
        finally:
            os.close(reader)


def _await(pid: int, reader: int, seconds: float) -> str | None:
    is_there, _, _ = select.select([reader], [], [], seconds)
    answer = os.read(reader, 1 << 16) if is_there else b""
    if not is_there:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if not is_there:
        return f"it took more than {seconds:.0f} s"
    if not answer:
        return f"it died with status {status}"
    result: str | None = pickle.loads(answer)
    return result


def _be_the_child(attack: Callable[[Path], str | None], folder: Path, writer: int) -> None:
    try:
        answer = attack(folder)
    except BaseException as error:
        answer = f"{type(error).__name__}: {error}"[:LENGTH]
    os.write(writer, pickle.dumps(answer))
    os._exit(0)
