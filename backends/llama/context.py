"""llama.cpp's context as a closable object: a KV cache, and the batch that is decoded into it.

Pointers are checked where they are made; whatever returns NULL or a negative code becomes an exception.
"""

import ctypes
from collections.abc import Sequence as Many
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from backends.llama import quick
from backends.llama.binding import lib
from backends.llama.kv_layout import micro_batch
from backends.llama.log import errors, failure
from backends.llama.native import Closable, NativeError, NativeModel, has_gpu
from backends.llama.rollback import Rollback
from backends.llama.states import States
from backends.llama.threads import Following
from backends.prompt_cache.state import Payload

GGML_TYPES = {
    "f32": 0,
    "f16": 1,
    "q4_0": 2,
    "q4_1": 3,
    "q5_0": 6,
    "q5_1": 7,
    "q8_0": 8,
    "iq4_nl": 20,
    "bf16": 30,
}
FLASH_ATTENTION = {"auto": -1, "off": 0, "on": 1}
# a shift turns every key of the cache, by 0 where nothing moved: these types are as before then. A quantized key is
# rounded again, others' too, and bf16 ends the process
TURNABLE = ("f32", "f16")
MIN_CELLS = 256  # what llama.cpp makes of fewer; but it would not allow as many in a batch, and end the process


@dataclass(frozen=True, slots=True)
class ContextParams:
    num_cells: int  # of all slots together
    num_slots: int
    batch_tokens: int
    threads: int
    kv_type_k: str = "f16"
    kv_type_v: str = "f16"
    flash_attention: str = "auto"
    max_draft: int = 0  # rows that a recurrent sequence may take back; each costs its state once more for every slot
    is_unified: bool = True  # else each slot has its part of the cells to itself
    following: Following | None = None  # the machine's load; else always `threads`


