"""States of evicted slots in host RAM, within a budget of bytes. Knows no slot and no file."""

from backends.prompt_cache.state import State, common_prefix, stands_for


class HostCache:
    """The second tier. The least recently used half competes for who goes: the state of least worth does."""

    def __init__(self, budget: int, can_truncate: bool = True, tolerance: int = 1):
        self.budget = budget
        self.num_bytes = 0
        self._can_truncate, self._tolerance = can_truncate, tolerance  # see `stands_for`
        self._states: list[State] = []  # least recently used first

    @property
    def states(self) -> list[State]:
        """Most worth keeping first."""
        return sorted(self._states, key=lambda state: -state.worth)

    def match(self, tokens: list[int]) -> tuple[State | None, int]:
        """The state that shares the longest prefix with tokens, and how long that is."""
        best, length = None, 0
        for state in self._states:
            shared = common_prefix(state.tokens, tokens)
            if shared > length and (self._can_truncate or shared == len(state.tokens)):
                best, length = state, shared
        return best, length

    def covers(self, tokens: list[int]) -> bool:
        """Whether what it holds could stand for these tokens."""
        return any(self._stands_for(state.tokens, tokens) for state in self._states)

    def touch(self, state: State) -> None:
        state.num_uses, state.num_spared = state.num_uses + 1, 0
        if state in self._states:
            self._states.remove(state)
            self._states.append(state)

    def add(self, state: State) -> list[State]:
        """Keep it; the states that had to go for it, perhaps itself."""
        for other in [s for s in self._states if self._stands_for(state.tokens, s.tokens)]:
            state.num_uses = max(state.num_uses, other.num_uses)
            self._remove(other)
        if state.num_bytes > self.budget:
            return [state]
        dropped = []
        while self.num_bytes + state.num_bytes > self.budget:
            dropped.append(self._drop())
        self._states.append(state)
        self.num_bytes += state.num_bytes
        return dropped

    def _drop(self) -> State:
        """The one of least worth among the least recently used half; the others of that half grow old."""
        older_half = self._states[: (len(self._states) + 1) // 2]
        dropped = min(older_half, key=lambda state: state.worth)
        self._remove(dropped)
        for state in older_half:
            state.num_spared += 1
        return dropped

    def check_integrity(self) -> None:
        assert self.num_bytes == sum(state.num_bytes for state in self._states) <= self.budget
        for state in self._states:
            assert state.tokens
            assert not any(self._stands_for(s.tokens, state.tokens) for s in self._states if s is not state), (
                "kept twice"
            )

    def _stands_for(self, tokens: list[int], other: list[int]) -> bool:
        return stands_for(tokens, other, self._can_truncate, self._tolerance)

    def _remove(self, state: State) -> None:
        self._states.remove(state)
        self.num_bytes -= state.num_bytes
