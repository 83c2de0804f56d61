"""Runs the engine's steps on a llama.cpp context: fill the batch, decode, sample row by row."""

from collections.abc import Sequence as Many

import numpy as np
import numpy.typing as npt

from backends.engine.runner import KVFull, Step
from backends.llama.context import NativeContext
from backends.llama.grammars import GrammarError
from backends.llama.logprobs import logprob
from backends.llama.sampling import ChainSampler
from backends.prompt_cache.state import Payload

Logits = npt.NDArray[np.float32]  # [rows, vocabulary]


class LlamaRunner:
    """One context as the engine's Runner."""

    def __init__(self, context: NativeContext, num_slots: int):
        self.num_slots = num_slots
        self.num_cells = context.num_cells
        self.max_batch_tokens = context.batch_tokens
        self.shares_cells = context.is_unified
        self.max_draft = context.max_draft
        self.can_cut_saved = not context.model.is_recurrent and not context.model.window
        self.can_shift = self.can_cut_saved and context.can_shift
        self._context = context
        self._adapters: tuple[float, ...] = ()

    def copy(self, source: int, target: int, length: int) -> None:
        self._context.copy(source, target, length)

    def truncate(self, slot: int, length: int) -> None:
        self._context.truncate(slot, length)

    def roll(self, slot: int, begin: int, end: int) -> None:
        self._context.roll(slot, begin, end)

    def shortest(self, slot: int, length: int) -> int:
        return self._context.shortest(slot, length)

    def checkpoint(self, slot: int) -> bytearray:
        return self._context.checkpoint(slot)

    def rewind(self, slot: int, length: int, checkpoint: bytearray) -> None:
        self._context.rewind(slot, length, checkpoint)

    def save(self, slot: int, length: int) -> bytearray:
        return self._context.save(slot, length)

    def restore(self, slot: int, payload: Payload) -> None:
        if not self._context.restore(slot, payload):
            raise KVFull

    def run(self, steps: Many[Step]) -> list[list[int]]:
        results: list[list[int]] = [[] for _ in steps]
        for group in self._groups(steps):
            for i, sampled in zip(group, self._run([steps[i] for i in group]), strict=True):
                results[i] = sampled
        return results

    def _groups(self, steps: Many[Step]) -> list[list[int]]:
        """Which steps are decoded together, by ascending slot: in streams only such neighbours share a micro-batch.

        There a batch of different lengths is cut into micro-batches anyway, and all of one attend as far as its
        deepest: so answers go apart from prompts. Streams hold whole contexts, so no later group finds them full.
        """
        order = sorted(range(len(steps)), key=lambda i: steps[i].seq.slot or 0)
        if self.shares_cells:
            return [order]
        answers = [i for i in order if len(steps[i].tokens) == 1]
        prompts = [i for i in order if len(steps[i].tokens) > 1]
        return [group for group in (answers, prompts) if group]

    def _run(self, steps: Many[Step]) -> list[list[int]]:
        firsts, num_rows = self._fill(steps)
        if (adapters := steps[0].seq.adapters) != self._adapters:  # all steps of a batch have the same
            self._context.set_adapters(adapters)
            self._adapters = adapters
        if self._context.decode(num_rows):
            raise KVFull
        num_outputs = sum(len(step.draft) + 1 for step, first in zip(steps, firsts, strict=True) if first is not None)
        if not num_outputs:
            return [[] for _ in steps]
        logits = self._context.logits(num_outputs)
        greedy: list[int] = logits.argmax(axis=1).tolist()
        return self._sample(steps, firsts, logits, greedy)

    def close(self) -> None:
        self._context.close()

    def _piece(self, token: int) -> bytes:
        return self._context.model.piece(token, special=True)

    def _fill(self, steps: Many[Step]) -> tuple[list[int | None], int]:
        """For each step the batch row of its first wanted logits (None before a prompt's end); and all rows."""
        context, begin = self._context, 0
        firsts: list[int | None] = []
        for step in steps:
            seq, end = step.seq, begin + step.num_rows
            assert seq.slot is not None
            if end - begin == 1 and step.samples:  # most steps: four numbers want no slices
                context.set_row(begin, step.tokens[0], seq.num_computed, seq.slot)
                firsts.append(begin)
                begin = end
                continue
            context.tokens[begin : begin + len(step.tokens)] = step.tokens
            if step.draft:
                context.tokens[begin + len(step.tokens) : end] = step.draft
            context.positions[begin:end] = np.arange(seq.num_computed, seq.num_computed + end - begin)
            context.set_slots(begin, end, seq.slot)
            context.outputs[begin:end] = 0
            first = begin + len(step.tokens) - 1 if step.samples else None
            if first is not None:
                context.outputs[first:end] = 1
            firsts.append(first)
            begin = end
        return firsts, begin

    def _sample(
        self, steps: Many[Step], firsts: list[int | None], logits: Logits, greedy: list[int]
    ) -> list[list[int]]:
        results: list[list[int]] = []
        output = 0
        for step, first in zip(steps, firsts, strict=True):
            if first is None:
                results.append([])
                continue
            end = output + len(step.draft) + 1
            results.append(self._sample_step(step, logits[output:end], greedy[output:end]))
            output = end
        return results

    def _sample_step(self, step: Step, logits: Logits, greedy: list[int]) -> list[int]:
        """Target-sample-and-compare: each position is sampled by the target, a guess only saves its decode."""
        sampler = step.seq.sampler
        sampled: list[int] = []
        for i, guess in enumerate([*step.draft, None]):
            token = greedy[i]
            row = logits[i]
            raw = row.copy() if step.seq.num_alternatives is not None else row  # the sampler edits its row
            if isinstance(sampler, ChainSampler):
                try:
                    token = sampler.sample(row)
                except GrammarError as error:  # ends this answer alone: the engine drops it after the step
                    step.seq.failure = str(error)
            sampled.append(token)
            if step.seq.num_alternatives is not None:
                step.seq.logprobs.append(logprob(raw, token, step.seq.num_alternatives, self._piece))
            if token != guess or step.seq.failure:
                break
        return sampled
