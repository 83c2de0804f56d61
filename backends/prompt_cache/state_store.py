"""The tiers below the slots: RAM, then disk. Finds the state that serves a prompt best, and remembers what was lost."""

import sys
from collections import deque
from dataclasses import dataclass

import psutil

from backends.formats import FormatError
from backends.prompt_cache.disk_cache import DiskCache
from backends.prompt_cache.host_cache import HostCache
from backends.prompt_cache.state import State, Tier, common_prefix
from backends.protocol import CacheMiss, EngineOptions

MIN_TOKENS = 64  # a shorter prompt is read again sooner than a state is copied
# measured per token, 110 M Llama, f16, two cores: decoded 1,750 µs, restored 9 µs, read from disk and proven 70-270 µs
MAX_COPIED_PER_GAINED = {Tier.RAM: 16, Tier.DISK: 8}
NUM_REMEMBERED = 32  # lost prompts whose reason is still known


@dataclass(frozen=True, slots=True)
class Found:
    """A state whose first `length` tokens begin the prompt."""

    state: State
    length: int
    tier: Tier


class StateStore:
    def __init__(self, ram: HostCache, disk: DiskCache | None = None, min_tokens: int = MIN_TOKENS):
        self.ram = ram
        self.disk = disk
        self.min_tokens = min_tokens
        self._lost: deque[tuple[list[int], CacheMiss]] = deque(maxlen=NUM_REMEMBERED)

    def find(self, tokens: list[int], resident: int) -> Found | None:
        """A state worth its copy when `resident` tokens of the prompt need none."""
        if len(tokens) - resident < self.min_tokens:
            return None
        state, length = self.ram.match(tokens)
        found = (
            Found(state, length, Tier.RAM) if state and self._pays(state.tokens, length, resident, Tier.RAM) else None
        )
        least = found.length if found else resident
        if self.disk:
            held, length = self.disk.match(tokens)
            if held and self._pays(held.tokens, length, least, Tier.DISK):
                state = self.disk.read(held)
                if state:
                    return Found(state, length, Tier.DISK)
                self.forget(held.tokens, CacheMiss.DAMAGED)
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
        reason, longest = None, found
        for lost, why in self._lost:
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

    def _pays(self, held: list[int], length: int, instead: int, tier: Tier) -> bool:
        gain = length - instead
        return gain >= self.min_tokens and gain * MAX_COPIED_PER_GAINED[tier] >= len(held)


def open_store(options: EngineOptions, key: str, can_truncate: bool) -> StateStore:
    """The store that the options ask for, for states that only a load with the same `key` may continue.

    Without a usable folder it is RAM alone, and the log says why.
    """
    ram = min(options.prompt_cache_ram, psutil.virtual_memory().available // 4)
    disk = None
    if options.prompt_cache_folder and options.prompt_cache_disk:
        try:
            disk = DiskCache(options.prompt_cache_folder, options.prompt_cache_disk, key, can_truncate, MIN_TOKENS)
        except (OSError, FormatError) as error:
            sys.stderr.write(f"prompt cache: nothing is kept on disk: {error}\n")
    return StateStore(HostCache(ram, can_truncate, MIN_TOKENS), disk)
