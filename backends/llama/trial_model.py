"""Llamas that nobody trained and that know no word: what a build of llama.cpp is tried and measured with."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type

Weights = Callable[[int, int], "np.ndarray[Any, Any]"]  # of so many rows and columns, as their type stores them
ALIGNMENT = 32


@dataclass(frozen=True, slots=True)
class TrialModel:
    """Its dimensions. Tokens are numbers: there is no vocabulary."""

    width: int
    feed_forward: int
    heads: int
    kv_heads: int
    layers: int = 1
    vocabulary: int = 256
    context: int = 64

    def write(self, path: Path, type: Type, weights: Weights) -> None:
        """weights: asked for tensor after tensor, in the file's order. Norms are one."""
        writer = self._writer(path)
        for name, shape in self.shapes().items():
            if len(shape) == 1:
                writer.add_tensor(name, np.ones(shape, np.float32))
            else:
                writer.add_tensor(name, weights(*shape), raw_dtype=type)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()

    def write_zeros(self, path: Path, type: Type) -> None:
        """A header, and a hole in the file for the weights: it takes no room on the disk."""
        writer = self._writer(path)
        end = 0
        for name, shape in self.shapes().items():
            of = type if len(shape) > 1 else Type.F32
            block, block_bytes = gguf.GGML_QUANT_SIZES[of]
            num_bytes = int(np.prod(shape)) // block * block_bytes
            writer.add_tensor_info(name, shape, np.dtype(np.float32), num_bytes, of)
            end += _aligned(num_bytes)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        writer.close()
        os.truncate(path, _aligned(path.stat().st_size) + end)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of each tensor, rows before columns."""
        width, wide, kv_width = self.width, self.feed_forward, self.width // self.heads * self.kv_heads
        shapes: dict[str, tuple[int, ...]] = {
            "token_embd.weight": (self.vocabulary, width),
            "output.weight": (self.vocabulary, width),
            "output_norm.weight": (width,),
        }
        for layer in range(self.layers):
            block = {
                "attn_norm": (width,),
                "ffn_norm": (width,),
                "attn_q": (width, width),
                "attn_k": (kv_width, width),
                "attn_v": (kv_width, width),
                "attn_output": (width, width),
                "ffn_gate": (wide, width),
                "ffn_up": (wide, width),
                "ffn_down": (width, wide),
            }
            shapes |= {f"blk.{layer}.{name}.weight": shape for name, shape in block.items()}
        return shapes

    def _writer(self, path: Path) -> gguf.GGUFWriter:
        writer = gguf.GGUFWriter(path, "llama")
        writer.add_block_count(self.layers)
        writer.add_context_length(self.context)
        writer.add_embedding_length(self.width)
        writer.add_feed_forward_length(self.feed_forward)
        writer.add_head_count(self.heads)
        writer.add_head_count_kv(self.kv_heads)
        writer.add_layer_norm_rms_eps(1e-5)
        writer.add_rope_dimension_count(self.width // self.heads)
        writer.add_vocab_size(self.vocabulary)
        writer.add_tokenizer_model("none")
        return writer


def _aligned(num_bytes: int) -> int:
    return -(-num_bytes // ALIGNMENT) * ALIGNMENT
