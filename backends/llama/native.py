"""llama.cpp's models, contexts and devices as closable objects. All of llama.h but the samplers is called here.

Pointers are checked where they are made; whatever returns NULL or a negative code becomes an exception.
"""

import ctypes
import re
import sys
from collections.abc import Callable, Iterator
from collections.abc import Sequence as Many
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import llama_cpp as lib
import numpy as np
import numpy.typing as npt

from backends.llama.rollback import Rollback

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
LOG_DEBUG, LOG_INFO = 1, 2
# a shift turns every key of the cache, by 0 where nothing moved: these types are as before then. A quantized key is
# rounded again, others' too, and bf16 ends the process
TURNABLE = ("f32", "f16")
DEVICE_KINDS_GPU = (1, 2)  # GGML_BACKEND_DEVICE_TYPE_GPU and _IGPU
PIECE_BYTES = 256
MIN_CELLS = 256  # what llama.cpp makes of fewer; but it would not allow as many in a batch, and end the process
# llama.cpp cuts text into words by std::regex, which recurses for each character of a word: some 100,000 in a row
# overflow the stack
MAX_RUN, MAX_MARKER = 2000, 64
LONG_RUN = re.compile(rf"(?<!\S)\S{{{MAX_RUN},}}|(?<!\s)\s{{{MAX_RUN},}}")
RECURRENT_PART = lib.LLAMA_STATE_SEQ_FLAGS_PARTIAL_ONLY

Int32s = npt.NDArray[np.int32]


class NativeError(Exception):
    """A call of llama.cpp failed; the message names the call and its code."""


@lib.llama_log_callback  # type: ignore[untyped-decorator]
def _log(level: int, text: bytes, _user_data: object) -> None:
    """To file descriptor 2, which is the process's log; level 5 continues the line before."""
    if level != LOG_DEBUG:
        sys.stderr.write(text.decode("utf-8", "replace"))


def start() -> None:
    """Once per process, before anything else."""
    lib.llama_log_set(_log, ctypes.c_void_p(0))
    lib.llama_backend_init()


def system_info() -> str:
    info: bytes = lib.llama_print_system_info()
    return info.decode()


def version() -> str:
    """Version of llama.cpp and of the binding."""
    native: bytes = lib.llama_version()
    return f"llama.cpp {native.decode()} (llama-cpp-python {lib.__version__})"


@dataclass(frozen=True, slots=True)
class NativeDevice:
    """One device that ggml can compute on; memory in bytes."""

    name: str
    description: str
    is_gpu: bool
    free: int
    total: int


def devices() -> tuple[NativeDevice, ...]:
    """All devices of the installed build, the CPU too. The binding has no wrapper: asked through its handle,
    because another handle would open a second copy of the library with a registry of its own."""
    ggml = _ggml()
    return tuple(_device(ggml, ggml.ggml_backend_dev_get(i)) for i in range(ggml.ggml_backend_dev_count()))


def _ggml() -> Any:
    ggml = lib.llama_cpp._lib
    if sys.platform == "win32":  # only there a handle does not reach the libraries it depends on
        folder = Path(lib.__file__).parent / "lib"
        ggml = ctypes.CDLL(str(folder / "ggml.dll"))
        base = ctypes.CDLL(str(folder / "ggml-base.dll"))
        for name in ("name", "description", "type", "memory"):
            setattr(ggml, f"ggml_backend_dev_{name}", getattr(base, f"ggml_backend_dev_{name}"))
    ggml.ggml_backend_dev_count.restype = ctypes.c_size_t
    ggml.ggml_backend_dev_get.restype = ctypes.c_void_p
    ggml.ggml_backend_dev_get.argtypes = [ctypes.c_size_t]
    for name in ("name", "description"):
        function = getattr(ggml, f"ggml_backend_dev_{name}")
        function.restype, function.argtypes = ctypes.c_char_p, [ctypes.c_void_p]
    ggml.ggml_backend_dev_type.argtypes = [ctypes.c_void_p]
    sizes = ctypes.POINTER(ctypes.c_size_t)
    ggml.ggml_backend_dev_memory.argtypes = [ctypes.c_void_p, sizes, sizes]
    ggml.ggml_backend_dev_memory.restype = None
    return ggml


