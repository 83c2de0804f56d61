"""The tiers below the slots: RAM, then disk. Finds the state that serves a prompt best, and remembers what was lost."""

import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from backends.formats import FormatError
from backends.prompt_cache.copy_costs import CopyCosts, Way
from backends.prompt_cache.disk_cache import DiskCache
from backends.prompt_cache.host_cache import HostCache
from backends.prompt_cache.read_ahead import ReadAhead
from backends.prompt_cache.state import State, Tier, common_prefix
from backends.prompt_cache.state_reader import Held, Read
from backends.protocol import CacheMiss, EngineOptions
from backends.system_memory import system_memory

MIN_TOKENS = 64  # a shorter prompt is read again sooner than a state is copied
MIN_PATIENCE, MAX_PATIENCE = 1.0, 5.0  # seconds that a prompt may wait for the disk; between, as long as it saves
NUM_REMEMBERED = 32  # lost prompts whose reason is still known


@dataclass(frozen=True, slots=True)
class Found:
    """A state whose first `length` tokens begin the prompt."""

    state: State
    length: int
    tier: Tier


class StateStore:
    def __init__(
        self, ram: HostCache, disk: DiskCache | None = None, min_tokens: int = MIN_TOKENS, note: str | None = None
    ):
        """note: a sentence for the load event."""
        self.note = note
        self.ram = ram
        self.disk = disk
        self.min_tokens = min_tokens
        self.max_tokens: int | None = None  # of the largest state that can be restored: who restores says so
        self.costs = CopyCosts()
        self._ahead = ReadAhead(disk.ask) if disk else None
        self._lost: deque[tuple[list[int], CacheMiss]] = deque(maxlen=NUM_REMEMBERED)

    def must_wait(self, prompt: object, tokens: list[int], resident: int) -> bool:
        """Whether the state that serves these tokens best is still on its way from disk: others may go first."""
        if self.disk is None or self._ahead is None:
            return False
        waits = self._ahead.must_wait(prompt)
        if waits is None:
            self.disk.take_reports()
            held, length = self._on_disk(tokens, max(resident, self._in_ram(tokens, resident)[1]))
            waits = held is not None and self.disk.in_memory(held) is None
            if held and waits:
                self._ahead.hold_back(prompt, held, self._patience(length - resident))
        return waits

    def is_held_back(self, prompt: object) -> bool:
        """What `must_wait` last said, without looking again."""
        return bool(self._ahead and self._ahead.must_wait(prompt))

    def no_longer_waits(self, prompt: object) -> None:
        """It is admitted, with what it waited for or without, or has ended."""
        if self._ahead:
            self._ahead.forget(prompt)

    def take(self, read: Read) -> None:
        """A report of the disk's reader."""
        assert self.disk
        assert self._ahead
        self.disk.take(read)
        self._ahead.arrive(read)
        if read.state:
            self.costs.observe(Way.READ, read.held.num_bytes, read.seconds)
        elif read.miss:
            self.forget(read.held.tokens, read.miss)

    def find(self, tokens: list[int], resident: int) -> Found | None:
        """A state in memory that is worth its copy when `resident` tokens of the prompt need none."""
        state, length = self._in_ram(tokens, resident)
        found = Found(state, length, Tier.RAM) if state else None
        held, length = self._on_disk(tokens, max(resident, length))
        if held and self.disk and self._ahead:
            state = self.disk.in_memory(held) or self._ahead.state(held)
            found = Found(state, length, Tier.DISK) if state else found
        return found

    def covers(self, tokens: list[int]) -> bool:
        return self.ram.covers(tokens)

    def keep(self, state: State) -> None:
        """In RAM, and what has to leave RAM for it, on disk."""
        for dropped in self.ram.add(state):
            if not (self.disk and self.disk.write(dropped)):
                self.forget(dropped.tokens, CacheMiss.EVICTED)

    def forget(self, tokens: list[int], reason: CacheMiss) -> None:
        self._lost.append((tokens, reason))

    def why_lost(self, tokens: list[int], found: int) -> CacheMiss | None:
        """Why not more than the first `found` tokens were there, if ever there was more."""
        if self.ram.match(tokens)[1] - found >= self.min_tokens:
            return CacheMiss.NOT_WORTH
        if self.disk and self.disk.match(tokens)[1] - found >= self.min_tokens:
            return CacheMiss.TOO_SLOW if self._on_disk(tokens, found)[0] else CacheMiss.NOT_WORTH
        reason, longest = None, found
        for lost, why in reversed(self._lost):
            shared = common_prefix(lost, tokens)
            if shared > longest and shared - found >= min(self.min_tokens, len(lost) // 2):
                reason, longest = why, shared
        if not reason and self.disk and self.disk.longest_foreign(tokens) - found >= self.min_tokens:
            return CacheMiss.OTHER_BUILD
        return reason

    def close(self) -> None:
        """What is in RAM goes to disk, the most worth keeping first: the process may be ended while it writes."""
        if self.disk:
            for state in self.ram.states:
                self.disk.write(state, wait=True)
            self.disk.close()

    def _in_ram(self, tokens: list[int], instead: int) -> tuple[State | None, int]:
        """A state that pays when `instead` tokens are there without it, and its useful length; or None and 0."""
        if len(tokens) - instead < self.min_tokens:
            return None, 0
        state, length = self.ram.match(tokens)
        if state and self._pays(length - instead, len(state.tokens), state.num_bytes, Tier.RAM):
            return state, length
        return None, 0

    def _on_disk(self, tokens: list[int], instead: int) -> tuple[Held | None, int]:
        if self.disk is None or len(tokens) - instead < self.min_tokens:
            return None, 0
        held, length = self.disk.match(tokens)
        if held and self._pays(length - instead, len(held.tokens), held.num_bytes, Tier.DISK):
            return held, length
        return None, 0

    def _pays(self, gain: int, num_tokens: int, num_bytes: int, tier: Tier) -> bool:
        if self.max_tokens is not None and num_tokens > self.max_tokens:  # kept by a load with a larger context
            return False
        return gain >= self.min_tokens and self.costs.pays(gain, num_tokens, num_bytes, tier)

    def _patience(self, gain: int) -> float:
        return min(MAX_PATIENCE, max(MIN_PATIENCE, self.costs.saved_seconds(gain) or MAX_PATIENCE))


def open_store(options: EngineOptions, key: str, can_truncate: bool, post: Callable[[Read], None]) -> StateStore:
    """The store that the options ask for, for states that only a load with the same `key` may continue.

    post: brings a report of the disk's reader to the engine's thread, which gives it to `StateStore.take`.
    Without a usable folder it is RAM alone, and `note` says why.
    """
    note = None
    ram = min(options.prompt_cache_ram, system_memory().available // 4)
    disk = None
    if options.prompt_cache_folder and options.prompt_cache_disk:
        try:
            folder, budget = options.prompt_cache_folder, options.prompt_cache_disk
            disk = DiskCache(folder, budget, key, post, can_truncate, MIN_TOKENS)
        except (OSError, FormatError) as error:
            note = f"Prompts are not kept on disk: {error}"
            sys.stderr.write(f"prompt cache: {note}\n")
    return StateStore(HostCache(ram, can_truncate, MIN_TOKENS), disk, note=note)
