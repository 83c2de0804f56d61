"""The steps in which nothing changes: the same answers run, nobody waits, nothing is guessed, and each says one token.

What a step costs beside its decode is paid in cold memory: some ten times what the same code costs when it is warm. In
such steps the scheduler has nothing to decide, so they do without it, and without all that it would look at.
"""

from backends.engine.runner import Step
from backends.engine.scheduler import Scheduler
from backends.engine.sequence import Sequence

MOST = 8  # steps in a row; from the whole ones between them the engine learns what a step costs now


class Steady:
    """Whoever changes what runs or waits calls `end`."""

    def __init__(self, scheduler: Scheduler, may_guess: bool):
        self.uids: tuple[int, ...] = ()
        self._scheduler = scheduler
        # a recurrent model's states are copied between some steps
        self._is_possible = not may_guess and scheduler.cache.runner.max_draft is None
        self._steps: list[Step] = []
        self._left = 0

    def begin(self) -> None:
        """After a whole step: may the next ones do without the scheduler?"""
        scheduler = self._scheduler
        running = scheduler.running
        if not self._is_possible or not running or scheduler.num_waiting or not all(map(_goes_on, running)):
            return
        if len(running) > scheduler.max_batch_tokens or any(seq.adapters != running[0].adapters for seq in running):
            return
        self._left = min(MOST, min(seq.room for seq in running) - 1)  # none of these says its last token, or rolls
        self._steps = [Step(seq, seq.tokens[-1:]) for seq in running]
        self.uids = tuple(seq.uid for seq in running)

    def end(self) -> None:
        self._left = 0

    def next(self) -> list[Step] | None:
        """The same steps again, each with its newest token; None when the scheduler has to be asked."""
        if self._left <= 0:
            return None
        self._left -= 1
        for step in self._steps:
            step.tokens[0] = step.seq.tokens[-1]
        return self._steps

    def accept(self, sampled: list[list[int]]) -> bool:
        """Book these tokens. False, and nothing is booked, when one of them ends its answer."""
        for step, (token,) in zip(self._steps, sampled, strict=True):
            if token in step.seq.eos or step.seq.failure:
                self._left = 0
                return False
        for step, (token,) in zip(self._steps, sampled, strict=True):
            seq = step.seq
            seq.tokens.append(token)
            seq.completion.append(token)
            seq.num_computed += 1
        return True


def _goes_on(seq: Sequence) -> bool:
    return seq.num_pending == 1 and seq.num_alternatives is None
