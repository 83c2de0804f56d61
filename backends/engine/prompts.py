"""What of the prompts a step reads: whose turn it is, who waits for what another one is reading, and how much fits."""

from collections.abc import Callable

from backends.drafting.pace import Pace, Share
from backends.engine.followers import Followers
from backends.engine.line import Rank
from backends.engine.prefix_cache import PrefixCache
from backends.engine.prompt_turns import PromptTurns
from backends.engine.runner import Step
from backends.engine.sequence import Sequence


class Prompts:
    """Those that are being read."""

    def __init__(self, cache: PrefixCache, pace: Pace, rank: Callable[[Sequence], Rank], min_shared: int):
        """rank: of two prompts that begin alike the lower one's is read. min_shared: as in `Followers`."""
        self._cache = cache
        self._pace = pace
        self._rank = rank
        self._followers = Followers(min_shared)
        self._turns = PromptTurns()
        self._behind: set[Sequence] = set()  # prompts that had to wait: others may have read on for them

    def steps(self, prompts: list[Sequence], share: Share) -> list[Step]:
        """Chunks, as far as they go in the step's time."""
        steps, may_score = [], self._cache.runner.max_scored
        for seq in self._turns.order(self._readers(prompts)):
            if share.is_spent or (seq.num_unscored and not may_score):
                self._behind.add(seq)
                continue
            if seq in self._behind:
                self._behind.remove(seq)
                self._cache.catch_up(seq)
            begin = seq.num_computed
            most = self._cache.checkpoints.chunk_end(seq) - begin
            num_tokens = share.take(begin, min(most, may_score) if seq.num_unscored else most)
            if num_tokens:
                self._turns.took(seq, self._pace.seconds(num_tokens, begin))
                steps.append(Step(seq, seq.tokens[begin : begin + num_tokens]))
                may_score -= len(steps[-1].scored)
        return steps

    def forget(self, seq: Sequence) -> None:
        """It runs no more."""
        self._behind.discard(seq)
        self._followers.forget(seq)

    def moves(self, seq: Sequence) -> None:
        """Its tokens do: it begins no longer like others."""
        self._followers.forget(seq)

    def _readers(self, prompts: list[Sequence]) -> list[Sequence]:
        """Those that do not wait for another one to read what they need, too."""
        readers: list[Sequence] = []
        for seq in sorted(prompts, key=self._rank):
            if self._follows(seq, readers):
                self._behind.add(seq)
            else:
                readers.append(seq)
        return readers

    def _follows(self, seq: Sequence, readers: list[Sequence]) -> bool:
        if self._cache.runner.max_draft is not None:  # a checkpoint is unlikely to lie just where they part
            return False
        return self._followers.follows(seq, readers)
