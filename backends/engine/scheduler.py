"""Decides which tokens are decoded next. Knows sequences and slots, nothing of llama.cpp.

There is no prefill phase and no decode phase: every running sequence has pending tokens,
one after it has sampled, many while its prompt is read, and each step takes what fits.
"""

from backends.drafting.pace import Share
from backends.drafting.speculation import Speculation
from backends.engine.admission import Admission
from backends.engine.followers import MIN_SHARED
from backends.engine.guesses import Guesses
from backends.engine.places import Places
from backends.engine.prefix_cache import PrefixCache
from backends.engine.prompts import Prompts
from backends.engine.runner import Step
from backends.engine.sequence import Sequence
from backends.engine.shortage import Shortage
from backends.engine.turns import TURN_TOKENS, Turns
from backends.protocol import Finish


class Scheduler:
    """Who runs and who waits is in `places`; `Admission` lets them in, and `Shortage` decides who goes when cells run
    out."""

    def __init__(
        self,
        cache: PrefixCache,
        speculation: Speculation,
        max_running: int,
        min_shared: int = MIN_SHARED,
        turn_tokens: int = TURN_TOKENS,
    ):
        self.cache = cache
        self.speculation = speculation
        self.max_batch_tokens = cache.runner.max_batch_tokens
        num_places = min(max_running, cache.runner.limit.slots)
        self.places = Places(cache, num_places, Turns(turn_tokens), self._forget)
        self.running = self.places.running  # the same list: it is looked at between two decodes
        self._admission = Admission(self.places, cache)
        self._shortage = Shortage(self.places, cache)
        self._prompts = Prompts(cache, speculation.costs.pace, self.places.waiting.rank, min_shared)
        self._guesses = Guesses(cache.runner, speculation)

    @property
    def is_idle(self) -> bool:
        return not self.places.waiting and not self.running

    @property
    def is_blocked(self) -> bool:
        """All that is there waits for a state from disk, or for its reader."""
        return not self.running and all(map(self.cache.keeper.is_held_back, self.places.waiting.standing()))

    @property
    def is_settled(self) -> bool:
        """As long as those who run go on, and nobody comes, none of those who wait has a place."""
        waiting = self.places.waiting
        return not waiting or not self._admission.may_enter(waiting.first)

    @property
    def num_waiting(self) -> int:
        return len(self.places.waiting)

    def add(self, seq: Sequence) -> None:
        self.places.waiting.add(seq)

    def pause(self, seq: Sequence) -> None:
        """Its reader does not read: others have its place until `resume`."""
        self.places.pause(seq)

    def resume(self, seq: Sequence) -> None:
        self.places.resume(seq)

    def finish(self, seq: Sequence, reason: Finish) -> None:
        """End a sequence now, whether it runs or not."""
        self.places.finish(seq, reason)

    def schedule(self) -> list[Step]:
        """The next batch: answers with their guesses first, then as much of the prompts as fits."""
        self._admission.admit()
        turn = self.places.turns.take(self.running)
        answers = [seq for seq in turn if seq.num_pending == 1]
        prompts = [seq for seq in turn if seq.num_pending > 1]
        steps = self._answer_steps(answers[: self.max_batch_tokens], bool(prompts))
        return steps + self._prompts.steps(prompts, self._share(sum(step.num_rows for step in steps)))

    def update(self, steps: list[Step], sampled: list[list[int]]) -> None:
        """Book the decoded tokens, take the accepted ones, let the finished go."""
        for step, tokens in zip(steps, sampled, strict=True):
            seq = step.seq
            seq.num_computed += len(step.tokens)
            for i, token in enumerate(tokens):
                seq.append(token)
                if seq.finish:
                    break
                seq.num_computed += i < len(tokens) - 1  # an accepted guess is in the cache already
            if step.draft:
                self._guesses.account_for(step, len(tokens) - 1)
            self.cache.checkpoints.note(seq)
            if seq.finish:
                self.places.retire(seq)
            elif seq.must_roll:
                self._prompts.moves(seq)
                self.cache.rolls.roll(seq)

    def make_room(self) -> None:
        """No cells were free for the last batch: the next one will need fewer, or has more."""
        self._shortage.make_room()

    def sequences(self) -> list[Sequence]:
        return self.places.sequences()

    def check_integrity(self) -> None:
        self.cache.check_integrity()
        self.places.check_integrity()

    @property
    def _is_answering(self) -> bool:
        return any(seq.num_pending == 1 for seq in self.running)

    def _answer_steps(self, answers: list[Sequence], is_beside_prompts: bool) -> list[Step]:
        if self.places.is_crowded:
            return [Step(seq, seq.tokens[-1:]) for seq in answers]
        return self._guesses.steps(answers, is_beside_prompts)

    def _share(self, num_rows: int) -> Share:
        """Of a step, for prompts beside so many rows of answers."""
        costs, room = self.speculation.costs, self.max_batch_tokens - num_rows
        if not self._is_answering:
            return costs.pace.alone(room)
        return costs.pace.beside(costs.answers(num_rows or 1), room)  # those with other adapters wait for the step

    def _forget(self, seq: Sequence) -> None:
        """It runs no more."""
        self._prompts.forget(seq)
        self.speculation.forget(seq)
