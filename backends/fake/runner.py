"""A KV cache of shared cells that refuses any position that does not fit what the slot holds."""

import hashlib
import os
import random
import signal
import time
from collections.abc import Callable
from collections.abc import Sequence as Many
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from backends.engine.runner import CellsLost, KVFull, NoMemory, Size, Step
from backends.prompt_cache.state import Payload
from backends.protocol import Chance, TokenLogprob

SAVED = 0x51A7E  # begins every saved state
NextToken = Callable[[list[int]], int]


class FakeSampler:
    """Moves the greedy token by a seeded random number per position: shows who samples a position twice."""

    is_hurried = False  # no grammar holds it

    def __init__(self, seed: int, vocab: int):
        self._random = random.Random(seed)
        self._vocab = vocab

    def sample(self, greedy: int) -> int:
        return (greedy + self._random.randrange(2)) % self._vocab

    def close(self) -> None:
        pass


@dataclass(eq=False, slots=True)
class Cell:
    """One position of one or more slots."""

    token: int
    adapters: tuple[float, ...]
    was_moved: bool = False  # by a roll: it has seen what is gone


class FakeRunner:
    """Decodes with `next_token`, a pure function of the whole prefix, and counts its work.

    max_draft makes it recurrent, as `Runner` says. window: layers that see so many tokens, whose older cells llama.cpp
    gives away at any time and never saves.
    """

    def __init__(
        self,
        next_token: NextToken,
        num_slots: int,
        num_cells: int,
        max_batch_tokens: int = 512,
        max_draft: int | None = None,
        window: int | None = None,
        seconds_per_step: float = 0.0,
        shares_cells: bool = True,
        adapters: tuple[float, ...] = (),
        can_shift: bool = True,
        limit: Size | None = None,
        cell_step: int = 1,
    ):
        """num_cells: of all slots together. limit None: the cache keeps its size."""
        self.shares_cells = shares_cells  # else each slot has an equal part of them
        self.size = Size(num_cells if shares_cells else num_cells // num_slots, num_slots)
        self.limit = limit or self.size
        self.cell_step = cell_step
        self.memory: int | None = None  # cells of all slots that there is memory for; None: for any number
        self.num_until_loss: int | None = None  # resizes that go well before one loses all cells; None: any number
        self.num_resizes = 0
        self.num_refused = 0
        self.num_losses = 0
        self.max_batch_tokens = max_batch_tokens
        self.max_scored = max_batch_tokens
        self.max_draft = max_draft
        self.window = window
        self.can_cut_saved = max_draft is None and window is None
        self.can_shift = can_shift and self.can_cut_saved
        self.num_runs = 0
        self.num_rolls = 0
        self.num_decoded = 0
        self.num_saves = 0
        self.num_restores = 0
        self.num_adapter_changes = 0
        self.num_rewinds = 0
        self.seconds_per_step = seconds_per_step
        self._next_token = next_token
        self._own_adapters = self._adapters = adapters
        self._kv: dict[int, list[Cell]] = {slot: [] for slot in range(num_slots)}
        self._firsts = dict.fromkeys(range(num_slots), 0)  # the first position whose cell the window's layers have
        self._undoable: dict[int, int] = {}  # rows of the last step that a recurrent slot can take back
        self._issued: set[bytes] = set()

    @property
    def num_slots(self) -> int:
        return self.size.slots

    @property
    def num_cells(self) -> int:
        return self.size.total(self.shares_cells)

    @property
    def used_cells(self) -> int:
        return len({id(cell) for held in self._kv.values() for cell in held})

    @property
    def num_held(self) -> int:
        """Cells as the slots see them: a shared one counts for each."""
        return sum(map(len, self._kv.values()))

    def resize(self, size: Size) -> None:
        assert self.limit.covers(size), "larger than the limit"
        assert not any(held for slot, held in self._kv.items() if slot >= size.slots), "a slot that holds tokens goes"
        longest = self.used_cells if self.shares_cells else max(map(len, self._kv.values()))
        assert longest <= size.cells, "what is held does not fit"
        if self.memory is not None and size.total(self.shares_cells) > self.memory:
            self.num_refused += 1
            raise NoMemory("The fake runner was told to have no memory for that.")
        if self.num_until_loss == 0:
            self._lose()
        if self.num_until_loss is not None:
            self.num_until_loss -= 1
        self.num_resizes += 1
        self.size = size
        self._kv = {slot: self._kv.get(slot, []) for slot in range(size.slots)}
        self._firsts = {slot: self._firsts.get(slot, 0) for slot in range(size.slots)}
        self._undoable = {}

    def _lose(self) -> None:
        """As llama.cpp's does where its context could be made once more, but not filled."""
        self.num_until_loss = None
        self.num_losses += 1
        self.size = replace(self.size, cells=min(self.size.cells, self.cell_step))
        self._kv = {slot: [] for slot in range(self.num_slots)}
        self._firsts = dict.fromkeys(range(self.num_slots), 0)
        self._undoable = {}
        raise CellsLost("The fake runner was told to lose its cells.")

    def copy(self, source: int, target: int, length: int) -> None:
        assert not self._kv[target], "a copy into a slot that still holds tokens"
        num_held = len(self._kv[source])
        assert num_held >= length
        assert length == num_held or length >= self.shortest(source, num_held), "this much of a copy cannot be cut off"
        held = self._kv[source][:length]
        assert _are_as_read(held), "a copy of tokens that have seen what is gone"
        self._kv[target] = held if self.shares_cells else [replace(cell) for cell in held]
        self._firsts[target] = self._firsts[source]

    def truncate(self, slot: int, length: int) -> None:
        held = self._kv[slot]
        assert len(held) >= length, "a truncation beyond the end"
        is_undo = len(held) - length <= self._undoable.pop(slot, 0)
        assert length == 0 or is_undo or length >= self.shortest(slot, len(held)), "this slot cannot go back so far"
        self._cut(slot, length)

    def shortest(self, slot: int, length: int) -> int:
        assert len(self._kv[slot]) == length, "the slot holds another number of tokens"
        if self.max_draft is not None:
            return length
        first = self._firsts[slot]
        return first + self.window - 1 if self.window and first else 0

    def checkpoint(self, slot: int) -> bytearray:
        assert self._kv[slot], "an empty slot needs no checkpoint"
        payload = _digest(self._kv[slot])
        self._issued.add(payload)
        return bytearray(payload)

    def rewind(self, slot: int, length: int, checkpoint: bytearray) -> None:
        assert bytes(checkpoint) in self._issued, "these bytes are no checkpoint"
        assert bytes(checkpoint) == _digest(self._kv[slot][:length]), "a checkpoint of other tokens"
        self.num_rewinds += 1
        self._undoable.pop(slot, None)
        self._cut(slot, length)

    def roll(self, slot: int, begin: int, end: int) -> None:
        assert self.can_shift
        held = self._kv[slot]
        assert 0 < begin < end < len(held), "a roll of nothing, or one that leaves nothing behind it"
        others = {id(cell) for other, cells in self._kv.items() if other != slot for cell in cells}
        assert others.isdisjoint(map(id, held[end:])), "another slot's cell was moved"
        self.num_rolls += 1
        self._kv[slot] = held[:begin] + [replace(cell, was_moved=True) for cell in held[end:]]

    def save(self, slot: int, length: int) -> bytearray:
        held = self._kv[slot]
        assert len(held) == length > 0, "a slot is saved whole"
        assert all(cell.adapters == self._own_adapters for cell in held), "saved for another load than its own"
        assert _are_as_read(held), "tokens that have seen what is gone are kept"
        self.num_saves += 1
        return bytearray(np.array([SAVED, *(cell.token for cell in held)], "<i4").tobytes())

    def restore(self, slot: int, payload: Payload) -> None:
        assert not self._kv[slot], "a restore into a slot that still holds tokens"
        mark, *tokens = np.frombuffer(payload, "<i4").tolist()
        assert mark == SAVED, "these bytes were never saved"
        assert tokens, "an empty state"
        if self._is_full({slot: len(tokens)}):
            raise KVFull
        self.num_restores += 1
        self._kv[slot] = [Cell(token, self._own_adapters) for token in tokens]
        self._firsts[slot] = self._least_first(slot)

    def run(self, steps: Many[Step]) -> list[list[int]]:
        num_rows = sum(step.num_rows for step in steps)
        assert 0 < num_rows <= self.max_batch_tokens, "a batch of no rows or too many"
        assert all(step.tokens for step in steps), "a step without tokens has no logits"
        assert sum(len(step.scored) for step in steps) <= self.max_scored, "more logits than there is memory for"
        is_level = len({step.num_rows for step in steps}) == 1 or not any(step.draft for step in steps)
        assert self.max_draft is None or is_level, "guesses of several lengths in one step of a recurrent model"
        if self._is_full({step.seq.slot: step.num_rows for step in steps}):
            raise KVFull
        self._set_adapters(steps)
        self.num_runs += 1
        self.num_decoded += num_rows
        if self.seconds_per_step:
            time.sleep(self.seconds_per_step)
        if self.max_draft is not None:
            self._undoable = {
                step.seq.slot: min(len(step.draft), self.max_draft) for step in steps if step.seq.slot is not None
            }
        self._give_away()
        return [self._run_step(step) for step in steps]

    def close(self) -> None:
        self._kv.clear()

    def _is_full(self, more: dict[int | None, int]) -> bool:
        """more: new cells by slot."""
        if self.shares_cells:
            return self.used_cells + sum(more.values()) > self.num_cells
        return any(len(self._kv[slot]) + count > self.size.cells for slot, count in more.items() if slot is not None)

    def _set_adapters(self, steps: Many[Step]) -> None:
        adapters, *others = {step.seq.adapters for step in steps}
        assert not others, "a batch has one set of adapters"
        self.num_adapter_changes += adapters != self._adapters
        self._adapters = adapters

    def _run_step(self, step: Step) -> list[int]:
        seq = step.seq
        assert seq.slot is not None
        held = self._kv[seq.slot]
        assert [cell.token for cell in held] == seq.cached_tokens, (
            "the slot holds other tokens than the sequence thinks"
        )
        assert all(cell.adapters == seq.adapters for cell in held), "the slot's cells were made with other adapters"
        assert self._firsts[seq.slot] <= self._least_first(seq.slot), "the window reaches cells that are gone"
        samples = step.samples
        for at in step.scored:
            assert seq.num_prompt_alternatives is not None
            token = seq.tokens[seq.num_computed + at + 1]
            seq.prompt_logprobs.append(scripted_logprob(token, seq.num_prompt_alternatives))
        held += [Cell(token, seq.adapters) for token in step.tokens]
        if not samples:
            assert not step.draft
            return []
        prefix = [cell.token for cell in held]
        held += [Cell(guess, seq.adapters) for guess in step.draft]  # rejected guesses stay until they are truncated
        sampled: list[int] = []
        for guess in [*step.draft, None]:
            sampled.append(self._sample(step, prefix))
            if seq.num_alternatives is not None:
                step.logprobs.append(partial(scripted_logprob, sampled[-1], seq.num_alternatives))
            if sampled[-1] != guess:
                break
            prefix.append(sampled[-1])
        return sampled

    def _cut(self, slot: int, length: int) -> None:
        del self._kv[slot][length:]
        if not length:
            self._firsts[slot] = 0

    def _give_away(self) -> None:
        """Before some steps, of some slots, the cells that the window has passed."""
        for slot in range(self.num_runs % 3, self.num_slots, 3):
            self._firsts[slot] = max(self._firsts[slot], self._least_first(slot))

    def _least_first(self, slot: int) -> int:
        """The first position that the next token's window reaches."""
        return max(0, len(self._kv[slot]) - self.window + 1) if self.window else 0

    def _sample(self, step: Step, prefix: list[int]) -> int:
        token = adapted(self._next_token(prefix), step.seq.adapters)
        sampler = step.seq.sampler
        return sampler.sample(token) if isinstance(sampler, FakeSampler) else token


def adapted(token: int, adapters: tuple[float, ...]) -> int:
    """What adapters make of a token: letters change their case, numbers below 4 their last bit."""
    if not any(adapters):
        return token
    return ord(chr(token).swapcase()) if chr(token).isascii() and chr(token).isalpha() else token ^ (token < 4)


def _are_as_read(cells: list[Cell]) -> bool:
    return not any(cell.was_moved for cell in cells)


def _digest(cells: list[Cell]) -> bytes:
    return hashlib.sha256(repr([(cell.token, cell.adapters) for cell in cells]).encode()).digest()


def scripted_logprob(token: int, num_alternatives: int) -> TokenLogprob:
    """Each token at −0.25, and as alternatives the bytes that follow it, each one less likely by 1."""
    others = tuple(Chance(bytes([(token + n) % 256]), -0.25 - n, (token + n) % 256) for n in range(num_alternatives))
    return TokenLogprob(bytes([token % 256]), -0.25, others, token)


def die(how: str) -> None:
    """Leave the process the way native code does: other threads run on until then, and what was said is on its way."""
    time.sleep(0.05)
    if how == "abort":
        os.abort()
    if hasattr(signal, "SIGKILL"):
        os.kill(os.getpid(), signal.SIGKILL)
    os._exit(0xC0000005 & 0x7FFFFFFF)
