"""What a context decodes at once, as far as it decides how much memory that takes."""

from dataclasses import dataclass

from app.planner.model import Layer
from backends.formats.kv_shape import BLOCK, BYTES_PER_BLOCK, UNQUANTIZED
from backends.protocol import KVType


@dataclass(frozen=True, slots=True)
class Batch:
    """tokens: of a micro-batch. cells: of the KV cache that a token attends to. slots: sequences that there may be.

    snapshots: states of a recurrent sequence that may be taken back to.
    """

    tokens: int
    cells: int
    window_cells: int
    slots: int
    is_unified: bool = True
    flash_attention: bool = True
    type_k: KVType = KVType.F16
    type_v: KVType = KVType.F16
    snapshots: int = 0

    @property
    def streams(self) -> int:
        return 1 if self.is_unified else self.slots

    @property
    def rows(self) -> int:
        """A micro-batch of as many tokens for each sequence (`graph_reserve`)."""
        return -(-self.tokens // self.slots) * self.slots

    @property
    def turns_keys(self) -> bool:
        """A quantized cache is turned by a matrix (`build_input_k_rot`)."""
        return self.type_k not in UNQUANTIZED

    @property
    def turns_values(self) -> bool:
        return self.type_v not in UNQUANTIZED

    def key_bytes(self, layer: Layer) -> int:
        """Of one cell."""
        return row_bytes(layer.kv_heads * layer.key_length, self.type_k)

    def value_bytes(self, layer: Layer) -> int:
        return row_bytes(layer.kv_heads * layer.value_length, self.type_v)

    @property
    def outputs(self) -> int:
        return self.tokens


def row_bytes(numbers: int, kind: KVType) -> int:
    return -(-numbers * BYTES_PER_BLOCK[kind] // BLOCK)
