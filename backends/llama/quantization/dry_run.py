"""What llama.cpp would make of each tensor, as its own dry run says (src/llama-quant.cpp, `--dry-run`)."""

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from math import prod

from backends.child import QuantizePlan, TypeShare
from backends.formats.gguf_tables import UNQUANTIZED
from backends.formats.quantizations import TENSORS_WITH_DATA, TENSORS_WITH_IMATRIX
from backends.formats.recipe import Recipe
from backends.llama.quantization.fallback import BLOCKS, EMBEDDINGS, OUTPUT, gives_way
from backends.llama.quantization.importance import Importance
from backends.llama.quantization.source import Source

TENSOR = re.compile(r"\[ *\d+/ *\d+\] +(\S+) +- \[.*\], type = +(\S+), size = .*?MiB(?: -> .*MiB \((\S+)\))?$")
FALLBACK = re.compile(r"(\S+) +- ncols +(\d+) not divisible by +(\d+) \(required for type +(\S+)\).* to +(\S+)$")
ALIGNMENT = 32  # GGUF_DEFAULT_ALIGNMENT
# keys that quantizing adds where the source has them not, with their length, type and value
FILE_KEYS = {key: 8 + len(key) + 8 for key in ("general.quantization_version", "general.file_type")}
KEEPS_ITS_OWN = (*EMBEDDINGS, OUTPUT)  # llama.cpp asks no matrix for them, and ends its process where it needs one


@dataclass
class DryRun:
    """types: name of a tensor → (what it is, what it becomes), in the order of the work."""

    types: dict[str, tuple[str, str]] = field(default_factory=dict)
    fallbacks: list[str] = field(default_factory=list)

    def hear(self, line: str) -> None:
        if found := TENSOR.search(line):
            old = found[2].upper()
            self.types[found[1]] = old, (found[3] or old).upper()
        elif found := FALLBACK.search(line):
            name, columns, _, wanted, instead = found.groups()
            self.fallbacks.append(gives_way(name, int(columns), wanted.upper(), instead.upper()))

    def again(self) -> list[str]:
        """Tensors that are quantized and would be once more."""
        return [name for name, (old, new) in self.types.items() if old not in UNQUANTIZED and old != new]

    def without_importance(self, recipe: Recipe, importance: Importance | None) -> list[str]:
        """Tensors that llama.cpp would refuse to write, after minutes, because the matrix does not know them."""
        needed = TENSORS_WITH_IMATRIX | ({"Q2_K"} if recipe.type == "Q2_K_S" else set())
        return [name for name in self._unknown(needed, importance) if name not in KEEPS_ITS_OWN]

    def deadly(self, importance: Importance | None) -> list[str]:
        """Embeddings and output of a type that ends llama.cpp's process, as a matrix seldom knows them."""
        return [name for name in self._unknown(TENSORS_WITH_DATA, importance) if name in KEEPS_ITS_OWN]

    def _unknown(self, types: Collection[str], importance: Importance | None) -> list[str]:
        """Tensors that would become one of these types, and are not in the matrix."""
        known = importance.values if importance else {}
        return [name for name, (old, new) in self.types.items() if new in types and old != new and name not in known]

    def plan(self, source: Source, recipe: Recipe, importance: Importance | None) -> QuantizePlan:
        counts: Counter[str] = Counter()
        num_bytes: Counter[str] = Counter()
        padding = 0
        for name, (_, type_) in self.types.items():
            size = _tensor_bytes(source.tensors[name].shape, type_)
            counts[type_] += 1
            num_bytes[type_] += size
            padding += -size % ALIGNMENT
        weights = sum(num_bytes.values())
        keys = sum(size for key, size in FILE_KEYS.items() if key not in source.headers[0].metadata)
        keys += importance.key_bytes if importance else 0
        elements = sum(tensor.num_elements for tensor in source.tensors.values())
        return QuantizePlan(
            type=recipe.type,
            bytes=source.metadata_bytes + keys + weights + padding,
            bits_per_weight=weights * 8 / elements,
            tensors=tuple(TypeShare(type_, counts[type_], size) for type_, size in num_bytes.most_common()),
            fallbacks=tuple(self.fallbacks),
            needs_imatrix=recipe.imatrix is None and bool(self.without_importance(recipe, None)),
        )


def _tensor_bytes(shape: tuple[int, ...], type_: str) -> int:
    block = BLOCKS[type_]
    return shape[0] // block.block_elements * block.block_bytes * prod(shape[1:])
