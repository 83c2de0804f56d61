"""Runs the engine's steps on a llama.cpp context: fill the batch, decode, sample row by row."""

from collections.abc import Sequence as Many
from functools import partial

import numpy as np
import numpy.typing as npt

from backends.engine.runner import KVFull, NoMemory, Size, Step
from backends.kv_layout import PADDING
from backends.llama.allowance import Allowance
from backends.llama.answer_rows import AnswerRows
from backends.llama.context import NativeContext
from backends.llama.grammars import GrammarError
from backends.llama.logprobs import logprob, logprob_among
from backends.llama.native import NativeError
from backends.llama.sampling import ChainSampler
from backends.prompt_cache.state import Payload

MAX_LOGITS = 16 << 20  # numbers of the rows that are scored in one step

Logits = npt.NDArray[np.float32]  # [rows, vocabulary]


class LlamaRunner:
    """One context as the engine's Runner."""

    def __init__(
        self, context: NativeContext, num_slots: int, limit: Size | None = None, allowance: Allowance | None = None
    ):
        """limit None: the context keeps its size. allowance None: as much memory as there is."""
        self.num_slots = num_slots
        self.limit = limit or Size(context.cells_per_slot, num_slots)
        self.cell_step = PADDING
        self._allowance = allowance
        self.max_batch_tokens = context.batch_tokens
        self.max_scored = max(1, min(context.batch_tokens, MAX_LOGITS // context.model.vocabulary.num_tokens))
        self.shares_cells = context.is_unified
        self.max_draft = context.max_draft
        self.can_cut_saved = not context.model.is_recurrent and not context.model.window
        self.can_shift = self.can_cut_saved and context.can_shift
        self._context, self._batch = context, context.batch
        self._adapters: tuple[float, ...] = ()
        self._answers: Many[Step] | None = None  # the last steps, if all were of answers
        self._rows: AnswerRows | None = None  # theirs

    @property
    def size(self) -> Size:
        return Size(self._context.cells_per_slot, self.num_slots)

    @property
    def state_form(self) -> str:
        """Of what `save` returns, in a word: another form cannot be restored."""
        if self.shares_cells:
            return "unified"
        return "streams" if self._context.memory.states.are_portable else f"streams={self.num_slots}"

    @property
    def num_cells(self) -> int:
        return self._context.num_cells

    def resize(self, size: Size) -> None:
        num_cells = size.total(self.shares_cells)
        if self._allowance:
            self._allowance.check(self.num_cells, num_cells)
        self._adapters = ()  # none are set in a context that is made anew
        try:
            self._context.resize(num_cells, size.slots)
        except (NativeError, MemoryError) as error:
            if not self._context.pointer:
                raise SystemExit(f"The KV cache could not be made again as it was: {error}") from error
            raise NoMemory(str(error)) from error
        self.num_slots = size.slots

    def copy(self, source: int, target: int, length: int) -> None:
        self._context.memory.copy(source, target, length)

    def truncate(self, slot: int, length: int) -> None:
        self._context.memory.truncate(slot, length)

    def roll(self, slot: int, begin: int, end: int) -> None:
        self._context.memory.roll(slot, begin, end)

    def shortest(self, slot: int, length: int) -> int:
        return self._context.memory.shortest(slot, length)

    def checkpoint(self, slot: int) -> bytearray:
        return self._context.memory.checkpoint(slot)

    def rewind(self, slot: int, length: int, checkpoint: bytearray) -> None:
        self._context.memory.rewind(slot, length, checkpoint)

    def save(self, slot: int, length: int) -> Payload:
        return self._context.memory.save(slot, length)

    def restore(self, slot: int, payload: Payload) -> None:
        if not self._context.memory.restore(slot, payload):
            raise KVFull

    def run(self, steps: Many[Step]) -> list[list[int]]:
        if (steps is self._answers and self._batch.answering) or self._begin_answers(steps):
            return self._run_answers(steps)
        groups = self._groups(steps)
        if len(groups) > 1 and not all(map(self._fits, steps)):  # before anything is decoded
            raise KVFull
        results: list[list[int]] = [[] for _ in steps]
        for group in groups:
            for i, sampled in zip(group, self._run([steps[i] for i in group]), strict=True):
                results[i] = sampled
        return results

    def _fits(self, step: Step) -> bool:
        return step.seq.num_computed + step.num_rows <= self._context.cells_per_slot

    def _begin_answers(self, steps: Many[Step]) -> bool:
        """Whether each says a token, as most steps do, and in the order of their slots. The same list stays so: only
        its tokens may be others."""
        self._answers = self._rows = None
        if self.max_draft or any(len(step.tokens) != 1 or step.draft or not step.samples for step in steps):
            return False
        slots = [step.seq.slot for step in steps]
        if slots != sorted(slots, key=lambda slot: slot or 0):
            return False
        if slots != self._batch.answering:
            self._batch.set_answers(slots)
        self._answers = steps
        return True

    def _run_answers(self, steps: Many[Step]) -> list[list[int]]:
        """What stands here stands between two decodes of most steps."""
        context = self._context
        tokens, positions = self._batch.rows
        for row, step in enumerate(steps):
            tokens[row], positions[row] = step.tokens[0], step.seq.num_computed
        if step.seq.adapters != self._adapters:  # all steps of a batch have the same
            self._set_adapters(step.seq.adapters)
        if context.decode(row + 1):
            raise KVFull
        logits = context.logits(row + 1)
        if (rows := self._rows) is None or rows.logits is not logits:
            rows = self._rows = AnswerRows(steps, logits)
        choices: list[int] = logits.argmax(1).tolist() if rows.has_greedy else [0] * (row + 1)
        rows.draw(choices)
        sampled = [[token] for token in choices]
        for row, step in rows.others:
            sampled[row] = self._sample_step(step, logits[row : row + 1], sampled[row])
        return sampled

    def _groups(self, steps: Many[Step]) -> list[list[int]]:
        """Which steps are decoded together, by ascending slot: in streams only such neighbours share a micro-batch.

        There a batch of different lengths is cut into micro-batches anyway, and all of one attend as far as its
        deepest: so answers go apart from prompts.
        """
        order = sorted(range(len(steps)), key=lambda i: steps[i].seq.slot or 0)
        if self.shares_cells:
            return [order]
        answers = [i for i in order if len(steps[i].tokens) == 1]
        prompts = [i for i in order if len(steps[i].tokens) > 1]
        return [group for group in (answers, prompts) if group]

    def _run(self, steps: Many[Step]) -> list[list[int]]:
        num_rows, num_outputs = self._fill(steps)
        self._decode(steps, num_rows)
        return self._sample(steps, self._context.logits(num_outputs)) if num_outputs else [[] for _ in steps]

    def _decode(self, steps: Many[Step], num_rows: int) -> None:
        if (adapters := steps[0].seq.adapters) != self._adapters:
            self._set_adapters(adapters)
        if self._context.decode(num_rows):
            raise KVFull

    def _set_adapters(self, adapters: tuple[float, ...]) -> None:
        self._context.set_adapters(adapters)
        self._adapters = adapters

    def close(self) -> None:
        self._context.close()

    def _piece(self, token: int) -> bytes:
        return self._context.model.vocabulary.piece(token, special=True)

    def _fill(self, steps: Many[Step]) -> tuple[int, int]:
        """Make the batch. How many rows it has, and of how many of them the logits are wanted."""
        batch, begin, num_outputs = self._batch, 0, 0
        for step in steps:
            seq = step.seq
            assert seq.slot is not None
            end = batch.put(begin, [*step.tokens, *step.draft], seq.num_computed, seq.slot)
            if scored := step.scored:
                batch.outputs[begin + scored.start : begin + scored.stop] = 1
                num_outputs += len(scored)
            if step.samples:
                batch.outputs[begin + len(step.tokens) - 1 : end] = 1
                num_outputs += len(step.draft) + 1
            begin = end
        return begin, num_outputs

    def _sample(self, steps: Many[Step], logits: Logits) -> list[list[int]]:
        """logits: a row for each token that is scored or sampled."""
        greedy: list[int] = logits.argmax(axis=1).tolist()
        results: list[list[int]] = []
        output = 0
        for step in steps:
            if scored := step.scored:
                self._score(step, scored, logits[output : output + len(scored)])
                output += len(scored)
            end = output + len(step.draft) + 1 if step.samples else output
            results.append(self._sample_step(step, logits[output:end], greedy[output:end]) if step.samples else [])
            output = end
        return results

    def _score(self, step: Step, rows: range, logits: Logits) -> None:
        """At once: to keep so many logits until somebody asks would take more memory than the prompt's cells."""
        seq = step.seq
        assert seq.num_prompt_alternatives is not None
        for at, row in zip(rows, logits, strict=True):
            token = seq.tokens[seq.num_computed + at + 1]
            seq.prompt_logprobs.append(logprob(row, token, seq.num_prompt_alternatives, self._piece))

    def _sample_step(self, step: Step, logits: Logits, greedy: list[int]) -> list[int]:
        """Target-sample-and-compare: each position is sampled by the target, a guess only saves its decode."""
        sampler, num_alternatives = step.seq.sampler, step.seq.num_alternatives
        sampled: list[int] = []
        for i, guess in enumerate([*step.draft, None]):
            token = greedy[i]
            row = logits[i]
            # the sampler edits its row, and the next decode writes over all of them
            raw = row.copy() if num_alternatives is not None else row
            if isinstance(sampler, ChainSampler):
                try:
                    token = sampler.sample(row)
                except GrammarError as error:  # ends this answer alone: the engine drops it after the step
                    step.seq.failure = str(error)
            sampled.append(token)
            if num_alternatives is not None and step.seq.after_filters:
                left = sampler.left if isinstance(sampler, ChainSampler) else None
                step.logprobs.append(partial(logprob_among, left, token, num_alternatives, self._piece))
            elif num_alternatives is not None:
                step.logprobs.append(partial(logprob, raw, token, num_alternatives, self._piece))
            if token != guess or step.seq.failure:
                break
        return sampled
