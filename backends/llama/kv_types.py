"""Which types the two halves of the KV cache cannot have for a model, and why.

llama.cpp refuses some of them with a line in its log, and takes others that it then computes nonsense from: without
flash attention, keys whose heads do not fill whole blocks gave NaN for 11 of 27 pairs, and nobody said so.
"""

from backends.formats.kv_shape import BLOCK, UNQUANTIZED, KVShape
from backends.protocol import EngineOptions, FlashAttention, KVType

NO_FLASH_ATTENTION = ("grok",)  # switched off by llama_init_from_model, whatever was asked for
ONE_TYPE_FOR_BOTH = ("deepseek4",)  # beside all models with latent attention
NOT_IN_CUDA = (KVType.IQ4_NL,)  # ggml_cuda_fattn_kv_type_supported


def refusal(shape: KVShape, architecture: str, options: EngineOptions, is_cuda: bool) -> str | None:
    """Why this pair cannot be, and what to choose instead, as a sentence. None: it can."""
    if not any(shape.heads):
        return None  # no attention, so nothing that has a type
    kinds = (options.kv_type_k, options.kv_type_v)
    if (shape.is_latent or architecture in ONE_TYPE_FOR_BOTH) and kinds[0] != kinds[1]:
        return (
            f"This model keeps keys and values as one, so {kinds[0]} for keys and {kinds[1]} for values cannot be. "
            f"Choose {kinds[0]} for both."
        )
    return (
        _partial_blocks("key", kinds[0], (shape.key_length, *shape.other_lengths))
        or _partial_blocks("value", kinds[1], (shape.value_length, *shape.other_lengths))
        or _without_flash_attention(kinds[1], architecture, options.flash_attention)
        or (_not_in_cuda(kinds, options.flash_attention) if is_cuda else None)
    )


def _partial_blocks(half: str, kind: KVType, lengths: tuple[int, ...]) -> str | None:
    odd = next((length for length in lengths if length % BLOCK), None)
    if kind in UNQUANTIZED or odd is None:
        return None
    return (
        f"The {half} cache of this model cannot be {kind}: its heads are {odd} numbers long, and {kind} packs them "
        f"in blocks of {BLOCK}. Choose f16, bf16 or f32 for it."
    )


def _without_flash_attention(kind_v: KVType, architecture: str, flash_attention: FlashAttention) -> str | None:
    if kind_v in UNQUANTIZED:
        return None
    if architecture in NO_FLASH_ATTENTION:
        return f"A quantized value cache ({kind_v}) needs flash attention, which this model cannot use. Choose f16."
    if flash_attention is FlashAttention.OFF:
        return f"A quantized value cache ({kind_v}) needs flash attention. Switch it on, or choose f16."
    return None


def _not_in_cuda(kinds: tuple[KVType, KVType], flash_attention: FlashAttention) -> str | None:
    """With AUTO and plain values llama.cpp does without flash attention; else it would compute on the CPU."""
    needs_flash_attention = flash_attention is FlashAttention.ON or kinds[1] not in UNQUANTIZED
    odd = next((kind for kind in kinds if kind in NOT_IN_CUDA), None)
    if odd is None or not needs_flash_attention:
        return None
    return f"This GPU's flash attention does not know {odd} in the KV cache. Choose q4_0, which is as small."
