"""Cheap guesses at the next tokens; the target model checks them all in one decode."""

from dataclasses import dataclass
from time import perf_counter
from typing import Protocol

from backends.engine.prefix_cache import PrefixCache
from backends.engine.runner import KVFull, Runner, Step
from backends.engine.sequence import Sequence
from backends.prompt_cache.state import common_prefix


@dataclass(frozen=True, slots=True)
class Guess:
    """Next tokens, and what kind of guess they are: kinds differ in how often they hold."""

    tokens: list[int]
    kind: str


class Drafter(Protocol):
    kinds: dict[str, float]  # each with the share of its guesses that holds, before anything is known
    is_free: bool  # its guesses cost next to nothing to make

    def propose(self, wanted: dict[Sequence, int]) -> dict[Sequence, Guess]:
        """For each sequence at most so many next tokens; sequences without a guess are left out."""

    def has_guess(self, seq: Sequence) -> bool:
        """Whether `propose` might find one now. Asked between two decodes."""

    def lag_seconds(self, seq: Sequence) -> float:
        """What it would cost to make ready for this sequence."""

    def forget(self, seq: Sequence) -> None:
        """The sequence has ended or is paused."""

    def shrink(self) -> None:
        """Give memory back that is not needed now."""


class LookupDrafter:
    """Prompt lookup: what followed the last n tokens the last time they occurred in prompt or answer."""

    is_free = True

    def __init__(self, ngram: int = 3, longest: int = 6):
        self._ngram, self._longest = ngram, longest
        self._indices: dict[Sequence, _NgramIndex] = {}
        # a longer match holds more often, so it is a kind of its own
        self.kinds = {_kind(size): 1 - 1.2 / size for size in range(longest, ngram - 1, -1)}

    def propose(self, wanted: dict[Sequence, int]) -> dict[Sequence, Guess]:
        guesses = {}
        for seq, limit in wanted.items():
            if (end := self._index(seq).find(seq.tokens)) is not None:
                size = _common_suffix(seq.tokens, end, self._longest)
                guesses[seq] = Guess(seq.tokens[end : end + limit], _kind(size))
        return guesses

    def has_guess(self, seq: Sequence) -> bool:
        return self._index(seq).find(seq.tokens) is not None

    def lag_seconds(self, seq: Sequence) -> float:  # noqa: ARG002
        return 0.0

    def forget(self, seq: Sequence) -> None:
        self._indices.pop(seq, None)

    def shrink(self) -> None:
        pass

    def _index(self, seq: Sequence) -> "_NgramIndex":
        index = self._indices.get(seq)
        if index is None or index.num_rolled != seq.num_rolled:  # its tokens have moved
            index = self._indices[seq] = _NgramIndex(self._ngram, seq.num_rolled)
        return index


def _kind(size: int) -> str:
    return f"lookup of {size}"


def _common_suffix(tokens: list[int], end: int, longest: int) -> int:
    """How many tokens before `end` are the same as the last ones, up to `longest`."""
    size = 0
    while size < longest and size < end and tokens[end - 1 - size] == tokens[-1 - size]:
        size += 1
    return size


class _NgramIndex:
    """Where each n-gram of one sequence last ended; grows with it, so a look-up costs no scan."""

    def __init__(self, size: int, num_rolled: int):
        self.num_rolled = num_rolled
        self._size = size
        self._ends: dict[tuple[int, ...], int] = {}
        self._num_indexed = size - 1
        self._found: int | None = None  # before the last n-gram took its place

    def find(self, tokens: list[int]) -> int | None:
        """The end of the last earlier occurrence of the last n tokens. `tokens` only grow."""
        size, ends = self._size, self._ends
        for end in range(self._num_indexed + 1, len(tokens) + 1):
            ngram = tuple(tokens[end - size : end])
            self._found = ends.get(ngram)
            ends[ngram] = end
        self._num_indexed = max(self._num_indexed, len(tokens))
        return self._found


