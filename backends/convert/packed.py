"""A tensor that stays as quantized as it is: MXFP4, of which gpt-oss holds its experts and llama.cpp knows the type.

Both keep 32 floats of 4 bits with one power of two; the file has 16 bytes whose halves are neighbours, GGUF 17 bytes:
the power, then bytes whose lower halves are the first 16 floats (ggml `block_mxfp4`; llama.cpp conversion/gpt_oss.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from backends.child import Refusal
from backends.convert.config import Config
from backends.convert.layout import Floats, Layout, Run, Source, Transform
from backends.convert.safetensors import Entry
from backends.convert.stored import float8_values

GROUP = 32  # numbers that share a power
GROUP_BYTES = GROUP // 2
BLOCK_BYTES = 1 + GROUP_BYTES
NO_NUMBER = 255  # the one power that is NaN (OCP E8M0)
POSITIVE = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
# the two floats of a byte, the lower half of its bits first
PAIRS = np.array([*POSITIVE, *(-value for value in POSITIVE)], np.float32)[np.arange(256)[:, None] >> [0, 4] & 15]


@dataclass(frozen=True, slots=True)
class Packed:
    """blocks: [experts, rows, groups, 16] bytes, scales: [experts, rows, groups]. Of the rows every step-th."""

    blocks: Entry
    scales: Entry
    first: int = 0
    step: int = 1

    @property
    def shape(self) -> tuple[int, ...]:
        experts, rows, groups, _ = self.blocks.shape
        return experts, len(range(self.first, rows, self.step)), groups * GROUP

    def read(self) -> Floats:
        """value = float4 * 2^(scale - 127) (transformers `convert_moe_packed_tensors`)."""
        values = np.empty(self.shape, np.float32)
        powers = float8_values("F8_E8M0")
        for expert, (packed, exponents) in enumerate(self._experts()):
            matrix = PAIRS[packed].reshape(*exponents.shape, GROUP)
            values[expert] = (matrix * powers[exponents][..., None]).reshape(values.shape[1:])
        return values

    def pieces(self, name: str) -> Iterator[NDArray[np.uint8]]:
        """The bytes of GGUF's blocks, an expert at a time. Raises Refusal, which names the tensor."""
        for packed, exponents in self._experts():
            if (exponents == NO_NUMBER).any():
                raise Refusal(f"Tensor {name!r:.80} holds values that are not numbers (NaN): a damaged checkpoint.")
            codes = np.stack([packed & 15, packed >> 4], -1).reshape(*exponents.shape, GROUP)
            halves = codes[..., :GROUP_BYTES] | codes[..., GROUP_BYTES:] << 4
            yield np.ascontiguousarray(np.concatenate([exponents[..., None], halves], -1))

    def _experts(self) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
        chosen = slice(self.first, None, self.step)
        for expert in range(self.blocks.shape[0]):
            yield self.blocks.load_part(expert)[chosen], self.scales.load_part(expert)[chosen]


def packed_rows(first: int = 0, step: int = 1) -> Transform:
    """Of each matrix every step-th row."""

    def transform(source: Source, _config: Config) -> Layout:
        if not isinstance(source, Packed):
            raise Refusal("The checkpoint names its experts as if they were MXFP4, which config.json does not say.")
        chosen = replace(source, first=first, step=step)
        return Layout(chosen.shape, (Run(chosen, 0, chosen.blocks.num_elements * 2 // step),))

    return transform
