"""States on disk, within a budget of bytes. The engine's thread owns the index, a thread of its own writes.

Every file is doubted until its sum is proven; what cannot be believed is removed, and was never there.
"""

import os
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

from backends.prompt_cache.state import State, common_prefix, stands_for
from backends.prompt_cache.state_file import (
    SUFFIX,
    TEMPORARY,
    StateFileError,
    file_bytes,
    file_name,
    read_label,
    read_state,
    write_state,
)

MAX_PENDING = 1 << 29  # bytes that wait for the disk; beyond them a state is given up rather than memory
MAX_FILE_BYTES = 1 << 30  # a step waits while one is read
MAX_FILES = 512  # each admission compares its prompt with all of them
STALE_SECONDS = 3600.0  # a temporary file of this age was left by a crash


@dataclass(frozen=True, slots=True)
class Held:
    """A state on disk, or on its way there."""

    name: str
    tokens: list[int]


@dataclass(frozen=True, slots=True)
class Written:
    """The writer's report of one state: is_kept False when it did not get onto the disk."""

    name: str
    is_kept: bool
    removed: tuple[str, ...]


class DiskCache:
    """The third tier: one file per state, shared by all models and processes. Raises OSError without a folder."""

    def __init__(self, folder: Path, budget: int, key: str, can_truncate: bool = True, tolerance: int = 1):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if os.name == "posix":
            folder.chmod(0o700)  # prompts can be read back from the tokens
        self.folder = folder
        self.budget = budget
        self._key = key
        self._can_truncate, self._tolerance = can_truncate, tolerance
        self._held: dict[str, Held] = {}
        self._foreign: list[list[int]] = []  # tokens of states that another model, build or KV type made
        self._pending: dict[str, State] = {}
        self._todo: SimpleQueue[State | None] = SimpleQueue()
        self._written: SimpleQueue[Written] = SimpleQueue()
        self._scan()
        self._thread = threading.Thread(target=self._run, name="prompt-cache", daemon=True)
        self._thread.start()

    def match(self, tokens: list[int]) -> tuple[Held | None, int]:
        """The state that shares the longest prefix with tokens, and how long that is."""
        self._take_reports()
        best, length = None, 0
        for held in self._held.values():
            shared = common_prefix(held.tokens, tokens)
            if shared > length and (self._can_truncate or shared == len(held.tokens)):
                best, length = held, shared
        return best, length

    def longest_foreign(self, tokens: list[int]) -> int:
        return max((common_prefix(foreign, tokens) for foreign in self._foreign), default=0)

    def read(self, held: Held) -> State | None:
        """None for a file that is gone, damaged or not ours; it is removed."""
        if held.name in self._pending:
            return self._pending[held.name]
        path = self.folder / held.name
        try:
            state = read_state(path, self._key)
            if state.tokens != held.tokens:
                raise StateFileError("it was exchanged")
        except StateFileError as error:
            self._say(f"{held.name} is not used: {error}")
            _remove(path)
            self._held.pop(held.name, None)
            return None
        with suppress(OSError):
            os.utime(path)  # the budget takes the least recently used
        return state

    def write(self, state: State, wait: bool = False) -> bool:
        """Have it written, unless it is there already. False when it was given up."""
        self._take_reports()
        if any(self._stands_for(held.tokens, state.tokens) for held in self._held.values()):
            return True
        waiting = sum(pending.num_bytes for pending in self._pending.values())
        if file_bytes(self._key, state) > min(self.budget, MAX_FILE_BYTES) or (
            not wait and waiting + state.num_bytes > MAX_PENDING
        ):
            return False
        name = file_name(self._key, state.tokens)
        self._held[name] = Held(name, state.tokens)
        self._pending[name] = state
        self._todo.put(state)
        if wait:
            self._take(self._written.get())
        return True

    def close(self) -> None:
        """When all is written."""
        self._todo.put(None)
        self._thread.join()
        self._take_reports()

    def check_integrity(self) -> None:
        """While nothing is being written: the index and the folder say the same, within the budget."""
        self._take_reports()
        assert not self._pending
        assert sum(size for _, size, _ in self._files()) <= self.budget
        assert all((self.folder / name).exists() for name in self._held)

    def _scan(self) -> None:
        for path, size, changed in self._files():
            if path.suffix == TEMPORARY and time.time() - changed > STALE_SECONDS:
                _remove(path)
            if path.suffix != SUFFIX or size > MAX_FILE_BYTES:
                continue
            try:
                label = read_label(path)
            except StateFileError as error:
                self._say(f"{path.name} is removed: {error}")
                _remove(path)
                continue
            if label.key == self._key:
                self._held[path.name] = Held(path.name, label.tokens)
            else:
                self._foreign.append(label.tokens)

    def _take_reports(self) -> None:
        with suppress(Empty):
            while True:
                self._take(self._written.get_nowait())

    def _take(self, written: Written) -> None:
        self._pending.pop(written.name, None)
        for name in (*written.removed, *([] if written.is_kept else [written.name])):
            self._held.pop(name, None)

    def _stands_for(self, tokens: list[int], other: list[int]) -> bool:
        return stands_for(tokens, other, self._can_truncate, self._tolerance)

    # what follows runs in the writing thread, which touches the folder alone
    def _run(self) -> None:
        own: dict[str, list[int]] = {name: held.tokens for name, held in self._held.items()}
        while (state := self._todo.get()) is not None:
            name = file_name(self._key, state.tokens)
            covered = [n for n, tokens in own.items() if n != name and self._stands_for(state.tokens, tokens)]
            removed: list[str] = []
            try:
                removed += self._make_room(file_bytes(self._key, state))
                write_state(self.folder, self._key, state)
            except OSError as error:
                self._say(f"a state could not be written: {error}")
                is_kept = False
            else:
                for old in covered:
                    _remove(self.folder / old)
                removed += covered
                own[name] = state.tokens
                is_kept = True
            for old in removed:
                own.pop(old, None)
            self._written.put(Written(name, is_kept, tuple(removed)))

    def _make_room(self, needed: int) -> list[str]:
        """Remove the least recently used until `needed` bytes fit; their names."""
        files = sorted(self._files(), key=lambda file: file[2])
        total = sum(size for _, size, _ in files)
        removed: list[str] = []
        for path, size, _ in files:
            if total + needed <= self.budget and len(files) - len(removed) < MAX_FILES:
                break
            _remove(path)
            removed.append(path.name)
            total -= size
        return removed

    def _files(self) -> list[tuple[Path, int, float]]:
        """Path, bytes and time of last use of every file in the folder."""
        files = []
        with os.scandir(self.folder) as entries:
            for entry in entries:
                with suppress(OSError):  # another process removed it
                    if entry.is_file(follow_symlinks=False) and entry.name.endswith((SUFFIX, TEMPORARY)):
                        status = entry.stat(follow_symlinks=False)
                        files.append((Path(entry.path), status.st_size, status.st_mtime))
        return files

    @staticmethod
    def _say(sentence: str) -> None:
        sys.stderr.write(f"prompt cache: {sentence}\n")


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