class NativeContext(Closable):
    """A KV cache of num_cells cells over num_slots sequence ids, and a batch of numpy views.

    A sliding window's layers get as many cells as the others (`swa_full`; 8 MiB instead of 4.5 for the tests' Gemma at
    8192 cells): a slot can then be cut anywhere without a checkpoint, which would be as large as the window. llama.cpp
    gives such a cell away all the same, once the window has passed it and if only one sequence holds it; so each slot
    has a shadow, a second sequence with the same cells.

    Raises NativeError when the cache does not fit or the types do not go together.
    """

    def __init__(self, model: NativeModel, params: ContextParams, eval_callback: Any = None):
        """eval_callback: a ggml_backend_sched_eval_callback that sees every tensor; its owner keeps it alive."""
        self.model = model
        self.is_unified = params.is_unified
        has_shadows = model.window and params.is_unified and 2 * params.num_slots <= lib.llama_max_parallel_sequences()
        self._shadow = params.num_slots if has_shadows else None  # how far a slot's id and its shadow's are apart
        self._params, self._eval_callback, self._following = params, eval_callback, params.following
        self.generation = 0  # counts how often the context was made: adapters and samplers are set to each anew
        self._make(params)
        self._num_rows: dict[int, int] = {}  # of each slot in the batch
        self._batch = lib.llama_batch_init(params.batch_tokens, 0, 2)
        self.tokens = self._view(self._batch.token, ctypes.c_int32, params.batch_tokens)
        self.positions = self._view(self._batch.pos, ctypes.c_int32, params.batch_tokens)
        self.outputs = self._view(self._batch.logits, ctypes.c_int8, params.batch_tokens)
        # tokens and positions: the same memory, where one number is set in half the time
        self.rows = tuple(memoryview(view).cast("B").cast("i") for view in (self.tokens, self.positions))
        self._view(self._batch.n_seq_id, ctypes.c_int32, params.batch_tokens)[:] = 1 if self._shadow is None else 2
        self._slots = [self._batch.seq_id[i] for i in range(params.batch_tokens)]  # one malloc per row
        self.answering: list[int | None] = []  # the slots of the batch's rows, if it was made by `set_answers`
        self._must_wait = has_gpu()  # a decode returns before a device has computed it
        self._logits: npt.NDArray[np.float32] | None = None
        self._logits_key: tuple[int, int] | None = None

    def _make(self, params: ContextParams) -> None:
        """Of other sizes, or for the first time."""
        mark = errors.mark()
        self.pointer = lib.llama_init_from_model(self.model.pointer, self._native(params))
        if not self.pointer:
            raise failure(mark)
        self._params = params
        self.generation += 1
        self.num_threads = params.threads
        self.num_slots = params.num_slots
        self.num_cells: int = lib.llama_n_ctx(self.pointer)
        self.cells_per_slot: int = lib.llama_n_ctx_seq(self.pointer)  # all of them in one pool
        # at most the context, whatever was asked for; one row more aborts the process
        self.batch_tokens: int = lib.llama_n_batch(self.pointer)
        self._memory = lib.llama_get_memory(self.pointer)
        self.can_shift = (
            bool(lib.llama_memory_can_shift(self._memory))
            and params.kv_type_k in TURNABLE
            and self.model.has_plain_rope
        )
        self.max_draft: int | None = lib.llama_n_rs_seq(self.pointer) if self.model.is_recurrent else None
        self._rollback = Rollback()
        self._states = States(self.pointer, self.num_slots, self.is_unified)
        self._turning: int | None = None  # a slot whose keys are turned in the next decode

    def _native(self, params: ContextParams) -> Any:
        native = lib.llama_context_default_params()
        if self._eval_callback is not None:
            native.cb_eval = self._eval_callback
        native.n_ctx = max(params.num_cells, MIN_CELLS)
        native.n_seq_max = params.num_slots if self._shadow is None else 2 * params.num_slots
        native.n_batch = params.batch_tokens
        rows = micro_batch(params.flash_attention, has_gpu(), self.model.is_mixture)
        native.n_ubatch = min(rows, params.batch_tokens)
        native.n_threads = native.n_threads_batch = params.threads
        native.type_k = GGML_TYPES[params.kv_type_k]
        native.type_v = GGML_TYPES[params.kv_type_v]
        native.flash_attn_type = FLASH_ATTENTION[params.flash_attention]
        native.kv_unified = params.is_unified
        native.swa_full = True
        native.n_rs_seq = params.max_draft
        native.no_perf = True
        return native

    def set_row(self, row: int, token: int, position: int, slot: int) -> None:
        """One whole row, whose logits are wanted."""
        self.tokens[row] = token
        self.positions[row] = position
        self.outputs[row] = 1
        self.set_slots(row, row + 1, slot)

    def set_answers(self, slots: list[int | None]) -> None:
        """Make the batch one of a row for each slot, whose logits are wanted. Tokens and positions are the caller's."""
        self.outputs[: len(slots)] = 1
        for row, slot in enumerate(slots):
            assert slot is not None
            self.set_slots(row, row + 1, slot)
        self.answering = slots

    def set_slots(self, begin: int, end: int, slot: int) -> None:
        self.answering = []
        if self.max_draft:
            self._num_rows[slot] = end - begin
        for row in self._slots[begin:end]:
            row[0] = slot
            if self._shadow is not None:
                row[1] = slot + self._shadow

    def set_adapters(self, scales: Many[float]) -> None:
        """One scale for each adapter of the model; they hold for all rows of the decodes that follow."""
        count = len(self.model.adapters)
        assert len(scales) == count, "a scale for each adapter"
        pointers = (lib.llama_adapter_lora_p_ctypes * count)(*self.model.adapters)
        if lib.llama_set_adapters_lora(self.pointer, pointers, count, (ctypes.c_float * count)(*scales)):
            raise NativeError("llama_set_adapters_lora failed")

    def decode(self, num_rows: int) -> int:
        """0, or 1 when no cells are free (the cache is as before). Raises NativeError for anything else."""
        self._batch.n_tokens = num_rows
        self._turning = None
        begin = self._following.begin(self, num_rows) if self._following else 0.0
        mark = errors.mark()
        code: int = lib.llama_decode(self.pointer, self._batch)
        if code not in (0, 1):
            raise failure(mark, f"llama_decode returned {code}")
        if code == 0 and self._must_wait:
            lib.llama_synchronize(self.pointer)
        if self.max_draft:
            self._note_rows(code == 0)
        if code == 0 and self._following:
            self._following.end(num_rows, begin)
        return code

    def _note_rows(self, were_decoded: bool) -> None:
        decoded, self._num_rows = self._num_rows, {}
        if were_decoded:
            self._rollback.decoded(decoded)

    def logits(self, num_outputs: int) -> npt.NDArray[np.float32]:
        """[num_outputs, vocabulary], a view that is valid until the next decode."""
        key = quick.get_logits(self.pointer), num_outputs
        if self._logits is None or key != self._logits_key:  # making a view costs 90 µs
            pointer = ctypes.cast(key[0], ctypes.POINTER(ctypes.c_float))
            self._logits = np.ctypeslib.as_array(pointer, shape=(num_outputs, self.model.num_tokens))
            self._logits_key = key
        return self._logits

    def copy(self, source: int, target: int, length: int) -> None:
        """The first `length` tokens of source. Between streams as a saved state: llama_memory_seq_cp notes a copy of
        whole streams there and makes it in the next decode, from whatever the source holds by then."""
        if not self.is_unified:
            if not self.restore(target, self.save(source, self._num_held(source))):
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
        elif self.max_draft is not None and (num_tokens := self._num_held(slot) - length):
            self._rollback.take_back(slot, num_tokens)
        for distance in self._distances:
            if not lib.llama_memory_seq_rm(self._memory, slot + distance, length, -1):
                raise NativeError(f"llama_memory_seq_rm could not cut slot {slot} to {length}")

    def shortest(self, slot: int, length: int) -> int:
        """The least that `truncate` may leave of its `length` tokens, but for the guesses of the last step."""
        if self.max_draft is not None:
            return length
        first = lib.llama_memory_seq_pos_min(self._memory, slot) if self.model.window else 0
        return first + self.model.window - 1 if first > 0 else 0

    def checkpoint(self, slot: int) -> bytearray:
        """The recurrent state alone."""
        return self._states.checkpoint(slot)

    def rewind(self, slot: int, length: int, checkpoint: bytearray) -> None:
        self._rollback.forget(slot)
        self._states.rewind(slot, checkpoint)
        self.truncate(slot, length)  # the cells of the attention layers

    def roll(self, slot: int, begin: int, end: int) -> None:
        """Forget positions begin to end and move those behind them there. The keys are turned in the next decode."""
        if not lib.llama_memory_seq_rm(self._memory, slot, begin, end):
            raise NativeError(f"llama_memory_seq_rm could not cut {begin} to {end} out of slot {slot}")
        lib.llama_memory_seq_add(self._memory, slot, end, -1, begin - end)
        self._turning = slot

    def save(self, slot: int, length: int) -> Payload:
        """The slot's cells as llama.cpp writes them (`llama_state_seq_get_data`). Logits are not among them."""
        assert self._num_held(slot) == length, "the slot holds other tokens"
        return self._states.save(slot)

    def restore(self, slot: int, payload: Payload) -> bool:
        """False when no cells are free, or it does not fit this context; the slot is empty then.
        A payload cut short ENDS THE PROCESS: whoever reads one from a file checks it first."""
        self._rollback.forget(slot)
        is_read = self._states.restore(slot, payload)
        if not is_read:
            lib.llama_memory_seq_rm(self._memory, slot, -1, -1)
        elif self._shadow is not None:
            lib.llama_memory_seq_cp(self._memory, slot, slot + self._shadow, -1, -1)
        return is_read

    @property
    def has_portable_states(self) -> bool:
        """Whether a slot's state goes into streams of any number."""
        return self._states.are_portable

    def resize(self, num_cells: int, num_slots: int) -> None:
        """Make the context anew, with what every slot holds. num_cells: of all slots together. Raises NativeError or
        MemoryError when it cannot be made; it is as it was then, or there is none (`pointer`)."""
        assert self._shadow is None or num_slots == self.num_slots, "shadows keep their distance"
        self._turn_keys()
        before = self._params
        states = self._states.take([slot for slot in range(self.num_slots) if self._num_held(slot)])
        self._free()
        try:
            self._make_with(replace(before, num_cells=num_cells, num_slots=num_slots), states)
        except (NativeError, MemoryError):
            self._make_with(before, states)
            raise

    def _make_with(self, params: ContextParams, states: dict[int, Payload]) -> None:
        """Where they cannot be put back there is no context: an empty one would be taken for what it was."""
        self._make(params)
        try:
            self._states.put_back(states)
        except (NativeError, MemoryError):
            self._free()
            raise

    def _turn_keys(self) -> None:
        """A state has the keys as they are: those of a roll are turned by a decode, if only of a token to forget."""
        if (slot := self._turning) is None:
            return
        length = self._num_held(slot)
        self.set_row(0, 0, length, slot)
        if self.decode(1) == 0:  # they are turned as well if there is no cell for it
            self.truncate(slot, length)

    def close(self) -> None:
        if self.pointer:
            lib.llama_batch_free(self._batch)
            self._free()

    def _free(self) -> None:
        lib.llama_free(self.pointer)
        self.pointer = None

    @property
    def _distances(self) -> tuple[int, ...]:
        """From a slot's id to those of the sequences that hold its cells."""
        return (0,) if self._shadow is None else (0, self._shadow)

    def _num_held(self, slot: int) -> int:
        return int(lib.llama_memory_seq_pos_max(self._memory, slot)) + 1

    @staticmethod
    def _view(pointer: Any, kind: type, length: int) -> Any:
        return np.ctypeslib.as_array(ctypes.cast(pointer, ctypes.POINTER(kind)), shape=(length,))
