"""How the rows of a batch of answers become tokens. What can be made once for steps that are alike is made once."""

from collections.abc import Sequence as Many
from itertools import groupby

from backends.engine.runner import Step
from backends.llama.candidates import Candidates, Rows
from backends.llama.grammars import GrammarError
from backends.llama.sampling import ChainSampler


class AnswerRows:
    """Of the same steps, as long as their logits stand in the same place."""

    def __init__(self, steps: Many[Step], logits: Rows):
        """logits: a row for each step."""
        self.logits = logits
        self.has_greedy = False  # rows whose greatest logit is wanted
        self.others: list[tuple[int, Step]] = []  # whose sampler or logprobs want the whole row
        self._drawn: list[_Drawn] = []
        row = 0
        for count, neighbours in groupby(steps, _num_candidates):
            group = list(neighbours)
            if count is None:
                self.has_greedy = True
                self.others += [(at, step) for at, step in enumerate(group, row) if not _is_greedy(step)]
            else:
                self._drawn.append(_Drawn(row, group, logits[row : row + len(group)], count))
            row += len(group)

    def draw(self, tokens: list[int]) -> None:
        """Set the tokens of the rows that are drawn."""
        for group in self._drawn:
            group.draw(tokens)


class _Drawn:
    """Neighbours that are drawn from as many candidates, which are looked for together."""

    def __init__(self, first: int, steps: list[Step], logits: Rows, count: int):
        self._candidates = Candidates(logits, count)
        self._places: list[tuple[int, int, Step, ChainSampler]] = []
        for at, step in enumerate(steps):
            assert isinstance(step.seq.sampler, ChainSampler)
            self._places.append((first + at, at, step, step.seq.sampler))
        self._edits = [(sampler.edit, logits[at]) for _, at, _, sampler in self._places if sampler.edits]

    def draw(self, tokens: list[int]) -> None:
        for edit, row in self._edits:
            edit(row)
        candidates = self._candidates
        candidates.find()
        for row, at, step, sampler in self._places:
            try:
                tokens[row] = sampler.choose(candidates, at)
            except GrammarError as error:  # ends this answer alone: the engine drops it after the step
                step.seq.failure = str(error)


def _is_greedy(step: Step) -> bool:
    return step.seq.sampler is None and step.seq.num_alternatives is None


def _num_candidates(step: Step) -> int | None:
    sampler = step.seq.sampler
    if step.seq.num_alternatives is not None or not isinstance(sampler, ChainSampler):
        return None
    return sampler.cut
