"""How many bytes the KV cache needs per token, from a model file's metadata alone. Never more than is true."""

from backends.formats.gguf import Header
from backends.formats.gguf_tables import TENSOR_TYPES
from backends.protocol import KVType

BYTES_PER_ELEMENT = {kind.name.lower(): kind.block_bytes / kind.block_elements for kind in TENSOR_TYPES.values()}


def kv_bytes_per_token(header: Header, type_k: KVType, type_v: KVType) -> int:
    """Over all layers: KV heads × (length of a key × its bytes + length of a value × its bytes).

    0 when no layer attends, or the file does not say. As llama.cpp counts (llama-kv-cache.cpp, the constructor).
    """
    num_heads = header.number("attention.head_count") or max(_per_layer(header, "attention.head_count"), default=0)
    if not num_heads:
        return 0
    even = (header.number("embedding_length") or 0) // num_heads
    keys = (header.number("attention.key_length") or even) * BYTES_PER_ELEMENT[type_k]
    values = (header.number("attention.value_length") or even) * BYTES_PER_ELEMENT[type_v]
    if header.number("attention.key_length_mla"):  # multi-head latent attention reads its values out of the keys
        values = 0.0
    return int(sum(_kv_heads(header)) * (keys + values))


def _kv_heads(header: Header) -> list[int]:
    """Of each layer that keeps keys and values of its own."""
    heads = _per_layer(header, "attention.head_count_kv") or _per_layer(header, "attention.head_count")
    without = (header.number("attention.shared_kv_layers") or 0) + (header.number("nextn_predict_layers") or 0)
    interval = header.number("full_attention_interval") or 1  # of a hybrid: the layers between are recurrent
    return heads[: max(0, len(heads) - without)][interval - 1 :: interval]


def _per_layer(header: Header, key: str) -> list[int]:
    """A number for all layers, or a list with one for each; empty when the file does not say."""
    value = header.metadata.get(f"{header.architecture}.{key}")
    if isinstance(value, list):
        return [int(number) for number in value]
    return [value] * (header.number("block_count") or 0) if type(value) is int else []
