"""Asks a build what it is and whether the binding's structs are laid out as its own. Runs in a child: a wrong one dies.

llama.h passes parameters by value in structs that change from version to version, so before one of them is used its
size is looked at: the default parameters are written into a buffer that says how far they reach.
"""

import ctypes
import platform
from collections.abc import Callable
from typing import Any

from backends.build_report import BuildDevice, BuildReport
from backends.child import Progress
from backends.llama import binding, native
from backends.llama.binding import lib

STRUCTS = {
    "llama_model_default_params": "llama_model_params",
    "llama_context_default_params": "llama_context_params",
    "llama_model_quantize_default_params": "llama_model_quantize_params",
}
# values of llama.cpp's own defaults, from both ends of the structs
DEFAULTS = {
    "llama_model_default_params": {"n_gpu_layers": -1, "split_mode": 1, "vocab_only": False, "use_extra_bufts": True},
    "llama_context_default_params": {"n_ctx": 512, "n_batch": 2048, "type_k": 1, "type_v": 1, "offload_kqv": True},
}
BY_POINTER = ("x86_64", "amd64")  # processors on which a large struct is returned through a pointer in front
ROOM = 4096  # bytes; the largest of them has some 150


def run(report: Callable[[Progress], None], expected: str | None = None) -> BuildReport:
    """expected: llama.cpp's version that the binding was made for, None where this is that build."""
    report(Progress(0.1, "Looking at the engine build"))
    version = lib.llama_version().decode("utf-8", "replace")
    problem = _other_version(version, expected) or other_layout()
    if problem:
        return BuildReport(version, binding.version(), "", False, (), problem)
    native.start()
    devices = tuple(BuildDevice(d.name, d.description, d.is_gpu, d.free, d.total) for d in native.devices())
    return BuildReport(
        version, binding.version(), native.system_info(), bool(lib.llama_supports_gpu_offload()), devices
    )


def _other_version(version: str, expected: str | None) -> str | None:
    if expected is None or version == expected:
        return None
    return f"It is llama.cpp {version}, and Slipstream's binding is for {expected}. Make it anew."


def other_layout() -> str | None:
    """Why the structs do not go together, as a sentence; None: they do."""
    for function, kind in STRUCTS.items():
        size = ctypes.sizeof(getattr(lib, kind))
        reach = _reach(function) if platform.machine().lower() in BY_POINTER else size
        if not size - ctypes.alignment(getattr(lib, kind)) < reach <= size:
            return f"Its {kind} has {reach} bytes, and that of Slipstream's binding {size}. Make it anew."
    for function, values in DEFAULTS.items():
        params = getattr(lib, function)()
        odd = [name for name, value in values.items() if getattr(params, name) != value]
        if odd:
            return f"Its default of {odd[0]} is not llama.cpp's, so the structs differ. Make it anew."
    return None


def _reach(function: str) -> int:
    """How many bytes of its result the library writes: those are the same over whatever was there before."""
    call: Any = lib._lib[function]  # another object than the binding's, which has its own types
    call.argtypes, call.restype = [ctypes.c_void_p], ctypes.c_void_p
    buffers = [ctypes.create_string_buffer(fill * ROOM, ROOM) for fill in (b"\xaa", b"\x55")]
    for buffer in buffers:
        call(ctypes.addressof(buffer))
    same = [at for at, (one, other) in enumerate(zip(*(buffer.raw for buffer in buffers), strict=True)) if one == other]
    return same[-1] + 1 if same else 0
