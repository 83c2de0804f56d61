"""An importance matrix: how much each input of a weight matrix mattered over a text."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backends.formats import FormatError
from backends.llama.quantization.source import Source

if TYPE_CHECKING:  # numpy takes longer to import than a plan takes to make, and most plans have no matrix
    import numpy as np
    import numpy.typing as npt

# the keys that a file quantized with a matrix carries (tools/quantize/quantize.cpp); a value has at most 127 bytes
MAX_VALUE = 127
KEY_FILE, KEY_DATASET = "quantize.imatrix.file", "quantize.imatrix.dataset"
KEY_ENTRIES, KEY_NUM_CHUNKS = "quantize.imatrix.entries_count", "quantize.imatrix.chunks_count"
EMBEDDINGS = ("token_embd.weight", "per_layer_token_embd.weight")  # looked up, never multiplied


@dataclass(frozen=True, slots=True)
class Importance:
    """values: by name of the weight, the mean square of each of its inputs; experts one after the other."""

    name: str
    values: "dict[str, npt.NDArray[np.float32]]"
    dataset: str | None
    num_chunks: int

    @property
    def keys(self) -> dict[str, str | int]:
        """What the quantized file says of it. The file's name alone: its folder is nobody's business."""
        keys: dict[str, str | int] = {KEY_FILE: self.name}
        if self.dataset is not None:
            keys[KEY_DATASET] = self.dataset
        keys[KEY_ENTRIES] = len(self.values)
        if self.num_chunks > 0:
            keys[KEY_NUM_CHUNKS] = self.num_chunks
        return keys

    @property
    def key_bytes(self) -> int:
        texts = {key: 8 + len(cut(value)) if isinstance(value, str) else 4 for key, value in self.keys.items()}
        return sum(8 + len(key) + 4 + size for key, size in texts.items())

    def check_fits(self, source: Source) -> None:
        """Raises FormatError for the matrix of another model: llama.cpp would find out after minutes."""
        common = [name for name in self.values if name in source.tensors]
        if not common:
            raise FormatError(
                f"{self.name} was made for another model: it knows none of the tensors of {source.path.name}."
            )
        for name in common:
            columns, _, *rest = (*source.tensors[name].shape, 1, 1)
            if self.values[name].size != columns * rest[0] and name not in EMBEDDINGS:
                raise FormatError(
                    f"{self.name} was made for another model: {name!r} has {columns * rest[0]:,} inputs in "
                    f"{source.path.name}, and {self.values[name].size:,} in the matrix."
                )


def cut(text: str) -> bytes:
    return text.encode()[:MAX_VALUE]
