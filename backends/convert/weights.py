"""The tensors of a checkpoint folder as numbers, however they are stored. Reads no number yet, runs no code."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

from backends.child import Refusal
from backends.convert.files import read_json
from backends.convert.inside import refuse_escapes
from backends.convert.layout import Source
from backends.convert.pickled import has_pickles, read_pickled
from backends.convert.quantized.table import dequantized
from backends.convert.quantized.tensor import Computed
from backends.convert.safetensors import Entry, read_checkpoint
from backends.convert.stored import DTYPES

BUFFERS = ("embeddings.position_ids",)  # whole numbers, which count the positions
SAFETENSORS = ("model.safetensors", "model.safetensors.index.json")


def read_weights(folder: Path) -> dict[str, Source]:
    """All tensors by name, with the ones of a quantized checkpoint as they were before, as far as that goes."""
    if not folder.is_dir():
        raise Refusal(f"{folder} is not a folder with a checkpoint.")
    refuse_escapes(folder)
    quantization = _quantization(read_json(folder / "config.json"))
    if has_pickles(folder) and not any((folder / name).exists() for name in SAFETENSORS):
        if quantization:
            raise Refusal("This checkpoint is quantized and pickled. Choose the original one, in safetensors.")
        return _pickled(folder)
    sources = dequantized(quantization, read_checkpoint(folder))
    for name, source in [*sources.items()]:
        if name.endswith(BUFFERS):
            del sources[name]
        elif isinstance(source, Entry) and source.dtype not in DTYPES:
            sources[name] = _floats(name, source)
    return sources


def _quantization(config: dict[str, Any]) -> Any:
    """The first that is there: beside the text model or in it, under its name or that of llm-compressor in 2024."""
    tables = [table for table in (config, config.get("text_config")) if isinstance(table, dict)]
    named = (table.get(key) for table in tables for key in ("quantization_config", "compression_config"))
    return next((settings for settings in named if settings), None)


def _pickled(folder: Path) -> dict[str, Source]:
    """One source for all names of one tensor: torch writes the output matrix that is the embedding under both."""
    made: dict[Hashable, Source] = {}
    tensors = read_pickled(folder).items()
    return {name: made.setdefault(tensor.place, Computed(tensor.shape, tensor.read)) for name, tensor in tensors}


def _floats(name: str, entry: Entry) -> Source:
    """F64 loses what F32 cannot hold; whole numbers are no weights, unless something says what they stand for."""
    if entry.dtype != "F64":
        raise Refusal(
            f"Tensor {name!r:.80} has the type {entry.dtype}, which cannot be converted (a quantized checkpoint?)."
        )
    return Computed(entry.shape, entry.read)
