"""Models larger than a device: random weights with a true header, written in seconds and never kept.

Whose answers nobody reads: only where their weights lie, and how long a token takes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import BinaryIO

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type

from tests.planner.shapes import attention, dense, experts, outer, qkv, stacked

ALIGNMENT = 32
NUM_RANDOM = 1 << 22  # numbers, which follow each other again and again


@dataclass(frozen=True, slots=True)
class Shape:
    """Of a Llama in F16, or with experts a Mixtral."""

    layers: int
    width: int = 2048
    wide: int = 8192
    heads: int = 16
    kv_heads: int = 4
    num_experts: int = 0
    num_used: int = 0
    context: int = 4096

    @property
    def head(self) -> int:
        return self.width // self.heads

    def block(self, _number: int) -> dict[str, tuple[int, ...]]:
        wide = experts(self.width, self.wide, self.num_experts) if self.num_experts else dense(self.width, self.wide)
        return qkv(self.width, self.heads, self.kv_heads, self.head) | wide

    def settings(self) -> dict[str, object]:
        found = attention(self.layers, self.width, self.heads, self.kv_heads, self.head, self.context)
        return found | {
            "feed_forward_length": self.wide,
            "expert_count": self.num_experts,
            "expert_used_count": self.num_used,
        }


def write(path: Path, shape: Shape, like: Path) -> Path:
    """like: a model whose vocabulary it has."""
    reader = gguf.GGUFReader(like)
    num_tokens = next(tensor for tensor in reader.tensors if tensor.name == "token_embd.weight").shape[1]
    writer = gguf.GGUFWriter(path, "llama")
    for key, value in shape.settings().items():
        if isinstance(value, float):
            writer.add_float32(f"llama.{key}", value)
        else:
            writer.add_uint32(f"llama.{key}", value)
    for field in reader.fields.values():
        if field.name.startswith("tokenizer."):
            kinds = field.types
            writer.add_key_value(field.name, field.contents(), kinds[0], kinds[-1] if len(kinds) > 1 else None)
    sizes = []
    for name, of in (outer(shape.width, int(num_tokens)) | stacked(shape.layers, shape.block)).items():
        is_plain = len(of) == 1 or "ffn_gate_inp" in name
        size = prod(of) * (4 if is_plain else 2)
        writer.add_tensor_info(name, of[::-1], np.dtype(np.float32), size, Type.F32 if is_plain else Type.F16)
        sizes.append((size, is_plain, len(of) == 1))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    with path.open("ab") as file:
        _pad(file)
        for size, is_plain, is_norm in sizes:
            for piece in _numbers(size, shape.width, is_plain=is_plain, is_norm=is_norm):
                file.write(piece)
            _pad(file)
    return path


def _pad(file: BinaryIO) -> None:
    file.write(bytes(-file.tell() % ALIGNMENT))


def _numbers(size: int, width: int, *, is_plain: bool, is_norm: bool) -> Iterator[memoryview]:
    """Norms are one, what is multiplied is so small that its sums are near one."""
    kind = np.float32 if is_plain else np.float16
    count = min(NUM_RANDOM, size // kind().itemsize)
    random = np.random.default_rng(size).standard_normal(count, dtype=np.float32) * width**-0.5
    block = memoryview((np.ones(count) if is_norm else random).astype(kind).tobytes())
    for begin in range(0, size, len(block)):
        yield block[: size - begin]
