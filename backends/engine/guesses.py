"""The guesses in a batch: how many rows of it they may take, and what becomes of them. Knows what a runner takes back,
not who guesses."""

from backends.drafting.speculation import Speculation
from backends.engine.runner import Runner, Step
from backends.engine.sequence import Sequence


class Guesses:
    def __init__(self, runner: Runner, speculation: Speculation):
        self._runner, self._speculation = runner, speculation

    def steps(self, answers: list[Sequence], is_beside_prompts: bool) -> list[Step]:
        """One of each answer, with its guesses."""
        guesses = self._guesses(answers, is_beside_prompts)
        return [Step(seq, seq.tokens[-1:], guesses.get(seq, [])) for seq in answers]

    def account_for(self, step: Step, num_accepted: int) -> None:
        """Take back those that were wrong, and learn from it."""
        seq = step.seq
        assert seq.slot is not None
        self._runner.truncate(seq.slot, seq.num_computed)
        seq.num_drafted += len(step.draft)
        seq.num_accepted += num_accepted
        self._speculation.observe(seq, len(step.draft), num_accepted)

    def _guesses(self, answers: list[Sequence], is_beside_prompts: bool) -> dict[Sequence, list[int]]:
        most = self._runner.max_draft
        room = (self._runner.max_batch_tokens - len(answers)) // max(1, len(answers))
        if most is not None:  # a prompt beside them would be longer, see Runner
            room = 0 if is_beside_prompts else min(room, most)
        if not room or not answers:  # all may wait for the disk
            return {}
        limits = {seq: min(room, seq.most_guesses) for seq in answers if seq.max_draft != 0}
        guesses = self._speculation.propose(limits)
        if most is not None:
            shortest = min(len(guesses.get(seq, [])) for seq in answers)
            guesses = {seq: tokens[:shortest] for seq, tokens in guesses.items()}
        return guesses
