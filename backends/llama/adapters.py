"""A model's LoRA adapters."""

import ctypes
import os
from collections.abc import Sequence as Many
from pathlib import Path
from typing import Any

from backends.llama.binding import lib
from backends.llama.log import NativeError, errors, failure


class NativeAdapters:
    """Of one model, which frees them with itself."""

    def __init__(self, model: Any):
        """model: llama.cpp's pointer."""
        self._model = model
        self._pointers: list[Any] = []

    def add(self, path: Path) -> None:
        """Before a context is made, whose graphs must have room for it. The file has been checked: llama.cpp aborts on
        shapes that do not go together. Raises NativeError."""
        mark = errors.mark()
        adapter = lib.llama_adapter_lora_init(self._model, os.fsencode(path))
        if not adapter:
            raise failure(mark, f"the adapter {path.name}")
        self._pointers.append(adapter)

    def set(self, context: Any, scales: Many[float]) -> None:
        """One scale for each; they hold for all rows of the context's decodes that follow. context: llama.cpp's
        pointer."""
        count = len(self._pointers)
        assert len(scales) == count, "a scale for each adapter"
        pointers = (lib.llama_adapter_lora_p_ctypes * count)(*self._pointers)
        if lib.llama_set_adapters_lora(context, pointers, count, (ctypes.c_float * count)(*scales)):
            raise NativeError("llama_set_adapters_lora failed")
