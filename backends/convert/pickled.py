"""Reads `pytorch_model.bin`, one file or shards. Looks through a file without opening it before torch does.

A pickle is a program. Only those are opened whose calls are the few that put tensors together, in an archive whose
members are stored as they are; torch's own check (weights_only) then looks once more.
"""

import pickle
import pickletools
import re
import zipfile
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from backends.child import Refusal
from backends.convert.safetensors import MAX_DIMS, read_shards

MIN_TORCH = (2, 10)  # before it weights_only could be got round (CVE-2025-32434, CVE-2026-24747)
MAX_PICKLE_BYTES = 32 << 20
MAX_MEMBERS = 200_000
CALLS = re.compile(
    r"collections OrderedDict|torch\._utils _rebuild_(tensor_v2|parameter)"
    r"|torch (Float|Double|Half|BFloat16|Long|Int|Short|Char|Byte|Bool)Storage"
)
# opcodes that name or call something in another way, or read what lies outside of the pickle
REFUSED_OPCODES = {"INST", "OBJ", "NEWOBJ", "NEWOBJ_EX", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4", "PERSID"}
FLOATS = ("float32", "float16", "bfloat16", "float64")


@dataclass(frozen=True, slots=True, eq=False)
class PickledTensor:
    """One tensor of a mapped file: nothing is read before `read`."""

    tensor: Any
    shape: tuple[int, ...]

    @property
    def place(self) -> Hashable:
        """The same for two names of one tensor."""
        return self.tensor.data_ptr(), self.tensor.dtype, self.shape, self.tensor.stride()

    def read(self) -> NDArray[np.float32]:
        return np.ascontiguousarray(self.tensor.detach().float().numpy())


def has_pickles(folder: Path) -> bool:
    return (folder / "pytorch_model.bin.index.json").exists() or (folder / "pytorch_model.bin").exists()


def read_pickled(folder: Path) -> dict[str, PickledTensor]:
    """All tensors of the checkpoint by name. Raises Refusal."""
    index = folder / "pytorch_model.bin.index.json"
    if index.exists():
        return read_shards(folder, index, ".bin", read_file)
    return read_file(folder / "pytorch_model.bin")


def read_file(path: Path) -> dict[str, PickledTensor]:
    """Raises Refusal for a file that is damaged, or that would run code."""
    _check_archive(path)
    import torch

    if tuple(map(int, torch.__version__.split(".")[:2])) < MIN_TORCH:
        raise Refusal(f"Pickled weights are opened with torch {MIN_TORCH[0]}.{MIN_TORCH[1]} or newer only. Update it.")
    try:
        tensors = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, KeyError, TypeError, EOFError, OSError) as fault:
        raise Refusal(f"{path.name} is damaged, or no file of tensors. Download the checkpoint again.") from fault
    if not isinstance(tensors, dict):
        raise Refusal(f"{path.name} holds no table of tensors.")
    return {str(name): _tensor(path, str(name), value) for name, value in tensors.items()}


def _tensor(path: Path, name: str, value: Any) -> PickledTensor:
    import torch

    if not isinstance(value, torch.Tensor) or value.layout != torch.strided or value.ndim > MAX_DIMS:
        raise Refusal(f"{path.name} holds {name!r:.80}, which is not a tensor.")
    dtype = str(value.dtype).removeprefix("torch.")
    if dtype not in FLOATS:
        raise Refusal(f"Tensor {name!r:.80} has the type {dtype}, which cannot be converted (a quantized checkpoint?).")
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        raise Refusal(f"{path.name} holds {name!r:.80}, which says that it is larger than its bytes. Do not trust it.")
    return PickledTensor(value, tuple(value.shape))


def _check_archive(path: Path) -> None:
    try:
        with path.open("rb") as file:
            if file.read(4) != b"PK\x03\x04":
                raise Refusal(
                    f"{path.name} is a pickle of the old kind, which can run code when it is opened. "
                    "Choose a checkpoint in safetensors."
                )
        with zipfile.ZipFile(path) as archive:
            _check_members(path, archive.infolist())
            names = [name for name in archive.namelist() if name.endswith("data.pkl")]
            if len(names) != 1:
                raise Refusal(f"{path.name} is damaged, or no file of tensors. Download the checkpoint again.")
            _check_calls(path, archive.read(names[0]))
    except (OSError, zipfile.BadZipFile, NotImplementedError, EOFError) as fault:
        raise Refusal(f"{path.name} is damaged, or no file of tensors. Download the checkpoint again.") from fault


def _check_members(path: Path, members: list[zipfile.ZipInfo]) -> None:
    """A bomb is small here and large there: nothing may be packed, and no two members share their bytes."""
    bomb = Refusal(f"{path.name} is packed in a way that checkpoints are not, so it was not opened.")
    if len(members) > MAX_MEMBERS or any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise bomb
    if sum(member.file_size for member in members) > path.stat().st_size:
        raise bomb
    if len({member.filename for member in members}) != len(members):
        raise bomb
    if any(member.file_size > MAX_PICKLE_BYTES for member in members if member.filename.endswith(".pkl")):
        raise bomb


def _check_calls(path: Path, program: bytes) -> None:
    try:
        for opcode, argument, _ in pickletools.genops(program):
            if opcode.name in REFUSED_OPCODES or (opcode.name == "GLOBAL" and not CALLS.fullmatch(str(argument))):
                what = f" ({argument!s:.60})" if opcode.name == "GLOBAL" else ""
                raise Refusal(
                    f"{path.name} would run code when it is opened{what}, so it was not. "
                    "Choose a checkpoint in safetensors, and do not trust this one."
                )
    except (ValueError, UnicodeDecodeError) as fault:
        raise Refusal(f"{path.name} is damaged, or no file of tensors. Download the checkpoint again.") from fault
