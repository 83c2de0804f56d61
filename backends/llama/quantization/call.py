"""The one call of llama_model_quantize, with everything it points to kept alive around it."""

import ctypes
import os
from pathlib import Path
from typing import Any

from backends.formats.quantizations import COPY, TENSOR_NUMBERS
from backends.formats.recipe import Recipe
from backends.llama.binding import lib
from backends.llama.quantization.importance import Importance, cut

KV_INT, KV_STR = 0, 3  # llama.h's llama_model_kv_override_type


def quantize_file(
    source: Path, target: Path, recipe: Recipe, importance: Importance | None, threads: int | None, is_dry: bool
) -> int:
    """llama.cpp's code: 0, or 1 when it could not; why, it tells its log. Cannot be interrupted."""
    parameters = lib.llama_model_quantize_default_params()
    parameters.ftype = recipe.quantization.number
    parameters.nthread = threads or os.cpu_count() or 1
    parameters.only_copy = recipe.type == COPY
    parameters.pure = recipe.is_pure
    parameters.allow_requantize = recipe.allow_requantize
    parameters.dry_run = is_dry
    if recipe.output_type is not None:
        parameters.output_tensor_type = TENSOR_NUMBERS[recipe.output_type]
    if recipe.embedding_type is not None:
        parameters.token_embedding_type = TENSOR_NUMBERS[recipe.embedding_type]
    if recipe.overrides:
        parameters.tt_overrides = _overrides(recipe)
    if importance is not None:
        parameters.imatrix, parameters.kv_overrides = _matrix(importance), _keys(importance)
    return int(lib.llama_model_quantize(os.fsencode(source), os.fsencode(target), ctypes.byref(parameters)))


def _overrides(recipe: Recipe) -> Any:
    rows = (lib.llama_model_tensor_override * (len(recipe.overrides) + 1))()  # the last one ends the list
    for row, (pattern, type_) in zip(rows, recipe.overrides, strict=False):
        row.pattern, row.type = pattern.encode(), TENSOR_NUMBERS[type_]
    return rows


def _matrix(importance: Importance) -> Any:
    rows = (lib.llama_model_imatrix_data * (len(importance.values) + 1))()
    for row, (name, values) in zip(rows, importance.values.items(), strict=False):
        assert values.dtype == "float32"
        assert values.flags.c_contiguous
        row.name, row.size = name.encode(), values.size
        row.data = values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
    return rows


def _keys(importance: Importance) -> Any:
    rows = (lib.llama_model_kv_override * (len(importance.keys) + 1))()
    for row, (key, value) in zip(rows, importance.keys.items(), strict=False):
        row.key = key.encode()
        if isinstance(value, str):
            row.tag, row.value.val_str = KV_STR, cut(value)
        else:
            row.tag, row.value.val_i64 = KV_INT, value
    return rows
