"""llama.cpp's models as closable objects, its devices and its log. What a context does is in `context`.

Pointers are checked where they are made; whatever returns NULL or a negative code becomes an exception.
"""

import ctypes
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import repeat
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from backends.llama.binding import lib, libraries
from backends.llama.binding import version as binding_version
from backends.llama.log import NativeError as NativeError
from backends.llama.log import errors, failure, write
from backends.llama.special_tokens import SpecialTokens

DEVICE_KINDS_GPU = (1, 2)  # GGML_BACKEND_DEVICE_TYPE_GPU and _IGPU
PIECE_BYTES = 256
NAMED_TEMPLATE = b"tokenizer.chat_template."
OTHER_TEMPLATES = (b"tool_use", b"rag")  # that want what a plain chat has not
# llama.cpp cuts text into words by std::regex, which recurses for each character of a word: some 100,000 in a row
# overflow the stack
MAX_RUN, MAX_MARKER = 2000, 64
LONG_RUN = re.compile(rf"(?<!\S)\S{{{MAX_RUN},}}|(?<!\s)\s{{{MAX_RUN},}}")


@lib.llama_log_callback  # type: ignore[untyped-decorator]
def _log(level: int, text: bytes, _user_data: object) -> None:
    """To file descriptor 2, which is the process's log."""
    said = text.decode("utf-8", "replace")
    errors.hear(level, said)
    write(level, said)


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
    return f"llama.cpp {native.decode()} (llama-cpp-python {binding_version()})"


@dataclass(frozen=True, slots=True)
class NativeDevice:
    """One device that ggml can compute on; memory in bytes."""

    name: str
    description: str
    is_gpu: bool
    free: int
    total: int


def devices() -> tuple[NativeDevice, ...]:
    """All devices of the installed build, the CPU too, with the memory that they have now."""
    return tuple(map(_device, range(_ggml().ggml_backend_dev_count())))


def gpus() -> tuple[NativeDevice, ...]:
    """Those that are GPUs; without one nothing is asked."""
    return tuple(map(_device, _gpus()))


def has_gpu() -> bool:
    return bool(_gpus())


@cache
def _gpus() -> tuple[int, ...]:
    """Their places among the devices: none comes or goes."""
    return tuple(at for at, device in enumerate(devices()) if device.is_gpu)


@cache
def _ggml() -> Any:
    """The binding has no wrapper: asked through its handle, because another handle would open a second copy of the
    library with a registry of its own."""
    ggml = lib._lib
    if sys.platform == "win32":  # only there a handle does not reach the libraries it depends on
        ggml = ctypes.CDLL(str(libraries() / "ggml.dll"))
        base = ctypes.CDLL(str(libraries() / "ggml-base.dll"))
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


def _device(at: int) -> NativeDevice:
    ggml, free, total = _ggml(), ctypes.c_size_t(), ctypes.c_size_t()
    device = ggml.ggml_backend_dev_get(at)
    ggml.ggml_backend_dev_memory(device, ctypes.byref(free), ctypes.byref(total))
    return NativeDevice(
        ggml.ggml_backend_dev_name(device).decode("utf-8", "replace"),
        ggml.ggml_backend_dev_description(device).decode("utf-8", "replace"),
        ggml.ggml_backend_dev_type(device) in DEVICE_KINDS_GPU,
        free.value,
        total.value,
    )


