"""Reads safetensors checkpoints, one file or shards. Trusts no number in them.

Format: 8 bytes little-endian header length, a JSON header {name: {dtype, shape, data_offsets}}, the data.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard, TypeVar

import numpy as np
from numpy.typing import NDArray

from backends.child import Refusal
from backends.convert.files import parse_json, read_json
from backends.convert.sentences import shown
from backends.convert.stored import ALL_DTYPES, as_floats

MAX_HEADER_BYTES = 32_000_000  # the format allows 100 million, which would be some 600,000 tensors
MAX_HEADER_VALUES = 400_000  # eight for each tensor; the largest files have some thousand tensors
MAX_TENSORS = 300_000  # of all files; a model of a trillion parameters has 200,000 when it is quantized
MAX_DIMS = 8
MAX_NAME = 200  # of a shard
MAX_SHARDS = 2000
SHARD = re.compile(r"model-\d{5}-of-(\d{5})\.safetensors")
NO_WEIGHTS = re.compile(r"adapter|lora|consolidated|optimizer|training|scheduler", re.IGNORECASE)  # as app.hub chooses
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry:
    """Where one tensor lies. `offset` counts from the start of the file, in bytes."""

    path: Path
    dtype: str
    shape: tuple[int, ...]
    offset: int

    @property
    def num_elements(self) -> int:
        return math.prod(self.shape)

    def load(self) -> NDArray[Any]:
        """The tensor in its shape as it is stored; floats that numpy does not know as unsigned integers."""
        stored = np.fromfile(self.path, ALL_DTYPES[self.dtype], self.num_elements, offset=self.offset)
        if stored.size != self.num_elements:
            raise Refusal(f"{self.path.name} is cut short. Download the checkpoint again.")
        return stored.reshape(self.shape)

    def load_part(self, index: int) -> NDArray[Any]:
        """The same of one index along the outermost dimension."""
        shape = self.shape[1:]
        count = math.prod(shape)
        dtype = ALL_DTYPES[self.dtype]
        stored = np.fromfile(self.path, dtype, count, offset=self.offset + index * count * dtype.itemsize)
        if stored.size != count:
            raise Refusal(f"{self.path.name} is cut short. Download the checkpoint again.")
        return stored.reshape(shape)

    def read(self) -> NDArray[np.float32]:
        """The tensor in its shape as float32; all but F64 and the larger integers fit into it exactly."""
        return as_floats(self.load(), self.dtype)


def read_checkpoint(folder: Path) -> dict[str, Entry]:
    """All tensors of a checkpoint folder by name. Raises Refusal with one sentence for any fault."""
    if not folder.is_dir():
        raise Refusal(f"{folder} is not a folder with a checkpoint.")
    index = folder / "model.safetensors.index.json"
    if index.exists():
        return read_shards(folder, index, ".safetensors", read_entries)
    single = folder / "model.safetensors"
    if single.exists():
        return read_entries(single)
    files = sorted(path.name for path in folder.glob("*.safetensors") if not NO_WEIGHTS.search(path.name))
    if shards := [match for name in files if (match := SHARD.fullmatch(name))]:
        count = min(int(shards[0][1]), MAX_SHARDS)
        return read_files(
            folder, [f"model-{n:05}-of-{count:05}.safetensors" for n in range(1, count + 1)], read_entries
        )
    if len(files) != 1:
        raise Refusal(_why_no_weights(folder))
    return read_entries(folder / files[0])


def read_entries(path: Path) -> dict[str, Entry]:
    """The tensors of one file: known dtypes, sizes that add up, nothing outside, nothing shared."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > min(MAX_HEADER_BYTES, size - 8):
                raise Refusal(f"{path.name} is damaged or cut short: its header does not fit into the file.")
            text = file.read(length)
    except OSError as fault:
        raise Refusal(f"{path} cannot be read: {fault.strerror or fault}.") from fault
    header = _parse_header(path.name, text)
    entries = {name: _entry(path, name, value, 8 + length, size) for name, value in header.items()}
    _refuse_overlap(path.name, entries)
    return entries


