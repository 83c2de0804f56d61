"""llama.cpp's context as a maker of vectors: one of each text of a batch. Knows no engine."""

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from backends.llama.binding import lib
from backends.llama.context import FLASH_ATTENTION, MIN_CELLS
from backends.llama.log import errors, failure
from backends.llama.native import Closable, NativeModel
from backends.llama.threads import Following
from backends.protocol import Pooling

Vector = npt.NDArray[np.float32]
NUMBERS = {Pooling.MEAN: 1, Pooling.CLS: 2, Pooling.LAST: 3, Pooling.RANK: 4}  # enum llama_pooling_type


@dataclass(frozen=True, slots=True)
class PooledParams:
    pooling: Pooling
    num_rows: int  # of a batch, which is computed at once
    num_cells: int  # of all texts together, where keys and values are kept; no fewer than rows
    num_slots: int  # texts side by side
    threads: int
    flash_attention: str = "auto"
    following: Following | None = None
    adapters: tuple[float, ...] = ()  # the scale of each that the model has


class PooledContext(Closable):
    """Raises NativeError when it does not fit into memory."""

    def __init__(self, model: NativeModel, params: PooledParams):
        self.model, self.params = model, params
        mark = errors.mark()
        self.pointer = lib.llama_init_from_model(model.pointer, self._native())
        if not self.pointer:
            raise failure(mark)
        self.num_threads = params.threads
        self._memory = lib.llama_get_memory(self.pointer)
        self._width = width(model, params.pooling)
        self._batch = lib.llama_batch_init(params.num_rows, 0, 1)
        self._num_rows = 0
        if params.adapters:
            model.adapters.set(self.pointer, params.adapters)

    def add(self, token: int, position: int, slot: int) -> None:
        """One row of the next batch."""
        row, batch = self._num_rows, self._batch
        batch.token[row], batch.pos[row], batch.logits[row] = token, position, 1
        batch.n_seq_id[row], batch.seq_id[row][0] = 1, slot
        self._num_rows = row + 1

    def run(self) -> None:
        """Compute the batch. Raises NativeError."""
        self._batch.n_tokens, self._num_rows = self._num_rows, 0
        following = self.params.following
        if following:
            following.begin(self, self._batch.n_tokens)  # its times are none of the answers'
        mark = errors.mark()
        compute = lib.llama_decode if self._memory else lib.llama_encode
        if code := compute(self.pointer, self._batch):
            raise failure(mark, f"making vectors returned {code}")

    def vector(self, slot: int) -> Vector:
        """[dimensions], of what the last batch held of its text; of scores one."""
        found = lib.llama_get_embeddings_seq(self.pointer, slot)
        if not found:
            raise failure(errors.mark(), "no vector was made of a text")
        pointer = ctypes.cast(found, ctypes.POINTER(ctypes.c_float))
        return np.ctypeslib.as_array(pointer, shape=(self._width,)).copy()

    def forget(self, slot: int) -> None:
        if self._memory:
            lib.llama_memory_seq_rm(self._memory, slot, -1, -1)

    def close(self) -> None:
        if self.pointer:
            lib.llama_batch_free(self._batch)
            lib.llama_free(self.pointer)
            self.pointer = None

    @property
    def can_split(self) -> bool:
        """Whether a text may come in several batches: where no token sees those that follow it."""
        return bool(self._memory) and bool(lib.llama_get_causal_attn(self.pointer))

    def _native(self) -> Any:
        params, native = self.params, lib.llama_context_default_params()
        native.n_ctx = max(params.num_cells, params.num_rows, MIN_CELLS)
        native.n_batch = native.n_ubatch = params.num_rows
        native.n_seq_max = params.num_slots
        native.n_threads = native.n_threads_batch = params.threads
        native.flash_attn_type = FLASH_ATTENTION[params.flash_attention]
        native.embeddings = True
        native.pooling_type = NUMBERS[params.pooling]
        native.kv_unified = True
        native.no_perf = True
        return native


def width(model: NativeModel, pooling: Pooling) -> int:
    """Of what is made of one text."""
    count = lib.llama_model_n_cls_out if pooling is Pooling.RANK else lib.llama_model_n_embd_out
    return int(count(model.pointer))


def pooling_of(model: NativeModel) -> Pooling:
    """As the file says; where it says nothing the mean, which suits models that were not made for it better than the
    last token."""
    number = model.metadata.of_architecture("pooling_type")
    return next((pooling for pooling, each in NUMBERS.items() if str(each) == number), Pooling.MEAN)