class Closable:
    def close(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class NativeModel(Closable):
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
        mark = errors.mark()
        self.pointer = lib.llama_model_load_from_file(os.fsencode(path), params)
        if not self.pointer:
            raise failure(mark)
        self.vocab = lib.llama_model_get_vocab(self.pointer)
        self.num_tokens: int = lib.llama_vocab_n_tokens(self.vocab)
        self._pieces: dict[int, bytes] = {}
        self.adapters: list[Any] = []  # freed with the model

    def add_adapter(self, path: Path) -> None:
        """Before a context is made, whose graphs must have room for it. The file has been checked: llama.cpp aborts on
        shapes that do not go together. Raises NativeError."""
        mark = errors.mark()
        adapter = lib.llama_adapter_lora_init(self.pointer, os.fsencode(path))
        if not adapter:
            raise failure(mark, f"the adapter {path.name}")
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
        has_both = lib.llama_model_has_encoder(self.pointer)
        return bool(lib.llama_model_has_decoder(self.pointer)) and not has_both and self.is_causal

    @property
    def is_causal(self) -> bool:
        """Whether no token sees those that follow it. Others keep no cells, and write nothing."""
        return self.metadata(f"{self.metadata('general.architecture')}.attention.causal") != "false"

    @property
    def has_vocabulary(self) -> bool:
        """Without one every call about tokens aborts the process."""
        return bool(lib.llama_vocab_type(self.vocab) != lib.LLAMA_VOCAB_TYPE_NONE)

    @property
    def chat_template(self) -> str | None:
        """The default one, or where a file has named ones alone, the first that is for chats."""
        names = [None, *self._template_names()]
        templates = (lib.llama_model_chat_template(self.pointer, name) for name in names)
        return next((template.decode("utf-8", "replace") for template in templates if template), None)

    def _template_names(self) -> list[bytes]:
        buffer = ctypes.create_string_buffer(PIECE_BYTES)
        keys = []
        for i in range(lib.llama_model_meta_count(self.pointer)):
            lib.llama_model_meta_key_by_index(self.pointer, i, buffer, len(buffer))
            keys.append(buffer.value)
        names = [key.removeprefix(NAMED_TEMPLATE) for key in keys if key.startswith(NAMED_TEMPLATE)]
        return sorted(names, key=lambda name: name in OTHER_TEMPLATES)

    def named_tokens(self) -> dict[str, str]:
        """Texts of the tokens that chat templates name, as transformers calls them; without those it lacks."""
        unknown = self.metadata("tokenizer.ggml.unknown_token_id")
        tokens = {
            "bos_token": self.bos,
            "eos_token": self.end_of_text,
            "pad_token": lib.llama_vocab_pad(self.vocab),
            "sep_token": lib.llama_vocab_sep(self.vocab),
            "mask_token": lib.llama_vocab_mask(self.vocab),
            "unk_token": int(unknown) if unknown and unknown.isdecimal() else -1,
        }
        return {name: self.token_text(token) for name, token in tokens.items() if 0 <= token < self.num_tokens}

    def has_control(self, text: str) -> bool:
        """Whether one token is this text, and is no text for people."""
        tokens = self.tokenize(text, add_special=False, parse_special=True)
        return len(tokens) == 1 and not self.piece(tokens[0])

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

    def longest_text(self) -> int:
        """Of all tokens, in bytes as they lie in the vocabulary: of no text does one token hold more characters."""
        texts = map(lib.llama_vocab_get_text, repeat(self.vocab), range(self.num_tokens))
        return max(map(len, filter(None, texts)), default=0)

    @property
    def bos(self) -> int:
        return int(lib.llama_vocab_bos(self.vocab))

    @property
    def end_of_text(self) -> int:
        return int(lib.llama_vocab_eos(self.vocab))

    @property
    def adds_eos(self) -> bool:
        return bool(lib.llama_vocab_get_add_eos(self.vocab))

    @property
    def closing(self) -> int | None:
        """The token that the tokenizer puts behind a text."""
        if lib.llama_vocab_get_add_sep(self.vocab):
            return int(lib.llama_vocab_sep(self.vocab))
        return self.end_of_text if self.adds_eos else None

    @cached_property
    def special(self) -> SpecialTokens:
        return SpecialTokens(self.vocab, self.num_tokens, self.metadata("tokenizer.ggml.eom_token_id"))

    def ends(self) -> frozenset[int]:
        """All tokens that end an answer."""
        return self.special.ends()

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


def _ignore(_fraction: float) -> None:
    pass
