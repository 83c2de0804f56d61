"""llama.cpp's context as a closable object: it decodes a batch into the memory of its slots.

Pointers are checked where they are made; whatever returns NULL or a negative code becomes an exception.
"""

import ctypes
from collections.abc import Sequence as Many
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from backends.engine.runner import CellsLost
from backends.kv_layout import micro_batch, native_slots
from backends.llama import quick
from backends.llama.batch import Batch
from backends.llama.binding import lib
from backends.llama.log import errors, failure, overheard
from backends.llama.native import Closable, NativeError, NativeModel
from backends.llama.slot_memory import SlotMemory
from backends.llama.threads import Following
from backends.llama.told_buffers import CACHE, by_device, shares, told_buffers
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
    rows: int | None = None  # of a micro-batch; None: as suits the attention


class NativeContext(Closable):
    """Makes a KV cache of num_cells cells over num_slots sequence ids, and makes it anew in another size.

    A sliding window's layers get as many cells as the others (`swa_full`; 8 MiB instead of 4.5 for the tests' Gemma at
    8192 cells): a slot can then be cut anywhere without a checkpoint, which would be as large as the window.

    Raises NativeError when the cache does not fit or the types do not go together.
    """

    def __init__(self, model: NativeModel, params: ContextParams, eval_callback: Any = None):
        """eval_callback: a ggml_backend_sched_eval_callback that sees every tensor; its owner keeps it alive."""
        self.model = model
        self.is_unified = params.is_unified
        has_shadows = native_slots(params.num_slots, model.window > 0, params.is_unified) > params.num_slots
        self._shadow = params.num_slots if has_shadows else None  # how far a slot's id and its shadow's are apart
        self._params, self._eval_callback, self._following = params, eval_callback, params.following
        self.generation = 0  # counts how often the context was made: adapters and samplers are set to each anew
        self._make(params)
        self.batch = Batch(params.batch_tokens, self._shadow)
        self._native_batch = self.batch.native
        self._must_wait = model.uses_gpu  # a decode returns before a device has computed it
        self._logits: npt.NDArray[np.float32] | None = None
        self._logits_key: tuple[int, int] | None = None

    def _make(self, params: ContextParams) -> None:
        """Of other sizes, or for the first time."""
        mark = errors.mark()
        with overheard() as lines:
            self.pointer = lib.llama_init_from_model(self.model.pointer, self._native(params))
        if not self.pointer:
            raise failure(mark)
        self.cache_shares = shares(by_device(told_buffers("".join(lines)), CACHE))
        self._params = params
        self.generation += 1
        self.num_threads = params.threads
        self.num_slots = params.num_slots
        self.num_cells: int = lib.llama_n_ctx(self.pointer)
        self.cells_per_slot: int = lib.llama_n_ctx_seq(self.pointer)  # all of them in one pool
        # at most the context, whatever was asked for; one row more aborts the process
        self.batch_tokens: int = lib.llama_n_batch(self.pointer)
        self.memory = SlotMemory(self.pointer, self.model, params.num_slots, params.is_unified, self._shadow)
        self.max_draft = self.memory.max_draft
        self.can_shift = self.memory.can_shift and params.kv_type_k in TURNABLE and self.model.metadata.has_plain_rope

    def _native(self, params: ContextParams) -> Any:
        native = lib.llama_context_default_params()
        if self._eval_callback is not None:
            native.cb_eval = self._eval_callback
        native.n_ctx = max(params.num_cells, MIN_CELLS)
        native.n_seq_max = params.num_slots if self._shadow is None else 2 * params.num_slots
        native.n_batch = params.batch_tokens
        rows = params.rows or micro_batch(params.flash_attention, self.model.uses_gpu, self.model.metadata.is_mixture)
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

    def set_adapters(self, scales: Many[float]) -> None:
        """One scale for each adapter of the model; they hold for all rows of the decodes that follow."""
        self.model.adapters.set(self.pointer, scales)

    def decode(self, num_rows: int) -> int:
        """0, or 1 when no cells are free (the cache is as before). Raises NativeError for anything else."""
        rows = self.batch.take_num_rows() if self.max_draft else None
        if num_rows > self.batch_tokens:  # more than there are cells, and llama.cpp would end the process
            return 1
        self._native_batch.n_tokens = num_rows
        self.memory.turning = None
        begin = self._following.begin(self, num_rows) if self._following else 0.0
        mark = errors.mark()
        code: int = lib.llama_decode(self.pointer, self._native_batch)
        if code == 1:
            return 1
        if code:
            raise failure(mark, f"llama_decode returned {code}")
        if self._must_wait:
            lib.llama_synchronize(self.pointer)
        if rows:
            self.memory.decoded(rows)
        if self._following:
            self._following.end(num_rows, begin)
        return 0

    def logits(self, num_outputs: int) -> npt.NDArray[np.float32]:
        """[num_outputs, vocabulary], a view that is valid until the next decode."""
        key = quick.get_logits(self.pointer), num_outputs
        if self._logits is None or key != self._logits_key:  # making a view costs 90 µs
            pointer = ctypes.cast(key[0], ctypes.POINTER(ctypes.c_float))
            self._logits = np.ctypeslib.as_array(pointer, shape=(num_outputs, self.model.vocabulary.num_tokens))
            self._logits_key = key
        return self._logits

    def resize(self, num_cells: int, num_slots: int) -> None:
        """Make the context anew, with what every slot holds. num_cells: of all slots together.

        Raises NativeError or MemoryError when it cannot be made, and holds what it held, in no more cells. Raises
        CellsLost when it had to be made empty; and NativeError when there is none any more (`pointer`)."""
        assert self._shadow is None or num_slots == self.num_slots, "shadows keep their distance"
        self._turn_keys()
        before, lengths = self._params, [self.memory.num_held(slot) for slot in range(self.num_slots)]
        states = self.memory.states.take([slot for slot, length in enumerate(lengths) if length])
        self._free()
        try:
            self._make_with(replace(before, num_cells=num_cells, num_slots=num_slots), states)
        except (NativeError, MemoryError):
            num_needed = sum(lengths) if self.is_unified else max(lengths) * self.num_slots
            self._come_back(before, max(num_needed, self._least_cells), states)
            raise

    @property
    def _least_cells(self) -> int:
        return MIN_CELLS * (1 if self.is_unified else self.num_slots)

    def _come_back(self, before: ContextParams, num_needed: int, states: dict[int, Payload]) -> None:
        """Somebody else may have taken the memory meanwhile: then without what nobody needs, at last without states."""
        smaller = replace(before, num_cells=min(before.num_cells, num_needed))
        for params in (before, smaller):
            with suppress(NativeError, MemoryError):
                return self._make_with(params, states)
        states.clear()
        self._make(replace(before, num_cells=min(before.num_cells, self._least_cells)))
        raise CellsLost

    def _make_with(self, params: ContextParams, states: dict[int, Payload]) -> None:
        """Where they cannot be put back there is no context: an empty one would be taken for what it was."""
        self._make(params)
        try:
            self.memory.states.put_back(states)
        except (NativeError, MemoryError):
            self._free()
            raise

    def _turn_keys(self) -> None:
        """A state has the keys as they are: those of a roll are turned by a decode, if only of a token to forget."""
        if (slot := self.memory.turning) is None:
            return
        length = self.memory.num_held(slot)
        self.batch.put(0, [0], length, slot)
        if self.decode(1) == 0:  # they are turned as well if there is no cell for it
            self.memory.truncate(slot, length)

    def close(self) -> None:
        if self.pointer:
            self.batch.close()
            self._free()

    def _free(self) -> None:
        lib.llama_free(self.pointer)
        self.pointer = None
