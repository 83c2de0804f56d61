"""Tells llama.cpp where the weights of a model go: how many layers on each GPU, and what of them stays in RAM."""

import ctypes
from typing import Any

from backends.protocol import Keep, Placement

# by tensor names of gguf; `kept` layers are counted from the first that is on a GPU
PARTS = {
    Keep.EXPERTS: r"ffn_(up|down|gate|gate_up)_exps",
    Keep.FEED_FORWARD: r"ffn_(up|down|gate|gate_up)(_exps|_shexp)?",
}


class _Override(ctypes.Structure):
    """struct llama_model_tensor_buft_override; the binding has no wrapper."""

    _fields_ = [("pattern", ctypes.c_char_p), ("buft", ctypes.c_void_p)]


class Spreading:
    """Holds what llama.cpp is given pointers to, until the model is loaded."""

    def __init__(self, placement: Placement, num_devices: int, cpu: int | None):
        """cpu: the pointer of the CPU's buffer type."""
        self._split = None
        if placement.split:
            counts = [*placement.split, *[0] * num_devices][:num_devices]
            self._split = (ctypes.c_float * num_devices)(*map(float, counts))
        self._overrides = None
        if text := pattern(placement):
            self._overrides = (_Override * 2)(_Override(text.encode(), cpu), _Override(None, None))

    def apply(self, params: Any) -> None:
        if self._split:
            params.tensor_split = ctypes.cast(self._split, ctypes.POINTER(ctypes.c_float))
        if self._overrides:
            params.tensor_buft_overrides = ctypes.cast(self._overrides, ctypes.c_void_p)


def pattern(placement: Placement) -> str | None:
    """Of the names of tensors that stay in RAM; None: none does."""
    part = PARTS.get(placement.keeps)
    if part is None or not placement.kept:
        return None
    numbers = "|".join(str(number) for number in range(placement.first, placement.first + placement.kept))
    return rf"^blk\.({numbers})\.{part}\.weight$"
