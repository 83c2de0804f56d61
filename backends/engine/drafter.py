"""Cheap guesses at the next tokens; the target model checks them all in one decode."""

from dataclasses import dataclass
from time import perf_counter
from typing import Protocol

from backends.engine.prefix_cache import PrefixCache, common_prefix
from backends.engine.runner import KVFull, Runner, Step
from backends.engine.sequence import Sequence


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

    def lag_seconds(self, seq: Sequence) -> float:
        """What it would cost to make ready for this sequence."""

    def forget(self, seq: Sequence) -> None:
        """The sequence has ended or is paused."""


class LookupDrafter:
    """Prompt lookup: what followed the last n tokens the last time they occurred in prompt or answer."""

    is_free = True

    def __init__(self, max_ngram: int = 5, min_ngram: int = 2):
        self._sizes = range(max_ngram, min_ngram - 1, -1)
        self._indices: dict[Sequence, _NgramIndex] = {}
        self.kinds = {_kind(size): 1 - 1.2 / (size + 1) for size in self._sizes}

    def propose(self, wanted: dict[Sequence, int]) -> dict[Sequence, Guess]:
        guesses = {}
        for seq, limit in wanted.items():
            index = self._indices.setdefault(seq, _NgramIndex(self._sizes))
            if guess := index.continuation(seq.tokens, limit):
                guesses[seq] = guess
        return guesses

    def lag_seconds(self, seq: Sequence) -> float:  # noqa: ARG002
        return 0.0

    def forget(self, seq: Sequence) -> None:
        self._indices.pop(seq, None)


def _kind(size: int) -> str:
    return f"lookup of {size}"


class _NgramIndex:
    """Where each n-gram of one sequence last ended; grows with it, so a look-up costs no scan."""

    def __init__(self, sizes: range):
        self._sizes = sizes
        self._ends: dict[tuple[int, ...], int] = {}
        self._num_indexed = 0

    def continuation(self, tokens: list[int], limit: int) -> Guess | None:
        # the n-grams that end at the last token are left out: they would find themselves
        for end in range(self._num_indexed + 1, len(tokens)):
            for size in self._sizes:
                if end >= size:
                    self._ends[tuple(tokens[end - size : end])] = end
        self._num_indexed = max(self._num_indexed, len(tokens) - 1)
        for size in self._sizes:
            found = self._ends.get(tuple(tokens[-size:]))
            if found is not None and len(tokens) >= size:
                return Guess(tokens[found : found + limit], _kind(size))
        return None


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
            if not self._cache.evict():
                self._drop_all()
            return {}

    def lag_seconds(self, seq: Sequence) -> float:
        mirror = self._mirrors.get(seq)
        known = mirror.num_computed if mirror else self._cache.match(seq.tokens[:-1])[1]
        return max(0, len(seq.tokens) - 1 - known) * self._read_seconds

    def forget(self, seq: Sequence) -> None:
        if mirror := self._mirrors.pop(seq, None):
            self._cache.release(mirror)

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
