"""What the slots of a context hold: how it is copied, cut, moved, saved and brought back."""

from typing import Any

from backends.llama.binding import lib
from backends.llama.native import NativeError, NativeModel
from backends.llama.rollback import Rollback
from backends.llama.states import States
from backends.prompt_cache.state import Payload


class SlotMemory:
    """A context's KV cache or recurrent states; a context that is made anew has a new one.

    llama.cpp gives a cell of a sliding window away, once the window has passed it and if only one sequence holds it; so
    where the window has a unified cache, each slot has a shadow, a second sequence with the same cells.
    """

    def __init__(self, context: Any, model: NativeModel, num_slots: int, is_unified: bool, shadow: int | None):
        """context: llama.cpp's pointer. shadow: as in `Batch`."""
        self.is_unified = is_unified
        # rows that a recurrent sequence may take back; None: any number
        self.max_draft: int | None = lib.llama_n_rs_seq(context) if model.is_recurrent else None
        self.states = States(context, num_slots, is_unified)
        self.turning: int | None = None  # a slot whose keys are turned in the next decode
        self._memory = lib.llama_get_memory(context)
        self._window = model.window
        self._shadow = shadow
        self._rollback = Rollback()

    @property
    def can_shift(self) -> bool:
        return bool(lib.llama_memory_can_shift(self._memory))

    def num_held(self, slot: int) -> int:
        """Tokens."""
        return int(lib.llama_memory_seq_pos_max(self._memory, slot)) + 1

    def decoded(self, num_rows: dict[int, int]) -> None:
        """So many rows of each slot, where rows may be taken back."""
        self._rollback.decoded(num_rows)

    def copy(self, source: int, target: int, length: int) -> None:
        """The first `length` tokens of source. Between streams as a saved state: llama_memory_seq_cp notes a copy of
        whole streams there and makes it in the next decode, from whatever the source holds by then."""
        if not self.is_unified:
            if not self.restore(target, self.save(source, self.num_held(source))):
                raise NativeError(f"slot {source} could not be copied to slot {target}")
            self.truncate(target, length)
            return
        for distance in self._distances:
            lib.llama_memory_seq_cp(self._memory, source + distance, target + distance, 0, length)
        if self._rollback.is_pending(source):
            self.rewind(target, length, self.checkpoint(source))

    def truncate(self, slot: int, length: int) -> None:
        if not length:
            self._rollback.forget(slot)
        elif self.max_draft is not None and (num_tokens := self.num_held(slot) - length):
            self._rollback.take_back(slot, num_tokens)
        for distance in self._distances:
            if not lib.llama_memory_seq_rm(self._memory, slot + distance, length, -1):
                raise NativeError(f"llama_memory_seq_rm could not cut slot {slot} to {length}")

    def shortest(self, slot: int, length: int) -> int:
        """The least that `truncate` may leave of its `length` tokens, but for the guesses of the last step."""
        if self.max_draft is not None:
            return length
        first = lib.llama_memory_seq_pos_min(self._memory, slot) if self._window else 0
        return first + self._window - 1 if first > 0 else 0

    def checkpoint(self, slot: int) -> bytearray:
        """The recurrent state alone."""
        return self.states.checkpoint(slot)

    def rewind(self, slot: int, length: int, checkpoint: bytearray) -> None:
        self._rollback.forget(slot)
        self.states.rewind(slot, checkpoint)
        self.truncate(slot, length)  # the cells of the attention layers

    def roll(self, slot: int, begin: int, end: int) -> None:
        """Forget positions begin to end and move those behind them there. The keys are turned in the next decode."""
        if not lib.llama_memory_seq_rm(self._memory, slot, begin, end):
            raise NativeError(f"llama_memory_seq_rm could not cut {begin} to {end} out of slot {slot}")
        lib.llama_memory_seq_add(self._memory, slot, end, -1, begin - end)
        self.turning = slot

    def save(self, slot: int, length: int) -> Payload:
        """The slot's cells as llama.cpp writes them (`llama_state_seq_get_data`). Logits are not among them."""
        assert self.num_held(slot) == length, "the slot holds other tokens"
        return self.states.save(slot)

    def restore(self, slot: int, payload: Payload) -> bool:
        """False when no cells are free, or it does not fit this context; the slot is empty then.
        A payload cut short ENDS THE PROCESS: whoever reads one from a file checks it first."""
        self._rollback.forget(slot)
        is_read = self.states.restore(slot, payload)
        if not is_read:
            lib.llama_memory_seq_rm(self._memory, slot, -1, -1)
        elif self._shadow is not None:
            lib.llama_memory_seq_cp(self._memory, slot, slot + self._shadow, -1, -1)
        return is_read

    @property
    def _distances(self) -> tuple[int, ...]:
        """From a slot's id to those of the sequences that hold its cells."""
        return (0,) if self._shadow is None else (0, self._shadow)