def _device(ggml: Any, device: int) -> NativeDevice:
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    ggml.ggml_backend_dev_memory(device, ctypes.byref(free), ctypes.byref(total))
    return NativeDevice(
        ggml.ggml_backend_dev_name(device).decode("utf-8", "replace"),
        ggml.ggml_backend_dev_description(device).decode("utf-8", "replace"),
        ggml.ggml_backend_dev_type(device) in DEVICE_KINDS_GPU,
        free.value,
        total.value,
    )


class _Closable:
    def close(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class NativeModel(_Closable):
    """Weights and vocabulary. Raises NativeError when llama.cpp refuses the file."""

    def __init__(
        self,
        path: Path,
        gpu_layers: int = 0,
        extra_buffer_types: bool = True,
        progress: Callable[[float], None] | None = None,
        vocab_only: bool = False,
    ):
        params = lib.llama_model_default_params()
        params.n_gpu_layers = gpu_layers
        params.use_extra_bufts = extra_buffer_types
        params.vocab_only = vocab_only
        self._progress = lib.llama_progress_callback(lambda fraction, _: (progress or _ignore)(fraction) or True)
        params.progress_callback = self._progress
        self.pointer = lib.llama_model_load_from_file(str(path).encode(), params)
        if not self.pointer:
            raise NativeError(f"llama.cpp could not load {path.name}")
        self.vocab = lib.llama_model_get_vocab(self.pointer)
        self.num_tokens: int = lib.llama_vocab_n_tokens(self.vocab)
        self._pieces: dict[int, bytes] = {}
        self.adapters: list[Any] = []  # freed with the model

    def add_adapter(self, path: Path) -> None:
        """Before a context is made, whose graphs must have room for it. The file has been checked: llama.cpp aborts on
        shapes that do not go together. Raises NativeError."""
        adapter = lib.llama_adapter_lora_init(self.pointer, str(path).encode())
        if not adapter:
            raise NativeError(f"llama.cpp could not load the adapter {path.name}")
        self.adapters.append(adapter)

    @property
    def num_layers(self) -> int:
        return int(lib.llama_model_n_layer(self.pointer))

    @property
    def num_parameters(self) -> int:
        return int(lib.llama_model_n_params(self.pointer))

    @property
    def num_bytes(self) -> int:
        return int(lib.llama_model_size(self.pointer))

    @property
    def context_trained(self) -> int:
        return int(lib.llama_model_n_ctx_train(self.pointer))

    @property
    def is_recurrent(self) -> bool:
        """Also hybrids: their state cannot be cut back to an earlier position."""
        return bool(lib.llama_model_is_recurrent(self.pointer) or lib.llama_model_is_hybrid(self.pointer))

    @property
    def has_plain_rope(self) -> bool:
        """Whether turning a key by 0 leaves it as it is: YaRN and its kin would make it longer each time."""
        prefix = f"{self.metadata('general.architecture')}.rope.scaling"
        factor = self.metadata(f"{prefix}.attn_factor")
        return self.metadata(f"{prefix}.type") in (None, "none", "linear") and (factor is None or float(factor) == 1)

    @property
    def window(self) -> int:
        """Tokens that the layers with a sliding window see; 0 when there is none."""
        return 0 if self.is_recurrent else int(lib.llama_model_n_swa(self.pointer))

    @property
    def has_decoder(self) -> bool:
        return bool(lib.llama_model_has_decoder(self.pointer)) and not lib.llama_model_has_encoder(self.pointer)

    @property
    def has_vocabulary(self) -> bool:
        """Without one every call about tokens aborts the process."""
        return bool(lib.llama_vocab_type(self.vocab) != lib.LLAMA_VOCAB_TYPE_NONE)

    @property
    def chat_template(self) -> str | None:
        template: bytes | None = lib.llama_model_chat_template(self.pointer, None)
        return template.decode("utf-8", "replace") if template else None

    @property
    def adds_bos(self) -> bool:
        return bool(lib.llama_vocab_get_add_bos(self.vocab))

    def metadata(self, key: str) -> str | None:
        buffer = ctypes.create_string_buffer(4096)
        length = lib.llama_model_meta_val_str(self.pointer, key.encode(), buffer, len(buffer))
        return buffer.value.decode("utf-8", "replace") if length >= 0 else None

    def token_text(self, token: int) -> str:
        """The text of a special token, empty when there is none (id −1)."""
        return self.piece(token, special=True).decode("utf-8", "replace") if token >= 0 else ""

    @property
    def bos(self) -> int:
        return int(lib.llama_vocab_bos(self.vocab))

    @property
    def end_of_text(self) -> int:
        return int(lib.llama_vocab_eos(self.vocab))

    def ends(self) -> frozenset[int]:
        """All tokens that end an answer."""
        is_end = lib.llama_vocab_is_eog
        return frozenset(token for token in range(self.num_tokens) if is_end(self.vocab, token))

    def tokenize(self, text: str, add_special: bool, parse_special: bool) -> list[int]:
        """A run too long for a word is cut, because llama.cpp would end the process; the text stays the same."""
        pieces = list(_pieces(text))
        if len(pieces) == 1 or not self._has_words:
            return self._tokenize(text, add_special, parse_special)
        tokens = [self.bos] if add_special and self.adds_bos else []
        return tokens + [token for piece in pieces for token in self._tokenize(piece, False, parse_special)]

    @property
    def _has_words(self) -> bool:
        """Whether text is cut into words before it becomes tokens."""
        return bool(lib.llama_vocab_type(self.vocab) == lib.LLAMA_VOCAB_TYPE_BPE)

    def _tokenize(self, text: str, add_special: bool, parse_special: bool) -> list[int]:
        data = text.encode("utf-8", "surrogatepass")
        room = len(data) + 8
        tokens = (lib.llama_token * room)()
        count = lib.llama_tokenize(self.vocab, data, len(data), tokens, room, add_special, parse_special)
        if count < 0:
            raise NativeError(f"llama_tokenize needs room for {-count} tokens")
        return list(tokens[:count])

    def piece(self, token: int, special: bool = False) -> bytes:
        """The bytes of one token; of control tokens only when `special`."""
        if not special and (known := self._pieces.get(token)) is not None:
            return known
        buffer = ctypes.create_string_buffer(PIECE_BYTES)
        length = lib.llama_token_to_piece(self.vocab, token, buffer, PIECE_BYTES, 0, special)
        if length < 0:
            buffer = ctypes.create_string_buffer(-length)
            length = lib.llama_token_to_piece(self.vocab, token, buffer, -length, 0, special)
        piece = buffer.raw[:length]
        if not special:
            self._pieces[token] = piece
        return piece

    def close(self) -> None:
        if self.pointer:
            lib.llama_model_free(self.pointer)
            self.pointer = None


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


class NativeContext(_Closable):
    """A KV cache of num_cells cells over num_slots sequence ids, and a batch of numpy views.

    A sliding window's layers get as many cells as the others (`swa_full`; 8 MiB instead of 4.5 for the tests' Gemma at
    8192 cells): a slot can then be cut anywhere without a checkpoint, which would be as large as the window. llama.cpp
    gives such a cell away all the same, once the window has passed it and if only one sequence holds it; so each slot
    has a shadow, a second sequence with the same cells.

    Raises NativeError when the cache does not fit or the types do not go together.
    """

    def __init__(self, model: NativeModel, params: ContextParams, eval_callback: Any = None):
        """eval_callback: a ggml_backend_sched_eval_callback that sees every tensor; its owner keeps it alive."""
        native = lib.llama_context_default_params()
        if eval_callback is not None:
            native.cb_eval = eval_callback
        native.n_ctx = max(params.num_cells, MIN_CELLS)
        has_shadows = model.window and params.is_unified and 2 * params.num_slots <= lib.llama_max_parallel_sequences()
        self._shadow = params.num_slots if has_shadows else None  # how far a slot's id and its shadow's are apart
        native.n_seq_max = 2 * params.num_slots if has_shadows else params.num_slots
        native.n_batch = params.batch_tokens
        native.n_ubatch = min(512, params.batch_tokens)
        native.n_threads = native.n_threads_batch = params.threads
        native.type_k = GGML_TYPES[params.kv_type_k]
        native.type_v = GGML_TYPES[params.kv_type_v]
        native.flash_attn_type = FLASH_ATTENTION[params.flash_attention]
        native.kv_unified = params.is_unified
        native.swa_full = True
        native.n_rs_seq = params.max_draft
        native.no_perf = True
        self.model = model
        self.pointer = lib.llama_init_from_model(model.pointer, native)
        if not self.pointer:
            raise NativeError("llama.cpp could not create the context")
        self.is_unified = params.is_unified
        self.num_cells: int = lib.llama_n_ctx(self.pointer)
        self.cells_per_slot: int = lib.llama_n_ctx_seq(self.pointer)  # all of them in one pool
        # at most the context, whatever was asked for; one row more aborts the process
        self.batch_tokens: int = lib.llama_n_batch(self.pointer)
        self._memory = lib.llama_get_memory(self.pointer)
        self.can_shift = (
            bool(lib.llama_memory_can_shift(self._memory)) and params.kv_type_k in TURNABLE and model.has_plain_rope
        )
        self.max_draft: int | None = lib.llama_n_rs_seq(self.pointer) if model.is_recurrent else None
        self._rollback = Rollback()
        self._num_rows: dict[int, int] = {}  # of each slot in the batch
        self._batch = lib.llama_batch_init(params.batch_tokens, 0, 2)
        self.tokens = self._view(self._batch.token, ctypes.c_int32, params.batch_tokens)
        self.positions = self._view(self._batch.pos, ctypes.c_int32, params.batch_tokens)
        self.outputs = self._view(self._batch.logits, ctypes.c_int8, params.batch_tokens)
        self._view(self._batch.n_seq_id, ctypes.c_int32, params.batch_tokens)[:] = 1 if self._shadow is None else 2
        self._slots = [self._batch.seq_id[i] for i in range(params.batch_tokens)]  # one malloc per row
        self._logits: npt.NDArray[np.float32] | None = None
        self._logits_key: tuple[int, int] | None = None

    def set_row(self, row: int, token: int, position: int, slot: int) -> None:
        """One whole row, whose logits are wanted."""
        self.tokens[row] = token
        self.positions[row] = position
        self.outputs[row] = 1
        self.set_slots(row, row + 1, slot)

    def set_slots(self, begin: int, end: int, slot: int) -> None:
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
        decoded, self._num_rows = self._num_rows, {}
        code: int = lib.llama_decode(self.pointer, self._batch)
        if code not in (0, 1):
            raise NativeError(f"llama_decode returned {code}")
        if code == 0:
            if self.max_draft:
                self._rollback.decoded(decoded)
            lib.llama_synchronize(self.pointer)
        return code

    def logits(self, num_outputs: int) -> npt.NDArray[np.float32]:
        """[num_outputs, vocabulary], a view that is valid until the next decode."""
        pointer = lib.llama_get_logits(self.pointer)
        key = (ctypes.addressof(pointer.contents), num_outputs)
        if self._logits is None or key != self._logits_key:  # making a view costs 90 µs
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
        return self._get(slot, RECURRENT_PART)

    def rewind(self, slot: int, length: int, checkpoint: bytearray) -> None:
        if not self._set(slot, checkpoint, RECURRENT_PART):
            raise NativeError(f"llama_state_seq_set_data refused a checkpoint of slot {slot}")
        self.truncate(slot, length)  # the cells of the attention layers

    def roll(self, slot: int, begin: int, end: int) -> None:
        """Forget positions begin to end and move those behind them there. The keys are turned in the next decode."""
        if not lib.llama_memory_seq_rm(self._memory, slot, begin, end):
            raise NativeError(f"llama_memory_seq_rm could not cut {begin} to {end} out of slot {slot}")
        lib.llama_memory_seq_add(self._memory, slot, end, -1, begin - end)

    def save(self, slot: int, length: int) -> bytearray:
        """The slot's cells as llama.cpp writes them (`llama_state_seq_get_data`). Logits are not among them."""
        assert self._num_held(slot) == length, "the slot holds other tokens"
        return self._get(slot, lib.LLAMA_STATE_SEQ_FLAGS_NONE)

    def restore(self, slot: int, payload: bytearray | memoryview) -> bool:
        """False when no cells are free, or it does not fit this context; the slot is empty then.
        A payload cut short ENDS THE PROCESS: whoever reads one from a file checks it first."""
        is_read = self._set(slot, payload, lib.LLAMA_STATE_SEQ_FLAGS_NONE)
        if not is_read:
            lib.llama_memory_seq_rm(self._memory, slot, -1, -1)
        elif self._shadow is not None:
            lib.llama_memory_seq_cp(self._memory, slot, slot + self._shadow, -1, -1)
        return is_read

    def close(self) -> None:
        if self.pointer:
            lib.llama_batch_free(self._batch)
            lib.llama_free(self.pointer)
            self.pointer = None

    @property
    def _distances(self) -> tuple[int, ...]:
        """From a slot's id to those of the sequences that hold its cells."""
        return (0,) if self._shadow is None else (0, self._shadow)

    def _num_held(self, slot: int) -> int:
        return int(lib.llama_memory_seq_pos_max(self._memory, slot)) + 1

    def _get(self, slot: int, flags: int) -> bytearray:
        size: int = lib.llama_state_seq_get_size_ext(self.pointer, slot, flags)
        payload = bytearray(size)
        written = lib.llama_state_seq_get_data_ext(self.pointer, _as_array(payload), size, slot, flags)
        if written != size:
            raise NativeError(f"llama_state_seq_get_data wrote {written} of {size} bytes")
        return payload

    def _set(self, slot: int, payload: bytearray | memoryview, flags: int) -> bool:
        self._rollback.forget(slot)
        read = lib.llama_state_seq_set_data_ext(self.pointer, _as_array(payload), len(payload), slot, flags)
        return bool(read == len(payload))

    @staticmethod
    def _view(pointer: Any, kind: type, length: int) -> Any:
        return np.ctypeslib.as_array(ctypes.cast(pointer, ctypes.POINTER(kind)), shape=(length,))


def _pieces(text: str) -> Iterator[str]:
    """The text, cut within runs that are too long; not within what may be a marker of a template."""
    begin = 0
    for run in LONG_RUN.finditer(text):
        cut = run.start() + MAX_RUN
        while cut < run.end():
            marker = max(text.rfind(sign, cut - MAX_MARKER, cut) for sign in "<[")
            cut = cut if marker < 0 else marker
            yield text[begin:cut]
            begin, cut = cut, cut + MAX_RUN
    yield text[begin:]


def _as_array(payload: bytearray | memoryview) -> Any:
    """Its own memory, not a copy."""
    return (ctypes.c_uint8 * len(payload)).from_buffer(payload)


def _ignore(_fraction: float) -> None:
    pass
