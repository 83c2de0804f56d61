"""llama.cpp's models as closable objects, its devices and its log. What a context does is in `context`.

Pointers are checked where they are made; whatever returns NULL or a negative code becomes an exception.
"""

import ctypes
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from backends.llama.adapters import NativeAdapters
from backends.llama.binding import lib, libraries
from backends.llama.binding import version as binding_version
from backends.llama.log import NativeError as NativeError
from backends.llama.log import errors, failure, overheard, write
from backends.llama.metadata import Metadata
from backends.llama.spreading import Spreading
from backends.llama.told_buffers import WEIGHTS, by_device, told_buffers
from backends.llama.vocabulary import NativeVocabulary
from backends.protocol import Placement

KIND_SHARED = 2  # GGML_BACKEND_DEVICE_TYPE_IGPU
SHARING = ("Metal", "MTL")  # of Apple, which calls its devices GPUs all the same
DEVICE_KINDS_GPU = (1, KIND_SHARED)  # GGML_BACKEND_DEVICE_TYPE_GPU and _IGPU
LOAD_MODE_NONE = 0  # LLAMA_LOAD_MODE_NONE: with another one `no_alloc` ends the process


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
    is_shared: bool = False  # its memory is the RAM


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
        for name in ("dev_name", "dev_description", "dev_type", "dev_memory", "cpu_buffer_type"):
            setattr(ggml, f"ggml_backend_{name}", getattr(base, f"ggml_backend_{name}"))
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
    ggml.ggml_backend_cpu_buffer_type.restype = ctypes.c_void_p
    return ggml


def _device(at: int) -> NativeDevice:
    ggml, free, total = _ggml(), ctypes.c_size_t(), ctypes.c_size_t()
    device = ggml.ggml_backend_dev_get(at)
    ggml.ggml_backend_dev_memory(device, ctypes.byref(free), ctypes.byref(total))
    kind = ggml.ggml_backend_dev_type(device)
    name = ggml.ggml_backend_dev_name(device).decode("utf-8", "replace")
    return NativeDevice(
        name,
        ggml.ggml_backend_dev_description(device).decode("utf-8", "replace"),
        kind in DEVICE_KINDS_GPU,
        free.value,
        total.value,
        kind == KIND_SHARED or name.startswith(SHARING),
    )


class Closable:
    def close(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class NativeModel(Closable):
    """Weights, and what comes with them in the file. Raises NativeError when llama.cpp refuses it."""

    def __init__(
        self,
        path: Path,
        gpu_layers: int = 0,
        extra_buffer_types: bool = True,
        progress: Callable[[float], None] | None = None,
        vocab_only: bool = False,
        placement: Placement | None = None,
        is_dry: bool = False,
        is_mapped: bool = True,
    ):
        """gpu_layers: without one, GPUs are left alone, which else compute prompts with weights that lie in RAM.
        placement: where the weights go, for as many layers. is_dry: they are not read, only reckoned with.
        is_mapped: those in RAM are pages of the file, else the process's own memory."""
        params = lib.llama_model_default_params()
        params.n_gpu_layers = gpu_layers
        self.uses_gpu = gpu_layers != 0 and has_gpu()
        nowhere = (ctypes.c_void_p * 1)()  # a list of devices with its end alone
        if not self.uses_gpu:
            params.devices = ctypes.cast(nowhere, ctypes.c_void_p)
        params.use_extra_bufts = extra_buffer_types
        params.vocab_only = vocab_only
        params.no_alloc = is_dry
        if is_dry or not is_mapped:
            params.load_mode = LOAD_MODE_NONE
        spread = (
            Spreading(placement, lib.llama_max_devices(), _ggml().ggml_backend_cpu_buffer_type()) if placement else None
        )
        if spread:
            spread.apply(params)
        self._progress = lib.llama_progress_callback(lambda fraction, _: (progress or _ignore)(fraction) or True)
        params.progress_callback = self._progress
        mark = errors.mark()
        with overheard() as lines:
            self.pointer = lib.llama_model_load_from_file(os.fsencode(path), params)
        if not self.pointer:
            raise failure(mark)
        self.weights = by_device(told_buffers("".join(lines)), WEIGHTS)
        self.metadata = Metadata(self.pointer)
        self.vocabulary = NativeVocabulary(lib.llama_model_get_vocab(self.pointer), self.metadata)
        self.adapters = NativeAdapters(self.pointer)

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
        return self.metadata.of_architecture("attention.causal") != "false"

    @property
    def has_vocabulary(self) -> bool:
        """Without one every call about tokens aborts the process."""
        return bool(lib.llama_vocab_type(self.vocabulary.pointer) != lib.LLAMA_VOCAB_TYPE_NONE)

    def close(self) -> None:
        if self.pointer:
            lib.llama_model_free(self.pointer)
            self.pointer = None


def _ignore(_fraction: float) -> None:
    pass