class ModelDrafter:
    """A small model with the same vocabulary, its steps batched over all sequences.

    It follows each target sequence with a mirror of its own, in its own KV cache with its own prefix cache.
    """

    is_free = False

    def __init__(self, runner: Runner, name: str):
        self.kinds = {name: 0.7}
        self._kind = name
        self._runner = runner
        self._read_seconds = 0.0  # per token of a prompt
        self._cache = PrefixCache(runner)
        self._mirrors: dict[Sequence, Sequence] = {}

    def propose(self, wanted: dict[Sequence, int]) -> dict[Sequence, Guess]:
        try:
            mirrors = {seq: self._follow(seq) for seq in wanted}
            ready = self._catch_up({s: m for s, m in mirrors.items() if m})
            guesses = self._draft({seq: wanted[seq] for seq in ready})
            return {seq: Guess(tokens, self._kind) for seq, tokens in guesses.items()}
        except KVFull:  # no guesses this time, and room for the next
            if not self._cache.room.grow() and not self._cache.evict():
                self._drop_all()
            return {}

    def has_guess(self, seq: Sequence) -> bool:  # noqa: ARG002
        return True

    def lag_seconds(self, seq: Sequence) -> float:
        mirror = self._mirrors.get(seq)
        known = mirror.num_computed if mirror else self._cache.match(seq.tokens[:-1])[1]
        return max(0, len(seq.tokens) - 1 - known) * self._read_seconds

    def forget(self, seq: Sequence) -> None:
        if mirror := self._mirrors.pop(seq, None):
            self._cache.release(mirror)

    def shrink(self) -> None:
        self._cache.room.shrink()

    def _follow(self, seq: Sequence) -> Sequence | None:
        """The mirror of seq, cut back to what both have in common. None when all slots are busy."""
        mirror = self._mirrors.get(seq)
        if mirror is None:
            mirror = Sequence(seq.uid, list(seq.tokens), max_tokens=1 << 30)
            if not self._cache.admit(mirror):
                return None
            self._mirrors[seq] = mirror
            return mirror
        known = min(common_prefix(mirror.cached_tokens, seq.tokens), len(seq.tokens) - 1)
        if known < mirror.num_computed:
            assert mirror.slot is not None
            if known < self._runner.shortest(mirror.slot, mirror.num_computed):
                known = 0
            self._runner.truncate(mirror.slot, known)
            mirror.num_computed = known
        mirror.tokens[known:] = seq.tokens[known:]
        return mirror

    def _catch_up(self, mirrors: dict[Sequence, Sequence]) -> list[Sequence]:
        """Decode long prompts a batch at a time; the sequences returned have one token pending."""
        room = self._runner.max_batch_tokens - len(mirrors)
        steps = []
        for mirror in mirrors.values():
            if mirror.num_pending > 1 and room > 0:
                end = mirror.num_computed + min(room, mirror.num_pending - 1)
                steps.append(Step(mirror, mirror.tokens[mirror.num_computed : end]))
                room -= len(steps[-1].tokens)
        if steps:
            begin = perf_counter()
            self._runner.run(steps)
            num_read = 0
            for step in steps:
                step.seq.num_computed += len(step.tokens)
                num_read += len(step.tokens)
            self._read_seconds = (perf_counter() - begin) / num_read
        return [seq for seq, mirror in mirrors.items() if mirror.num_pending == 1]

    def _draft(self, wanted: dict[Sequence, int]) -> dict[Sequence, list[int]]:
        guesses: dict[Sequence, list[int]] = {seq: [] for seq in wanted}
        while active := [seq for seq in wanted if len(guesses[seq]) < wanted[seq]]:
            steps = [Step(m, m.tokens[m.num_computed :]) for m in (self._mirrors[s] for s in active)]
            for seq, step, sampled in zip(active, steps, self._runner.run(steps), strict=True):
                step.seq.num_computed += len(step.tokens)
                step.seq.append(sampled[0])
                guesses[seq].append(sampled[0])
        return guesses

    def _drop_all(self) -> None:
        for seq in list(self._mirrors):
            self.forget(seq)
        self._cache.clear()
