"""What one token takes in a model's KV cache, by the file's header. Knows ggml's blocks, nothing of a context."""

from dataclasses import dataclass
from typing import Any

from backends.formats.gguf import Header
from backends.protocol import KVType

BLOCK = 32  # values, of every quantized type
BYTES_PER_BLOCK = {
    KVType.F32: 128,
    KVType.F16: 64,
    KVType.BF16: 64,
    KVType.Q8_0: 34,
    KVType.Q5_1: 24,
    KVType.Q5_0: 22,
    KVType.Q4_1: 20,
    KVType.Q4_0: 18,
    KVType.IQ4_NL: 18,
}
UNQUANTIZED = (KVType.F32, KVType.F16, KVType.BF16)


@dataclass(frozen=True, slots=True)
class KVShape:
    """For each layer that keeps keys and values its number of heads; and how long those are."""

    heads: tuple[int, ...]
    key_length: int
    value_length: int
    other_lengths: tuple[int, ...] = ()  # of heads in sliding-window layers, where they differ
    is_latent: bool = False  # MLA: keys and values are one, kept as keys

    @classmethod
    def of(cls, header: Header) -> "KVShape":
        num_layers = header.number("block_count") or 0
        num_heads = _each(header, "attention.head_count", num_layers)
        heads = _each(header, "attention.head_count_kv", num_layers) or num_heads
        plain = (header.number("embedding_length") or 0) // max((1, *num_heads))
        without = (header.number("attention.shared_kv_layers") or 0) + (header.number("nextn_predict_layers") or 0)
        interval = header.number("full_attention_interval") or 1  # of a hybrid: the layers between are recurrent
        swa = (header.number(f"attention.{part}_length_swa") for part in ("key", "value"))
        return cls(
            heads[: max(0, num_layers - without)][interval - 1 :: interval],
            header.number("attention.key_length") or plain,
            header.number("attention.value_length") or plain,
            tuple(length for length in swa if length),
            bool(header.number("attention.key_length_mla")),
        )

    def bytes_per_token(self, kind_k: KVType, kind_v: KVType) -> float:
        """Over all layers, as llama.cpp lays them out."""
        keys = self.key_length * BYTES_PER_BLOCK[kind_k] / BLOCK
        values = 0.0 if self.is_latent else self.value_length * BYTES_PER_BLOCK[kind_v] / BLOCK
        return sum(self.heads) * (keys + values)


def _each(header: Header, key: str, num_layers: int) -> tuple[int, ...]:
    """One number per layer: the file has a list of them, or one for all."""
    value: Any = header.metadata.get(f"{header.architecture}.{key}")
    if isinstance(value, list):
        return tuple(int(number) for number in value)
    return (value,) * num_layers if type(value) is int else ()
