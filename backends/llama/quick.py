"""Calls of llama.cpp that are over at once, and so keep the interpreter's lock: who gives it away between two decodes
waits until another thread gives it back. Never one that computes, or waits for a device."""

import ctypes
from typing import Any

from backends.llama.binding import lib

_library = ctypes.PyDLL(lib._lib._name, handle=lib._lib._handle)


class TokenArray(ctypes.Structure):
    """llama_token_data_array, but that `data` is a number: what is read of it makes no object of a pointer."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("selected", ctypes.c_int64),
        ("sorted", ctypes.c_bool),
    )


def _quick(name: str, result: Any, *arguments: Any) -> Any:
    function = getattr(_library, name)
    function.restype, function.argtypes = result, arguments
    return function


# the address of the rows, in the order of the batch; after llama_synchronize, or it waits for the device
get_logits = _quick("llama_get_logits", ctypes.c_void_p, ctypes.c_void_p)
sampler_apply = _quick("llama_sampler_apply", None, ctypes.c_void_p, ctypes.POINTER(TokenArray))
sampler_accept = _quick("llama_sampler_accept", None, ctypes.c_void_p, ctypes.c_int32)
