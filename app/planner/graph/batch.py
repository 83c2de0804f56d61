"""What a context decodes at once, as far as it decides how much memory that takes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Batch:
    """tokens: of a micro-batch. cells: of the KV cache that a token attends to. slots: sequences that there may be.

    snapshots: states of a recurrent sequence that may be taken back to. turns_keys, turns_values: a quantized cache is
    turned by a matrix (`build_input_k_rot`).
    """

    tokens: int
    cells: int
    window_cells: int
    slots: int
    is_unified: bool = True
    flash_attention: bool = True
    turns_keys: bool = False
    turns_values: bool = False
    snapshots: int = 0

    @property
    def streams(self) -> int:
        return 1 if self.is_unified else self.slots

    @property
    def rows(self) -> int:
        """A micro-batch of as many tokens for each sequence (`graph_reserve`)."""
        return -(-self.tokens // self.slots) * self.slots

    @property
    def outputs(self) -> int:
        return self.tokens
