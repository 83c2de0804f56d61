"""States on disk, within a budget of bytes. The engine's thread owns the index; one thread writes, one reads.

Every file is doubted until its sum is proven; what cannot be believed is removed, and was never there.
"""

import shutil
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

from backends.formats.kept_prompts import SUFFIX, TEMPORARY, KeptFile, claim_folder, kept_files
from backends.prompt_cache.state import State, common_prefix, stands_for
from backends.prompt_cache.state_file import StateFileError, file_bytes, file_name, is_left, read_label, write_state
from backends.prompt_cache.state_reader import Held, Read, StateReader

MAX_PENDING = 1 << 29  # bytes that wait for the disk; beyond them a state is given up rather than memory
MAX_FILE_BYTES = 1 << 30  # one that was read lies in memory until its prompt is admitted
SPARE_BYTES = 1_000_000_000
MAX_FILES = 512  # each admission compares its prompt with all of them
STALE_SECONDS = 3600.0  # a temporary file of this age was left by a crash, where no lock says so


def spare_bytes(total: int) -> int:
    """What stays free on a disk of so many bytes: 1 GB or 5 %, whichever is more; of a tiny disk a quarter."""
    return min(max(SPARE_BYTES, total // 20), total // 4)


@dataclass(frozen=True, slots=True)
class Written:
    """The writer's report of one state: is_kept False when it did not get onto the disk."""

    name: str
    is_kept: bool
    removed: tuple[str, ...]


class DiskCache:
    """The third tier: one file per state, shared by all models and processes. Raises OSError without a folder.

    What `ask` asked for comes back through `post`, which is called from the reading thread.
    """

    def __init__(
        self,
        folder: Path,
        budget: int,
        key: str,
        post: Callable[[Read], None],
        can_truncate: bool = True,
        tolerance: int = 1,
    ):
        self._folder = claim_folder(folder)  # for its owner alone: prompts can be read back from the tokens
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
        self._reader = StateReader(self._folder, key, post)

    @property
    def folder(self) -> Path:
        return self._folder.path

    def match(self, tokens: list[int]) -> tuple[Held | None, int]:
        """The state that shares the longest prefix with tokens, and how long that is."""
        best, length = None, 0
        for held in self._held.values():
            shared = common_prefix(held.tokens, tokens)
            if shared > length and (self._can_truncate or shared == len(held.tokens)):
                best, length = held, shared
        return best, length

    def longest_foreign(self, tokens: list[int]) -> int:
        return max((common_prefix(foreign, tokens) for foreign in self._foreign), default=0)

    def in_memory(self, held: Held) -> State | None:
        """One that is still to be written."""
        return self._pending.get(held.name)

    def ask(self, held: Held) -> None:
        self._reader.ask(held)

    def take(self, read: Read) -> None:
        """Book a report: what could not be read is not there."""
        if not read.state and read.held.name not in self._pending:
            self._held.pop(read.held.name, None)

    def write(self, state: State, wait: bool = False) -> bool:
        """Have it written, unless it is there already. False when it was given up."""
        self.take_reports()
        if any(self._stands_for(held.tokens, state.tokens) for held in self._held.values()):
            return True
        waiting = sum(pending.num_bytes for pending in self._pending.values())
        if file_bytes(self._key, state) > min(self.budget, MAX_FILE_BYTES) or (
            not wait and waiting + state.num_bytes > MAX_PENDING
        ):
            return False
        name = file_name(self._key, state.tokens)
        self._held[name] = Held(name, state.tokens, state.num_bytes)
        self._pending[name] = state
        self._todo.put(state)
        if wait:
            self._take(self._written.get())
        return True

    def close(self) -> None:
        """When all is written."""
        self._reader.close()
        self._todo.put(None)
        self._thread.join()
        self.take_reports()
        self._folder.close()

    def check_integrity(self) -> None:
        """While nothing is being written: the index and the folder say the same, within the budget."""
        self.take_reports()
        assert not self._pending
        files = {file.name: file.num_bytes for file in self._files()}
        assert sum(files.values()) <= self.budget
        assert self._held.keys() <= files.keys()

    def _scan(self) -> None:
        for file in self._files():
            if file.name.endswith(TEMPORARY) and self._is_left(file):
                self._folder.discard(file.name)
            if not file.name.endswith(SUFFIX) or file.num_bytes > MAX_FILE_BYTES:
                continue
            try:
                label = read_label(self._folder.directory, file.name)
            except StateFileError as error:
                self._say(f"{file.name} is removed: {error}")
                self._folder.discard(file.name)
                continue
            if label.key == self._key:
                self._held[file.name] = Held(file.name, label.tokens, file.num_bytes)
            else:
                self._foreign.append(label.tokens)

    def _is_left(self, file: KeptFile) -> bool:
        try:
            return is_left(self._folder.directory, file.name)
        except OSError:
            return time.time() - file.used > STALE_SECONDS

    def take_reports(self) -> None:
        """What the writer has done meanwhile."""
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
                write_state(self._folder.directory, self._key, state)
            except OSError as error:
                self._say(f"a state could not be written: {error}")
                is_kept = False
            else:
                for old in covered:
                    self._folder.discard(old)
                removed += covered
                own[name] = state.tokens
                is_kept = True
            for old in removed:
                own.pop(old, None)
            self._written.put(Written(name, is_kept, tuple(removed)))
            del state  # much memory, while it waits for the next

    def _make_room(self, needed: int) -> list[str]:
        """Removes the least recently used until `needed` bytes fit; their names. OSError when they never would."""
        files = sorted(self._files(), key=lambda file: file.used)
        total = sum(file.num_bytes for file in files)
        allowed = min(self.budget, total + self._free())
        if needed > allowed:
            raise OSError(f"the disk of {self._folder.path} is nearly full")
        removed: list[str] = []
        for file in files:
            if total + needed <= allowed and len(files) - len(removed) < MAX_FILES:
                break
            if self._folder.discard(file.name):
                removed.append(file.name)
                total -= file.num_bytes
        return removed

    def _files(self) -> list[KeptFile]:
        return kept_files(self._folder.directory)

    def _free(self) -> int:
        """What the cache may take of the disk's free bytes; below zero: what it should give back."""
        usage = shutil.disk_usage(self._folder.path)
        return usage.free - spare_bytes(usage.total)

    @staticmethod
    def _say(sentence: str) -> None:
        sys.stderr.write(f"prompt cache: {sentence}\n")
