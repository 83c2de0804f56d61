"""What a context decodes at once: rows of a token, a position and a slot, and whether their logits are wanted."""

import ctypes
from collections.abc import Sequence as Many
from typing import Any

import numpy as np
import numpy.typing as npt

from backends.llama.binding import lib

Ints = npt.NDArray[np.integer[Any]]


class Batch:
    """llama.cpp's own memory, as numpy views. A context that is made anew keeps it."""

    def __init__(self, num_rows: int, shadow: int | None):
        """shadow: what a slot's second sequence has as its id, less the slot's own; None: there is none."""
        self.native = lib.llama_batch_init(num_rows, 0, 2)
        self.tokens = self._view(self.native.token, ctypes.c_int32, num_rows)
        self.positions = self._view(self.native.pos, ctypes.c_int32, num_rows)
        self.outputs = self._view(self.native.logits, ctypes.c_int8, num_rows)
        # tokens and positions: the same memory, where one number is set in half the time
        self.rows = tuple(memoryview(view).cast("B").cast("i") for view in (self.tokens, self.positions))
        self._view(self.native.n_seq_id, ctypes.c_int32, num_rows)[:] = 1 if shadow is None else 2
        self._slots = [self.native.seq_id[i] for i in range(num_rows)]  # one malloc per row
        self._shadow = shadow
        self.answering: list[int | None] = []  # the slots of the batch's rows, if it was made by `set_answers`
        self._num_rows: dict[int, int] = {}  # of each slot

    def put(self, begin: int, tokens: Many[int] | Ints, position: int, slot: int) -> int:
        """Tokens of a slot that stand at this position and behind it, in the rows from `begin` on; the row behind
        them. None of their logits are wanted until `outputs` says so."""
        end = begin + len(tokens)
        self.tokens[begin:end] = tokens
        self.positions[begin:end] = np.arange(position, position + end - begin)
        self.outputs[begin:end] = 0
        self._set_slots(begin, end, slot)
        return end

    def set_answers(self, slots: list[int | None]) -> None:
        """Make the batch one of a row for each slot, whose logits are wanted. Tokens and positions are the caller's."""
        self.outputs[: len(slots)] = 1
        for row, slot in enumerate(slots):
            assert slot is not None
            self._set_slots(row, row + 1, slot)
        self.answering = slots

    def take_num_rows(self) -> dict[int, int]:
        """Of each slot that was put into it since the last call."""
        taken, self._num_rows = self._num_rows, {}
        return taken

    def close(self) -> None:
        lib.llama_batch_free(self.native)

    def _set_slots(self, begin: int, end: int, slot: int) -> None:
        self.answering = []
        self._num_rows[slot] = end - begin
        for row in self._slots[begin:end]:
            row[0] = slot
            if self._shadow is not None:
                row[1] = slot + self._shadow

    @staticmethod
    def _view(pointer: Any, kind: type, length: int) -> Any:
        return np.ctypeslib.as_array(ctypes.cast(pointer, ctypes.POINTER(kind)), shape=(length,))