def _parse_header(file_name: str, text: bytes) -> dict[str, Any]:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) != len(pairs):
            raise ValueError("a name occurs twice")
        return dict(pairs)

    try:
        header = parse_json(text, unique, MAX_HEADER_VALUES)
    except OverflowError as fault:
        raise Refusal(f"{file_name} is damaged: its header holds far more values than it should.") from fault
    except (ValueError, RecursionError) as fault:
        raise Refusal(f"{file_name} is damaged: its header is not valid JSON.") from fault
    if not isinstance(header, dict):
        raise Refusal(f"{file_name} is damaged: its header is not a table of tensors.")
    header.pop("__metadata__", None)
    return header


def _entry(path: Path, name: str, value: Any, data_start: int, file_size: int) -> Entry:
    damaged = Refusal(f"{path.name} is damaged: the entry of tensor {name!r:.80} is not valid.")
    if not isinstance(value, dict):
        raise damaged
    dtype, shape, offsets = value.get("dtype"), value.get("shape"), value.get("data_offsets")
    if not isinstance(dtype, str) or not _are_counts(shape) or not _are_counts(offsets):
        raise damaged
    if dtype not in ALL_DTYPES:
        raise Refusal(
            f"Tensor {name!r:.80} has the type {shown(dtype):.20}, which cannot be converted (a quantized checkpoint?)."
        )
    if len(shape) > MAX_DIMS or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise damaged
    if math.prod(shape) * ALL_DTYPES[dtype].itemsize != offsets[1] - offsets[0]:
        raise damaged
    if data_start + offsets[1] > file_size:
        raise Refusal(f"{path.name} is cut short: tensor {name!r:.80} ends outside it. Download the checkpoint again.")
    return Entry(path, dtype, tuple(shape), data_start + offsets[0])


def _are_counts(value: Any) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 1 << 48 for n in value)


def _refuse_overlap(file_name: str, entries: dict[str, Entry]) -> None:
    end = 0
    for name, entry in sorted(entries.items(), key=lambda item: item[1].offset):
        if entry.offset < end:
            raise Refusal(f"{file_name} is damaged: tensor {name!r:.80} overlaps another one.")
        end = entry.offset + entry.num_elements * ALL_DTYPES[entry.dtype].itemsize


def read_shards(folder: Path, index: Path, suffix: str, read: Callable[[Path], dict[str, T]]) -> dict[str, T]:
    """The tensors of all files that an index names. Raises Refusal."""
    weight_map = read_json(index, max_values=2 * MAX_TENSORS).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(file, str) for file in weight_map.values()):
        raise Refusal(f"{index.name} is damaged: it holds no weight_map.")
    files = sorted(set(weight_map.values()))
    for file_name in files:
        if len(file_name) > MAX_NAME or not file_name.endswith(suffix) or any(c in file_name for c in "/\\:\0"):
            raise Refusal(f"{index.name} names {file_name!r:.80}, which is not a file beside it.")
    entries = read_files(folder, files, read)
    missing = next((name for name in weight_map if name not in entries), None)
    if missing is not None:
        raise Refusal(f"{index.name} announces tensor {missing!r:.80}, but no file holds it.")
    return entries


def read_files(folder: Path, files: list[str], read: Callable[[Path], dict[str, T]]) -> dict[str, T]:
    """The tensors of all these files. Raises Refusal."""
    entries: dict[str, T] = {}
    found_in: dict[str, str] = {}
    for file_name in files:
        if not (folder / file_name).is_file():
            raise Refusal(f"The checkpoint is not complete: {shown(file_name)} is missing.")
        for name, entry in read(folder / file_name).items():
            if name in entries:
                raise Refusal(f"Tensor {name!r:.80} occurs in two files, {found_in[name]} and {file_name}.")
            entries[name], found_in[name] = entry, file_name
        if len(entries) > MAX_TENSORS:
            raise Refusal(f"The checkpoint holds more than {MAX_TENSORS:,} tensors, which no model does.")
    return entries


def _why_no_weights(folder: Path) -> str:
    if (folder / "adapter_model.safetensors").exists():
        return f"{folder} holds an adapter (LoRA), not a model. Convert the model that it belongs to."
    if (folder / "consolidated.00.pth").exists():
        return f"{folder} holds the weights in their maker's own layout. Choose a repository made for transformers."
    return f"{folder} is not a complete checkpoint: model.safetensors is missing."
